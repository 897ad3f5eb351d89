"""The work of a comparison: its data are checked, and what has not finished of it is run."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from rich.console import Console

from experiments.comparison import launcher
from experiments.comparison.collected import EndedComparison, check_kept, collected
from experiments.comparison.plan import plan
from experiments.comparison.preflight import check_before
from experiments.comparison.request import ComparisonRequest
from experiments.comparison.tuned_trials import with_tuned
from experiments.comparison.verifier import verify
from experiments.trials.result_types import TrialResult


def run_comparison(request: ComparisonRequest, console: Console) -> EndedComparison:
    """Run what has not finished of the trials that are asked for.

    Raises:
        BusyError: another process holds a trial.
        ValueError: a request that is refused, data that cannot be used, a folder that holds what
            cannot be mixed with it, or a damaged file of what is kept.
    """
    trials = plan(request)
    data = check_before(trials[0], request, console)
    if request.rerun != "all":  # of which nothing is kept
        check_kept(trials)
    run = partial(launcher.run, request=request, console=console)
    ours = with_tuned(trials, data, run, request, console)
    jobs = run(ours.todo, data)
    notes = [*ours.notes, *(job.complaint for job in jobs if job.complaint)]
    results = collected(ours.trials)
    if request.verify is not None:
        notes += _verify(results, request.resources.data_root, request.verify, console)
    return EndedComparison(
        trials=ours.trials,
        data=data,
        results=results,
        notes=notes,
        group=launcher.group_of(ours.trials),
        ran=bool(jobs),
    )


def _verify(
    results: Sequence[TrialResult], root: Path | None, num_steps: int, console: Console
) -> list[str]:
    """Say of each finished trial whether it holds, and what of those that do not."""
    complaints = []
    for result, verification in verify(results, root, num_steps):
        line = f"{result.label} seed {result.seed}: {verification}"
        console.print(f"verified: {line}", soft_wrap=True)
        if verification.outcome == "different":
            complaints.append(f"{line}: this code does not give it")
    return complaints
