"""Runs trials as processes of this machine, some at a time.

One that fails leaves the rest alone.
"""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from experiments.comparison.gpu_sharing import with_room
from experiments.comparison.placement import Places
from experiments.comparison.trial_process import TrialProcess
from experiments.engines.engine import run_jobs
from experiments.trials.environment import threads_per_process


def run_processes(
    processes: Sequence[TrialProcess], places: Places, data_root: Path | None, console: Console
) -> None:
    """Run every process, each as soon as it has a place, and show how far all of them are.

    Whatever ends it, all are ended before that goes on.

    Args:
        data_root: folder of their data set.

    Raises:
        ValueError: as `with_room`, before any is started.
    """
    if places.per_device > 1:
        places = with_room(places, [process.trial for process in processes], data_root, console)
    run_jobs(LocalEngine(places), processes, console)


class LocalEngine:
    """Processes of this machine, each on GPUs of its own where there are any."""

    interval, ends_jobs = 0.2, True

    def __init__(self, places: Places) -> None:
        self.places = places
        self._threads = threads_per_process(places.at_a_time * places.devices)
        self._waiting: list[TrialProcess] = []
        self._running: list[TrialProcess] = []

    def submit(self, jobs: Sequence[TrialProcess]) -> None:
        self._waiting += jobs
        self._start()

    def _start(self) -> None:
        while self._waiting and (gpus := self.places.take()) is not None:
            self._running.append(self._waiting.pop(0))
            self._running[-1].start(self.places.at_a_time, self._threads, gpus)

    def poll(self) -> None:
        for process in [*self._running]:
            process.poll()
            if process.process is None:
                self._running.remove(process)
                self.places.give_back(process.gpus)
        self._start()

    def cancel(self) -> None:
        for process in self._running:
            process.stop()

    def how_to_end(self) -> str:
        return "kill"
