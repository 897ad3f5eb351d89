"""The work of a comparison: its data are checked, and what has not finished of it is run."""

from collections.abc import Sequence

from rich.console import Console

from experiments.comparison import launcher
from experiments.comparison.collected import EndedComparison, collected
from experiments.comparison.preflight import check_before
from experiments.comparison.request import ComparisonRequest
from experiments.comparison.tuned_trials import with_tuned
from experiments.trials.trial import Trial


def run_comparison(
    trials: Sequence[Trial], request: ComparisonRequest, console: Console
) -> EndedComparison:
    """Run what has not finished of the trials.

    Raises:
        BusyError: another process holds a trial.
        ValueError: data that cannot be used, or a folder that holds what cannot be mixed with it.
    """
    data = check_before(trials[0], request, console)
    ours = with_tuned(trials, data, request, console)
    processes = launcher.run(ours.todo, data, request, console)
    notes = [*ours.notes, *(process.complaint for process in processes if process.complaint)]
    return EndedComparison(
        trials=ours.trials,
        data=data,
        results=collected(ours.trials),
        notes=notes,
        group=launcher.group_of(ours.trials),
        ran=bool(processes),
    )
