"""The parts of some work run by an engine, but those that are done."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from experiments.comparison.part_job import PartJob
from experiments.engines.engine import open_engine, run_jobs
from experiments.engines.request import EngineRequest, JobSize


def run_parts(
    jobs: Sequence[PartJob], request: EngineRequest, folder: Path, console: Console
) -> None:
    """Run the jobs whose files are not there yet.

    Raises:
        Detached: they are submitted, and nobody waits for them.
        ValueError: the engine refuses them, or some have failed; what the others left is kept.
    """
    todo = []
    for job in jobs:
        job.folder.mkdir(parents=True, exist_ok=True)
        job.renew()
        if not job.settle():
            todo.append(job)
    if not todo:
        return
    if len(todo) < len(jobs):
        console.print(f"{len(jobs) - len(todo)} of {len(jobs)} parts are there already")
    run_jobs(open_engine(request, JobSize(), folder), todo, console, request.detach)
    complaints = [job.complaint for job in todo if job.complaint]
    if complaints:
        raise ValueError(
            f"{len(complaints)} of {len(todo)} parts are not done, the first: {complaints[0]}; the "
            "same command runs them again and keeps the others"
        )
