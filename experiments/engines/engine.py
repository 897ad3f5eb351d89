"""What runs jobs: processes of this machine, the queue of a cluster, or tasks of Ray."""

import time
from collections.abc import Sequence
from typing import Protocol, TypeVar

from rich.console import Console

from experiments.engines.job import Job
from experiments.engines.live_view import watch
from experiments.engines.request import Detached

AnyJob = TypeVar("AnyJob", bound=Job)
Taken = TypeVar("Taken", bound=Job, contravariant=True)


class Engine(Protocol[Taken]):
    """Runs jobs somewhere; what they leave on disk is all that counts.

    Attributes:
        interval: seconds between two looks at the jobs.
        ends_jobs: whether the jobs end with the one who waits for them.
    """

    interval: float
    ends_jobs: bool

    def submit(self, jobs: Sequence[Taken]) -> None:
        """Have them run, each as soon as there is a place for it.

        Raises:
            ValueError: they are refused; none has been submitted.
        """

    def poll(self) -> None:
        """Bring the state of every job up to date."""

    def cancel(self) -> None:
        """End those that have not ended."""

    def how_to_end(self) -> str:
        """What a user may type to end jobs that nobody waits for."""


def run_jobs(
    engine: Engine[AnyJob], jobs: Sequence[AnyJob], console: Console, detach: bool = False
) -> None:
    """Run every job and show how far all of them are.

    Args:
        detach: only submit them, and take up what has ended.

    Raises:
        Detached: jobs are left that have not ended.
        ValueError: as `Engine.submit`.
    """
    waits = False
    try:
        with watch(jobs, console) as show:
            engine.submit(jobs)
            waits = True
            show()
            while not detach and not all(job.state.ended for job in jobs):
                time.sleep(engine.interval)
                engine.poll()
                show()
    finally:
        left = sum(not job.state.ended for job in jobs)
        if engine.ends_jobs and not detach:
            engine.cancel()
        elif left and waits:
            jobs_go = "1 job goes on" if left == 1 else f"{left} jobs go on"
            console.print(f"{jobs_go}; to end: {engine.how_to_end()}", soft_wrap=True)
    if left:
        raise Detached("the same command later shows how far they are, and what came of them")
