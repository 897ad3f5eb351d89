"""What a comparison supports: intervals, tests and one sentence, from the results that were kept.

`python -m experiments.evidence DIR` prints it, and what several comparisons give together.
"""

import argparse
import sys
from typing import TYPE_CHECKING

from experiments.trials import command_line as ask

if TYPE_CHECKING:
    from experiments.analysis.bootstrap import Block
    from experiments.trials.result_types import PositionPrior


def _parser() -> argparse.ArgumentParser:
    parser = ask.Parser(
        prog="python -m experiments.evidence",
        description="Say what finished comparisons support, and how surely.",
    )
    add = parser.add_argument
    add("folders", type=ask.path, nargs="+", metavar="DIR", help="of a comparison, as runs/demo; "
        "of several also what they give together: what the changed fields of the recipe are worth "
        "to the same networks, and more where steps, init_seed or data_seed alone "
        "differ")  # fmt: skip
    images = ask.whole(0, need="give a number of images, or 0 for whole groups")
    add("--block", type=images, metavar="N", help="neighbouring images of a group that are "
        "resampled together; 1: all are independent, 0: whole groups (default: the data "
        "set's)")  # fmt: skip
    add("--margin", type=ask.points, default=1.0, metavar="POINTS", help="differences of mIoU "
        "below it do not matter (default: 1)")  # fmt: skip
    add("--target", choices=("seeds", "checkpoints"), help="speak of new training runs, or of "
        "these networks (default: seeds where every model has two)")  # fmt: skip
    add("--json", type=ask.file, metavar="FILE", help="also write all of it there, "
        "classes included")  # fmt: skip
    return parser


def main(argv: list[str] | None = None) -> int:
    """0 with the answers on the terminal, 2 for folders or options that cannot be used."""
    args = _parser().parse_args(argv)
    # `--help` does without pydantic and scipy, which take seconds to start.
    from experiments.analysis import replicates
    from experiments.analysis.evidence import evidence
    from experiments.analysis.recipe_effects import recipe_effects
    from experiments.reporting.evidence_tables import show
    from experiments.trials.results import read_prior, read_results

    try:
        block: Block = "auto" if args.block is None else args.block or None
        comparisons = {folder: read_results(folder) for folder in args.folders}
        evidence_of = {
            folder: evidence(
                results,
                prior=_miou(read_prior(folder, results)),
                block=block,
                margin=args.margin / 100,
                target=args.target,
            )
            for folder, results in comparisons.items()
        }
        together = replicates.together(list(comparisons.values()), block)
        everything = [result for results in comparisons.values() for result in results]
        show(evidence_of, together, recipe_effects(everything, block=block), args.json)
    except (OSError, ValueError) as error:
        ask.complain(error)
        return 2
    return 0


def _miou(prior: "PositionPrior | None") -> float | None:
    return prior.metrics.miou if prior else None


if __name__ == "__main__":
    sys.exit(main())
