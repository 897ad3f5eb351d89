"""A comparison as one HTML file that opens without a network.

`report_context` gathers what the page shows, with the numbers of `chart_data` and the pictures of
`image_panel`; how it looks is in `templates/`.
"""

from collections.abc import Mapping, Sequence, Set
from pathlib import Path

from experiments.analysis.evidence_types import Evidence, RecipeEffect
from experiments.reporting.image_panel import Panel
from experiments.reporting.page import render
from experiments.reporting.report_context import report_context
from experiments.reporting.tables import NOT_VERIFIED, verification_note
from experiments.trials.atomic_io import write_text
from experiments.trials.result_types import PositionPrior, TrialResult
from experiments.trials.verification import Verification

Effects = Sequence[RecipeEffect]
NO_EFFECTS: Effects = ()


def write_report(
    results: Sequence[TrialResult],
    path: Path,
    *,
    evidence: Evidence,
    stale: Set[Path],
    verified: Mapping[Path, Verification] = NOT_VERIFIED,
    prior: PositionPrior | None,
    panel: Panel | None,
    effects: Effects = NO_EFFECTS,
) -> None:
    """Write the whole page or leave the file as it was.

    Args:
        evidence: of these results.
        stale: paths of results made by other code than is here now.
        verified: verifications that hold under the present code, by path of the result.
        prior: scores of the most frequent training class at each position.
        effects: what changed recipes are worth, where results of several lie together.

    Raises:
        ValueError: no results, or results that differ in recipe, data or protocol.
    """
    if not results:
        raise ValueError("no results to report: run a comparison first")
    note = verification_note(results, verified)
    context = report_context(
        results,
        evidence,
        stale=stale,
        verified=note,
        prior=prior,
        panel=panel,
        effects=effects,
    )
    write_text(path, render("report.html.j2", report=context))
