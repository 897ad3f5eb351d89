"""What is looked at before a comparison runs: its data, and what it will stand beside."""

from rich.console import Console

from datamodules.loading.cache import open_cached
from experiments.comparison.collected import scored_elsewhere
from experiments.comparison.request import ComparisonRequest
from experiments.reporting.progress_bar import shown_progress
from experiments.trials.comparability import check_comparable
from experiments.trials.data_check import check_data, hash_of, scored_data
from experiments.trials.environment import is_main_node
from experiments.trials.trial import Trial


def check_before(trial: Trial, request: ComparisonRequest, console: Console) -> str:
    """Read the data set once, if it has not been read as it is now, and say what to know of it.

    Returns:
        The hash of the data.

    Raises:
        ValueError: data that cannot be used, or predictions from elsewhere in the comparison's
            folder that no table can show with its trials.
    """
    recipe, root = trial.recipe, request.resources.data_root
    with shown_progress("images") as progress:
        report = check_data(recipe, root, progress)
    for name, split in report.splits.items():
        open_cached(recipe.data, name, root, split.fingerprint)  # a stale copy is refused here
    if is_main_node():
        for finding in report.findings:
            console.print(f"data: {finding}", style="yellow", markup=False)
    data = hash_of(recipe, report)
    if not request.allow_mixed:
        scored = scored_data(recipe.data, recipe.test_split, report, [*report.splits])
        ours = trial.identity(data).unscored(trial.result_path, scored)
        check_comparable([ours, *scored_elsewhere(trial.comparison_folder)])
    return data
