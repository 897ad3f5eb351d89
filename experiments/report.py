"""A comparison as one HTML file that opens without a network, and as a figure for a README.

`shown` gathers what the page shows, with the numbers of `charts` and the pictures of `panel`; how
it looks is in `report*.html.j2`, `report.css` and `report_*.js`.
"""

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from experiments.evidence import evidence
from experiments.figure import pareto_figure
from experiments.page import render
from experiments.panel import Panel, make_panel
from experiments.paper import paper
from experiments.shown import shown
from experiments.store import (
    Result,
    check_comparable,
    publish,
    read_prior,
    read_results,
    separate,
)
from experiments.table import markdown
from experiments.trial import stale_results


def write_report(
    results: list[Result],
    path: Path,
    *,
    stale: set[str],
    prior: dict[str, Any] | None,
    panel: Panel | None,
) -> None:
    """Write the whole page or leave the file as it was.

    Args:
        stale: paths of results made by other code than is here now.
        prior: miou, pixel_accuracy and iou by class, as fractions, of the most frequent training
            class at each position.

    Raises:
        ValueError: no results, or results that differ in recipe, data or protocol.
    """
    if not results:
        raise ValueError("no results to report: run a comparison first")
    found = evidence(results, prior=prior["miou"] if prior else None)
    page = render("report.html.j2", **shown(results, found, stale, prior, panel))
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(page, encoding="utf-8")
    draft.replace(path)


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


def _comparisons(args: argparse.Namespace) -> Iterator[tuple[Path, list[Result]]]:
    """Each set of results that may share a table, with where its page goes."""
    results, page = read_results(args.results), args.output or args.results / "report.html"
    for flag in ("output", "latex", "csv", "figure"):
        file: Path | None = getattr(args, flag)
        if file and file.is_dir():
            raise ValueError(f"--{flag} is {file}, a folder: give a file in it")
    if args.figure and not any(result.done and result["cost"] for result in results):
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


def _write(page: Path, results: list[Result], args: argparse.Namespace) -> None:
    panel, prior = make_panel(results, args.data_root), read_prior(args.results, results)
    write_report(results, page, stale=stale_results(results), prior=prior, panel=panel)
    if panel.reason:
        print(f"no photos: {panel.reason}")
    if args.latex or args.figures or args.csv:
        paper(results, latex=args.latex, figures=args.figures, csv=args.csv, prior=prior)
    if args.figure:
        found = evidence(results, prior=prior["miou"] if prior else None)
        pareto_figure(results, args.figure, found)
    if args.publish:
        publish(results, args.publish, panel.ids)
    if args.readme:
        text = args.readme.read_text()
        args.readme.write_text(renew(text, args.results.name, summary(results, prior)))
    files = (page, args.latex, args.figures, args.csv, args.figure, args.publish, args.readme)
    for file in filter(None, files):
        print(f"wrote {file}")


def summary(results: list[Result], prior: dict[str, Any] | None) -> str:
    """The answer and the table, for a README."""
    found = evidence(results, prior=prior["miou"] if prior else None)
    return f"**{found.answer}**\n\n{markdown(results, prior, found)}"


def renew(text: str, name: str, content: str) -> str:
    """Put `content` between the marks `<!-- name -->` and `<!-- end -->` of a Markdown text.

    Raises:
        ValueError: the text has no such marks.
    """
    before, mark, rest = text.partition(f"<!-- {name} -->\n")
    _, end, after = rest.partition("<!-- end -->")
    if not mark or not end:
        raise ValueError(f"the file has no lines '<!-- {name} -->' and '<!-- end -->': add them")
    return f"{before}{mark}{content}\n{end}{after}"


if __name__ == "__main__":
    sys.exit(main())
