r"""Predict a split with trained weights under any protocol, and score it.

  python -m experiments.evaluate runs/demo/hrnet/seed0 --protocol multi-scale
  python -m experiments.evaluate hrnet_w48_cityscapes.pth --model hrnet \
    --data cityscapes --data-root CITYSCAPES --protocol flip

Of a trial's folder the last checkpoint is taken. A stopped command goes on from
the images that it has predicted.
"""

import argparse
import sys

from experiments.training.evaluation_request import EvaluationRequest
from experiments.trials import command_line as ask
from experiments.trials.protocols import PROTOCOLS, parse_protocol
from experiments.trials.recipe import PRECISIONS


def parser() -> argparse.ArgumentParser:
    p = ask.Parser(
        prog="python -m experiments.evaluate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = p.add_argument
    add("checkpoint", type=ask.path, help="a trial's folder, a checkpoint in it, or any weights")
    add("--model", type=ask.words, help="network with its options (default: the trial's)")
    named = ", ".join(PROTOCOLS)
    add("--protocol", type=ask.words, default="single", help=f"{named}, or options, as "
        "scales=0.5,1:flip")  # fmt: skip
    add("--data", type=ask.words, help="data set with its options (default: the trial's)")
    add("--data-root", type=ask.path, help="folder of the data set")
    add("--split", type=ask.words, help="(default: the one on which this data set is scored)")
    add("--precision", choices=PRECISIONS, help="(default: the recipe's, else 32-true)")
    add("--out", type=ask.folder, help="(default: evaluated/DATA-SPLIT-PROTOCOL beside the "
        "weights)")  # fmt: skip
    add("--add", type=ask.path, metavar="DIR", help="show it with this comparison, as runs/demo")
    return p


def main(argv: list[str] | None = None) -> int:
    """0 with predictions and, where there are labels, tables; 2 for a request that cannot be met;
    130 if stopped."""
    args = parser().parse_args(argv)
    # Torch, pydantic and rich take seconds, which `--help` does without.
    from experiments.comparison.result_sets import print_tables, result_sets
    from experiments.reporting.console import PlainConsole
    from experiments.reporting.progress_bar import shown_progress
    from experiments.training.evaluation import evaluate
    from experiments.training.evaluation_plan import plan_evaluation

    try:
        evaluation = plan_evaluation(request_of(args))
        done = evaluate(evaluation, shown_progress)
        sets = result_sets(done.results, prior=None, apart=False) if done.results else []
    except (ValueError, OSError) as error:
        ask.complain(error)
        return 2
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on from the last image", file=sys.stderr)
        return 130
    if not sets:
        ask.say(
            f"{evaluation.split} of {evaluation.data} has no label to score against; its "
            f"predictions are in {done.predictions}, and python -m experiments.data export writes "
            "them for a server"
        )
    print_tables(sets, PlainConsole(), question=False)
    return 0


def request_of(args: argparse.Namespace) -> EvaluationRequest:
    """What the arguments ask for.

    Raises:
        ValueError: a text that is no protocol.
    """
    return EvaluationRequest(
        checkpoint=args.checkpoint,
        protocol=parse_protocol(args.protocol),
        network=args.model,
        data=args.data,
        data_root=args.data_root,
        split=args.split,
        precision=args.precision,
        out=args.out,
        add=args.add,
    )


if __name__ == "__main__":
    sys.exit(main())
