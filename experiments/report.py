"""A comparison as one HTML file that opens without a network, and as a figure for a README.

This module gathers what is shown; how it looks, plots included, is in `report.html.j2`.
"""

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from experiments.figure import pareto_figure
from experiments.page import render
from experiments.panel import Panel, look, make_panel, png
from experiments.published import ALIASES, Published, published
from experiments.rows import Entry, entries, pareto_front
from experiments.store import Result, publish, read_prior, read_results
from experiments.table import markdown
from experiments.trial import stale_results

COSTS = {  # fields of Row that a network's accuracy is plotted against: title and scale
    "gmacs": ("GMACs", "log"),
    "params_m": ("Parameters, millions", "log"),
    "latency_ms": ("Latency, ms", "linear"),
    "train_s": ("Training, s", "linear"),
    "memory_gb": ("Peak memory, GB", "linear"),
}


def _papers(model: str) -> list[dict[str, Published]]:
    """Published figures by metric, one dictionary a source; none for a network with options."""
    sources: dict[str, dict[str, Published]] = {}
    for line in published():
        if line.model == ALIASES.get(model, model):
            sources.setdefault(line.source, {})[line.metric] = line
    return list(sources.values())


def _distinct(results: list[Result], part: str) -> dict[str, list[str]]:
    """Every value that the trials have for each key of `part`: one where they agree."""
    found: dict[str, dict[str, None]] = {}
    for result in results:
        for key, value in result[part].items():
            found.setdefault(key, {})[str(value)] = None
    return {key: list(values) for key, values in found.items()}


def _fronts(models: list[Entry]) -> dict[str, list[int]]:
    miou = [entry.row.miou for entry in models]
    return {field: pareto_front([getattr(e.row, field) for e in models], miou) for field in COSTS}


def _render(
    results: list[Result],
    models: list[Entry],
    prior: dict[str, Any] | None,
    panel: Panel | None,
) -> str:
    from plotly.offline import get_plotlyjs

    return render(
        "report.html.j2",
        recipe=results[0]["recipe"],
        models=models,
        failed=[result for result in results if not result.done],
        prior=prior,
        papers={entry.row.model: _papers(entry.row.model) for entry in models},
        costs=COSTS,
        fronts=_fronts(models),
        panel=panel,
        png=png,
        look=look,
        hashes=_distinct(results, "hashes"),
        environment=_distinct(results, "environment"),
        plotly=get_plotlyjs(),
    )


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
    page = _render(results, entries(results, stale), prior, panel)
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
