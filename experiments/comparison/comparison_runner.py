"""The work of a comparison: its data are checked, and what has not finished of it is run."""

from functools import partial

from rich.console import Console

from experiments.comparison import elsewhere, launcher
from experiments.comparison.collected import EndedComparison, check_kept, collected
from experiments.comparison.plan import plan
from experiments.comparison.preflight import check_before
from experiments.comparison.request import ComparisonRequest
from experiments.comparison.tuned_trials import with_tuned
from experiments.comparison.verifier import say_verified


def run_comparison(request: ComparisonRequest, console: Console) -> EndedComparison:
    """Run what has not finished of the trials that are asked for.

    Raises:
        BusyError: another process holds a trial, or waits for their jobs.
        Detached: trials are submitted, and nobody waits for them.
        ValueError: a request that is refused, data that cannot be used, a folder that holds what
            cannot be mixed with it, or a damaged file of what is kept.
    """
    trials = plan(request)
    data = check_before(trials[0], request, console)
    if request.rerun != "all":  # of which nothing is kept
        check_kept(trials)
    work = launcher.run if request.engine.local else elsewhere.run
    run = partial(work, request=request, console=console)
    ours = with_tuned(trials, data, run, request, console)
    jobs = run(ours.todo, data)
    notes = [*ours.notes, *(job.complaint for job in jobs if job.complaint)]
    results = collected(ours.trials)
    if request.verify is not None:
        notes += say_verified(results, request.resources.data_root, request.verify, console)
    return EndedComparison(
        trials=ours.trials,
        data=data,
        results=results,
        notes=notes,
        ran=bool(jobs),
    )
