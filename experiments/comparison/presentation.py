"""What a comparison shows in the end: tables, report.html, and its own W&B run."""

from pathlib import Path

from rich.console import Console

from experiments.comparison.collected import EndedComparison, kept_prior
from experiments.comparison.request import ComparisonRequest
from experiments.comparison.result_sets import ResultSet, print_tables, result_sets
from experiments.comparison.wandb_comparison import send_comparison
from experiments.reporting.html_report import write_report
from experiments.reporting.image_panel import make_panel
from experiments.trials.environment import is_main_node


def show(ended: EndedComparison, request: ComparisonRequest, console: Console) -> list[str]:
    """Print the tables, write the report and send the comparison, on the main node alone.

    Returns:
        What could not be made or written, which hides no table; each is said on the console too.
    """
    if not is_main_node():
        return []
    lacking: list[str] = []
    trial, root = ended.trials[0], request.resources.data_root
    prior = None
    try:
        prior = kept_prior(trial, ended.results, root, ended.data, console)
    except (OSError, ValueError) as error:
        lacking.append(f"no position prior: {error}")
    sets = result_sets(ended.results, prior, apart=True)
    print_tables(sets, console)
    first = sets[0]
    if first.stale:
        console.print("* made by other code than is here now; --rerun stale does it again")
    for note in ended.notes:
        console.print(note)
    if first.prior is not None:
        miou = first.prior.metrics.miou
        console.print(f"position prior (no image needed): mIoU {100 * (miou or 0.0):.1f} %")
        page = trial.comparison_folder / "report.html"
        try:
            _write_page(first, page, root)
            console.print(f"report: {page}", soft_wrap=True)
        except (OSError, ValueError) as error:
            lacking.append(f"no report: {error}")
        mode = request.resources.wandb
        if ended.ran and mode != "off":
            send_comparison(first.results, first.evidence, request.out, mode, ended.group)
    for reason in lacking:
        console.print(reason, soft_wrap=True)
    return lacking


def _write_page(shown: ResultSet, page: Path, root: Path | None) -> None:
    write_report(
        shown.results,
        page,
        evidence=shown.evidence,
        stale=shown.stale,
        verified=shown.verified,
        prior=shown.prior,
        panel=make_panel(shown.results, root),
    )
