"""What runs jobs: processes of this machine, the queue of a cluster, or tasks of Ray."""

import time
from collections.abc import Sequence
from typing import Protocol, TypeVar

from rich.console import Console

from experiments.engines.job import Job
from experiments.engines.live_view import watch

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


def run_jobs(engine: Engine[AnyJob], jobs: Sequence[AnyJob], console: Console) -> None:
    """Run every job and show how far all of them are.

    Raises:
        ValueError: as `Engine.submit`.
    """
    try:
        with watch(jobs, console) as show:
            engine.submit(jobs)
            show()
            while not all(job.state.ended for job in jobs):
                time.sleep(engine.interval)
                engine.poll()
                show()
    finally:
        if engine.ends_jobs:
            engine.cancel()
