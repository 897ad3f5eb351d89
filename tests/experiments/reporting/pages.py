"""A report as a reader and a script see it."""

import html
import json
import re
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import Any

from experiments.analysis.evidence import evidence
from experiments.reporting.html_report import write_report
from experiments.reporting.image_panel import Panel
from experiments.trials.result_types import PositionPrior, TrialResult
from experiments.trials.verification import Verification


def page(
    results: Sequence[TrialResult],
    panel: Panel | None = None,
    stale: Set[Path] = frozenset(),
    prior: PositionPrior | None = None,
    verified: Mapping[Path, Verification] | None = None,
) -> str:
    """What `write_report` writes beside the results."""
    path = results[0].path.parent.parent / "report.html"
    known = evidence(results, prior=prior.metrics.miou if prior else None)
    write_report(
        results,
        path,
        evidence=known,
        stale=stale,
        verified=verified or {},
        prior=prior,
        panel=panel,
    )
    return path.read_text()


def words(text: str) -> str:
    """What a reader sees of a page."""
    hidden = r"<script.*?</script>|<style.*?</style>|<[^>]+>"
    return " ".join(html.unescape(re.sub(hidden, "", text, flags=re.S)).split())


def drawn(text: str) -> Any:
    """The numbers that the charts are drawn from."""
    return json.loads(text.split('type="application/json">')[1].split("</script>")[0])


def section(text: str, id: str) -> str:
    return text.split(f'<section aria-labelledby="{id}">')[1].split("</section>")[0]
