"""A comparison as one HTML file that opens without a network, and as what a paper or README needs.

What is written is made in `experiments/reporting/`.
"""

import argparse
import sys
from pathlib import Path

from experiments.trials import command_line as ask


def main(argv: list[str] | None = None) -> int:
    """0 with what was asked for, 2 where it cannot be had."""
    args = _parser().parse_args(argv)
    try:
        _write(args, args.output or args.results / "report.html")
    except (OSError, ValueError) as error:
        ask.complain(error)
        return 2
    return 0


_ALSO = ("latex", "figures", "csv", "figure", "publish", "readme")  # beside the page


def _parser() -> argparse.ArgumentParser:
    parser = ask.Parser(
        prog="python -m experiments.report",
        description="Write a comparison as one HTML file, and as what a paper or a README needs.",
    )
    add = parser.add_argument
    add("results", type=ask.path, help="folder of a comparison's results")
    add("--data-root", type=ask.path, help="folder of the data set, for the photos")
    add("--output", type=ask.file, help="default: report.html in the results folder")
    add("--latex", type=ask.file, metavar="FILE", help="also a table for LaTeX with booktabs")
    add("--figures", type=ask.folder, metavar="DIR", help="also figures as PDF and SVG")
    add("--csv", type=ask.file, metavar="FILE", help="also all numbers, a row a model")
    add("--figure", type=ask.file, metavar="FILE", help="also accuracy against cost as a PNG")
    add("--publish", type=ask.folder, metavar="DIR", help="also copy the results to keep "
        "them there")  # fmt: skip
    add("--readme", type=ask.file, metavar="FILE", help="also renew this file's table of the "
        "results")  # fmt: skip
    add("--allow-mixed", action="store_true", help="write results of other recipes, data or "
        "protocols to report-2.html and so on, instead of refusing them, and what a changed recipe "
        "is worth to each of them")  # fmt: skip
    return parser


def _write(args: argparse.Namespace, page: Path) -> None:
    """Write each set of results that may share a table, and what else was asked for.

    Raises:
        OSError, ValueError: results that are not there or cannot be shown as asked.
    """
    # numpy, pydantic and scipy take a second, which no --help waits for.
    from experiments.analysis.recipe_effects import recipe_effects
    from experiments.reporting.comparison_files import ComparisonFiles, write_comparison
    from experiments.trials.comparability import check_comparable, separate
    from experiments.trials.results import finished, read_results

    results = read_results(args.results)
    also = {name: getattr(args, name) for name in _ALSO}
    if args.figure and not any(result.cost for result in finished(results)):
        raise ValueError(
            f"--figure draws mIoU against cost, and no result in {args.results} has a cost, as "
            "predictions from elsewhere have none: leave it out"
        )
    if not args.allow_mixed:
        check_comparable(results)  # before pictures are chosen, which needs the same images of all
    sets = separate(results) if args.allow_mixed else [results]
    if len(sets) > 1 and any(also.values()):
        raise ValueError(
            f"{args.results} holds {len(sets)} comparisons, of which only pages can be written "
            "together: name the folder of one for the other files"
        )
    effects = recipe_effects(results) if len(sets) > 1 else ()
    for effect in effects:
        ask.say(effect.sentence)
    for number, some in enumerate(sets, 1):
        own = page if number == 1 else page.with_stem(f"{page.stem}-{number}")
        files = ComparisonFiles(page=own, **also)
        reason = write_comparison(args.results, some, files, args.data_root, effects)
        if reason:
            ask.say(f"no photos: {reason}")
        for file in files:
            ask.say(f"wrote {file}")


if __name__ == "__main__":
    sys.exit(main())
