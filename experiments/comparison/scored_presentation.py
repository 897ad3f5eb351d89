"""What `score` shows: tables of each set of results that may share them, and the report."""

from collections.abc import Sequence

from rich.console import Console

from experiments.analysis.evidence import evidence
from experiments.comparison.result_sets import print_tables, result_sets
from experiments.comparison.scoring_request import MANY, ScoringRequest
from experiments.reporting.html_report import write_report
from experiments.reporting.image_panel import make_panel
from experiments.reporting.score_tables import variants_table
from experiments.trials.result_types import FinishedTrial
from experiments.trials.results import read_prior, read_results


def show_scored(scored: Sequence[FinishedTrial], request: ScoringRequest, console: Console) -> None:
    """Print the tables, with those of a comparison they are added to, and write the report.

    Raises:
        ValueError: results that no table may hold.
    """
    if max(result.data.num_images for result in scored) > MANY:
        _show_many(scored, console)
        return
    folder = request.add or request.again
    shown = read_results(folder) if folder else list(scored)
    prior = read_prior(folder, shown) if folder else None
    sets = result_sets(shown, prior, apart=request.allow_mixed)
    print_tables(sets, console)
    if request.audit:
        for result in scored:
            console.print(variants_table(result.label, result.metrics))
    if request.output:
        page, panel = request.output / "report.html", make_panel(scored, request.data_root)
        known = evidence(scored) if folder else sets[0].evidence
        write_report(scored, page, evidence=known, stale=set(), prior=None, panel=panel)
        console.print(f"report: {page}", soft_wrap=True)


def _show_many(scored: Sequence[FinishedTrial], console: Console) -> None:
    """The score alone: intervals resample single images, at 60 KB of memory each."""
    for result in scored:
        console.print(
            f"{result.label}: mIoU {100 * result.miou:.2f} % of {result.data.num_images} images",
            markup=False,
        )
    console.print(
        f"tables with intervals and report.html are left out above {MANY} images; result.json and "
        "per_image.npz have all that was counted",
        soft_wrap=True,
    )
