"""Engines for tests: jobs as processes of this machine, or one after the other in this process."""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

from experiments.engines.job import Job, ProcessState
from tests.commands import ROOT, SETTINGS

Started = Callable[[Job, "subprocess.Popen[bytes]"], object]


class Workers:
    """Each job as a process, as many at a time as there are workers.

    Attributes:
        started: is told each job and its process as it starts; a test may kill it there.
        names: of all jobs that were started, in order.
        running: by name.
    """

    interval, ends_jobs = 0.05, True

    def __init__(self, num: int = 3, started: Started = lambda job, process: None) -> None:
        self.num, self.started = num, started
        self.names: list[str] = []
        self._waiting: list[Job] = []
        self.running: dict[str, tuple[Job, subprocess.Popen[bytes]]] = {}

    def submit(self, jobs: Sequence[Job]) -> None:
        self._waiting += jobs
        self.poll()

    def poll(self) -> None:
        for name, (job, process) in [*self.running.items()]:
            job.look_at_progress()
            if process.poll() is not None:
                del self.running[name]
                job.end(process.returncode)
        while self._waiting and len(self.running) < self.num:
            job = self._waiting.pop(0)
            job.mark_log()
            with job.log.open("ab") as log:
                process = subprocess.Popen(
                    [sys.executable, "-m", job.module, *job.arguments],
                    cwd=ROOT,
                    env={**os.environ, **SETTINGS},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
            job.state = ProcessState.RUNNING
            self.running[job.name] = job, process
            self.names.append(job.name)
            self.started(job, process)

    def how_to_end(self) -> str:
        return "kill"

    def cancel(self) -> None:
        for job, process in self.running.values():
            process.kill()
            process.wait()
            job.state = ProcessState.STOPPED


class Inline:
    """Each job in this process, when it is submitted.

    Attributes:
        names: of all jobs that were run, in order.
    """

    interval, ends_jobs = 0.0, True

    def __init__(self) -> None:
        self.names: list[str] = []

    def submit(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            # What an engine relies on where nodes share no folder.
            assert str(job.out) in job.arguments and job.folder.absolute().is_relative_to(job.out)
            self.names.append(job.name)
            job.end(import_module(job.module).main(job.arguments))

    def poll(self) -> None: ...

    def cancel(self) -> None: ...

    def how_to_end(self) -> str:
        return ""
