"""What a comparison shows in the end: tables, report.html, and its own W&B run."""

from rich.console import Console

from experiments.comparison.collected import EndedComparison, kept_prior
from experiments.comparison.request import ComparisonRequest
from experiments.comparison.result_sets import print_tables, result_sets
from experiments.comparison.wandb_comparison import send_comparison
from experiments.reporting.html_report import write_report
from experiments.reporting.image_panel import make_panel
from experiments.trials.environment import is_main_node


def show(ended: EndedComparison, request: ComparisonRequest, console: Console) -> None:
    """Print the tables, write the report and send the comparison, on the main node alone."""
    if not is_main_node():
        return
    trial, root = ended.trials[0], request.resources.data_root
    prior = kept_prior(trial, ended.results, root, ended.data)
    sets = result_sets(ended.results, prior, apart=True)
    print_tables(sets, console)
    first = sets[0]
    if first.stale:
        console.print("* made by other code than is here now; --rerun stale does it again")
    for note in ended.notes:
        console.print(note, markup=False)
    if first.prior is None:
        return
    miou = first.prior.metrics.miou
    console.print(f"position prior (no image needed): mIoU {100 * (miou or 0.0):.1f} %")
    page = trial.comparison_folder / "report.html"
    panel = make_panel(first.results, root)
    write_report(
        first.results,
        page,
        evidence=first.evidence,
        stale=first.stale,
        verified=first.verified,
        prior=first.prior,
        panel=panel,
    )
    console.print(f"report: {page}", soft_wrap=True, highlight=False)
    mode = request.resources.wandb
    if ended.ran and mode != "off":
        send_comparison(first.results, first.evidence, request.out, mode, ended.group)
