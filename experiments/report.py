"""A comparison as one HTML file that opens without a network, and as a figure for a README.

`shown` gathers what the page shows, with the numbers of `charts` and the pictures of `panel`; how
it looks is in `report*.html.j2`, `report.css` and `report_*.js`.
"""

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from experiments.evidence import evidence
from experiments.figure import pareto_figure
from experiments.page import render
from experiments.panel import Panel, make_panel
from experiments.shown import shown
from experiments.store import Result, publish, read_prior, read_results
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
    parser = argparse.ArgumentParser(
        prog="python -m experiments.report", description="Write a comparison as one HTML file."
    )
    parser.add_argument("results", type=Path, help="folder of a comparison's results")
    parser.add_argument("--data-root", type=Path, help="folder of the data set, for the photos")
    parser.add_argument("--output", type=Path, help="default: report.html in the results folder")
    parser.add_argument("--figure", type=Path, help="also draw accuracy against cost as a PNG")
    parser.add_argument("--publish", type=Path, help="also copy the results to keep them there")
    parser.add_argument("--readme", type=Path, help="also renew this file's table of the results")
    args = parser.parse_args(argv)
    output = args.output or args.results / "report.html"
    try:
        results = read_results(args.results)
        panel = make_panel(results, args.data_root)
        prior = read_prior(args.results)
        write_report(results, output, stale=stale_results(results), prior=prior, panel=panel)
        if args.figure:
            pareto_figure(results, args.figure)
        if args.publish:
            publish(results, args.publish, panel.ids)
        if args.readme:
            text = args.readme.read_text()
            args.readme.write_text(renew(text, args.results.name, markdown(results, prior)))
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f"wrote {output}")
    return 0


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
