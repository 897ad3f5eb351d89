"""A comparison as one HTML file that opens without a network.

`report_context` gathers what the page shows, with the numbers of `chart_data` and the pictures of
`image_panel`; how it looks is in `templates/`.
"""

import os
from pathlib import Path
from typing import Any

from experiments.analysis.evidence import evidence
from experiments.reporting.image_panel import Panel
from experiments.reporting.page import render
from experiments.reporting.report_context import report_context
from experiments.trials.results import TrialResult


def write_report(
    results: list[TrialResult],
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
    page = render("report.html.j2", **report_context(results, found, stale, prior, panel))
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(page, encoding="utf-8")
    draft.replace(path)
