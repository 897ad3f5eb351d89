"""A comparison whose trials run on a cluster, with what that needs around them."""

from collections.abc import Callable

from rich.console import Console

from experiments.comparison.ahead import read_ahead
from experiments.comparison.collected import EndedComparison
from experiments.comparison.measuring_job import measure_on_one
from experiments.comparison.next_step import go_on_later
from experiments.comparison.plan import plan
from experiments.comparison.request import ComparisonRequest
from experiments.comparison.submission_plan import print_submission as print_submission
from experiments.engines.request import Detached

Run = Callable[[ComparisonRequest, Console], EndedComparison]


def run_on_cluster(
    request: ComparisonRequest, run: Run, console: Console
) -> EndedComparison | None:
    """Run what has not finished, here or there; None if it is submitted and nobody waits for it.

    Args:
        run: of `comparison_runner`.

    Raises:
        BusyError, ValueError: as `run`, or as the engine refuses.
    """
    if request.engine.local:
        return run(request, console)
    trials = plan(request)
    try:
        read_ahead(trials, request, console)
        ended = run(request, console)
        return run(request, console) if measure_on_one(ended, request, console) else ended
    except Detached as detached:
        go_on_later(trials, request, console)
        console.print(str(detached))
        return None
