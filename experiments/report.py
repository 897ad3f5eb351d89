"""A comparison as one HTML file that opens without a network, and as what a paper or README needs.

Everything that is written is made in `experiments/reporting/`.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from experiments.analysis.evidence import evidence
from experiments.reporting.export import export, renew, summary
from experiments.reporting.html_report import write_report
from experiments.reporting.image_panel import make_panel
from experiments.reporting.readme_figures import pareto_figure
from experiments.trials.atomic_io import write_text
from experiments.trials.comparability import check_comparable, separate
from experiments.trials.result_types import TrialResult
from experiments.trials.results import finished, publish, read_prior, read_results
from experiments.trials.verification import stale_results, verified


def main(argv: list[str] | None = None) -> int:
    """0 with what was asked for, 2 where it cannot be had."""
    args = _parser().parse_args(argv)
    try:
        for folder, results in _comparisons(args):
            _write(folder, results, args)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m experiments.report",
        description="Write a comparison as one HTML file, and as what a paper or a README needs.",
    )
    add = parser.add_argument
    add("results", type=Path, help="folder of a comparison's results")
    add("--data-root", type=Path, help="folder of the data set, for the photos")
    add("--output", type=Path, help="default: report.html in the results folder")
    add("--latex", type=Path, metavar="FILE", help="also a table for LaTeX with booktabs")
    add("--figures", type=Path, metavar="DIR", help="also figures as PDF and SVG")
    add("--csv", type=Path, metavar="FILE", help="also all numbers, a row a model")
    add("--figure", type=Path, metavar="FILE", help="also accuracy against cost as a PNG")
    add("--publish", type=Path, metavar="DIR", help="also copy the results to keep them there")
    add("--readme", type=Path, metavar="FILE", help="also renew this file's table of the results")
    add("--allow-mixed", action="store_true", help="write results of other recipes, data or "
        "protocols to report-2.html and so on, instead of refusing them")  # fmt: skip
    return parser


def _comparisons(args: argparse.Namespace) -> Iterator[tuple[Path, Sequence[TrialResult]]]:
    """Each set of results that may share a table, with where its page goes."""
    results, page = read_results(args.results), args.output or args.results / "report.html"
    for flag in ("output", "latex", "csv", "figure"):
        file: Path | None = getattr(args, flag)
        if file and file.is_dir():
            raise ValueError(f"--{flag} is {file}, a folder: give a file in it")
    if args.figure and not any(result.cost for result in finished(results)):
        raise ValueError(
            f"--figure draws mIoU against cost, and no result in {args.results} has a cost, as "
            "predictions from elsewhere have none: leave it out"
        )
    if not args.allow_mixed:
        check_comparable(results)  # before pictures are chosen, which needs the same images of all
    sets = separate(results) if args.allow_mixed else [results]
    once = [args.latex, args.figures, args.csv, args.figure, args.publish, args.readme]
    if len(sets) > 1 and any(once):
        raise ValueError(
            f"{args.results} holds {len(sets)} comparisons, of which only pages can be written "
            "together: name the folder of one for the other files"
        )
    for number, some in enumerate(sets, 1):
        yield page if number == 1 else page.with_stem(f"{page.stem}-{number}"), some


def _write(page: Path, results: Sequence[TrialResult], args: argparse.Namespace) -> None:
    panel, prior = make_panel(results, args.data_root), read_prior(args.results, results)
    known = evidence(results, prior=prior.metrics.miou if prior else None)
    write_report(
        results,
        page,
        evidence=known,
        stale=stale_results(results),
        verified=verified(results),
        prior=prior,
        panel=panel,
    )
    if panel.reason:
        print(f"no photos: {panel.reason}")
    if args.latex or args.figures or args.csv:
        export(results, known, latex=args.latex, figures=args.figures, csv=args.csv, prior=prior)
    if args.figure:
        pareto_figure(results, args.figure, known)
    if args.publish:
        publish(results, args.publish, panel.ids)
    if args.readme:
        text = args.readme.read_text(encoding="utf-8")
        content = summary(results, known, prior)
        write_text(args.readme, renew(text, args.results.name, content))
    files = (page, args.latex, args.figures, args.csv, args.figure, args.publish, args.readme)
    for file in filter(None, files):
        print(f"wrote {file}")


if __name__ == "__main__":
    sys.exit(main())
