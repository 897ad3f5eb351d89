"""One trial of a comparison as a process of this machine: started, watched, and ended."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

from experiments.comparison.gpus import Gpu, label, variables
from experiments.comparison.trial_job import TrialJob
from experiments.engines.job import ProcessState
from experiments.training.failures import clear_failures
from experiments.trials.environment import is_main_node, trial_environment
from experiments.trials.temporary_files import remove_dead


@dataclass
class TrialProcess(TrialJob):
    """One trial of the comparison and its process.

    Attributes:
        gpus: those that it was given last.
    """

    process: "subprocess.Popen[bytes] | None" = None
    gpus: tuple[Gpu, ...] = ()

    @property
    def where(self) -> str:
        """On which GPUs it runs, as `gpus 2,3`; empty without, and before and after."""
        return f"on {label(self.gpus)}" if self.gpus and self.process else ""

    def start(self, jobs: int, threads: int, gpus: tuple[Gpu, ...] = ()) -> None:
        """Start the process, one of `jobs` side by side, on GPUs of its own."""
        self.gpus = gpus
        self.folder.mkdir(parents=True, exist_ok=True)
        self.progress.unlink(missing_ok=True)
        if is_main_node():
            clear_failures(self.folder)
        self.mark_log()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", self.module, *self.arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**trial_environment(jobs, threads), **variables(gpus)},
                start_new_session=True,  # a Ctrl-C reaches compare alone, which ends its children
            )
        self.state, self.started = ProcessState.RUNNING, time.monotonic()

    def poll(self) -> None:
        """Take notice of what the process has come to."""
        if self.process is None:
            return
        status = self.process.poll()
        if status is None:
            self.look_at_progress()
            return
        self._end_session(self.process.pid)
        self.process = None
        self.end(status)

    def stop(self) -> None:
        """Kill the process with all it started: every file is whole at any moment, and a process
        that is asked to end may take its companions' end for a failure of its own and record it."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self._end_session(self.process.pid)
        self.process, self.state = None, ProcessState.STOPPED

    def _end_session(self, leader: int) -> None:
        """Kill what is left of all that the process has started: ranks, readers, their server."""
        deadline = time.monotonic() + 1
        with contextlib.suppress(ProcessLookupError, PermissionError):
            while time.monotonic() < deadline:
                os.killpg(leader, signal.SIGKILL)
                time.sleep(0.01)
        remove_dead()
