"""What runs on a node of SLURM: one job's command, told to save before it is ended.

submitit calls it, and sends it back to the queue on SIGUSR1, which comes ahead of a time limit or
with a preemption.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from submitit.core.utils import DelayedSubmission

from datamodules.json_file import DamagedError, as_object, read_json
from experiments.trials.atomic_io import write_json
from experiments.trials.environment import trial_environment
from experiments.trials.folder_lock import this_job
from experiments.trials.signals import GOES_ON

HELD = 3  # exit status of a command whose folder another process holds
_HELD_AGAIN, _HELD_WAIT = 20, 30.0  # times, and seconds between
_IDLE = 3  # runs in a row that got nowhere, until the time is called too short


@dataclass
class SlurmTask:
    """One job, picklable.

    Attributes:
        module: what `python -m` runs, with its arguments.
        folder: of the job, with its log and its progress.
        ended: file that says how it ended.
        requeues: times that it may go back to the queue.
        devices: processes of a machine that share its cores.
        idle: runs in a row that were told to end before they got anywhere.
    """

    module: str
    arguments: list[str]
    folder: Path
    ended: Path
    requeues: int
    devices: int
    idle: int = 0
    begun_at: int = -1
    process: int | None = None

    def __call__(self) -> int:
        """Run the command and say how it ended; its exit status."""
        self.begun_at = self._step()
        self.ended.unlink(missing_ok=True)  # of an earlier run
        for _ in range(_HELD_AGAIN):
            status = self._run()
            if status != HELD:
                break
            time.sleep(_HELD_WAIT)  # by a job that SLURM takes for dead and that works on
        self._say(status)
        return status

    def _run(self) -> int:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "log.txt").open("ab") as log:
            running = subprocess.Popen(
                [sys.executable, "-m", self.module, *self.arguments],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                env=self._environment(),
            )  # fmt: skip
        self.process = running.pid
        signal.signal(signal.SIGTERM, self._pass_on)  # submitit's own only notes it
        status = _understood(running.wait())
        self.process = None
        return status

    def _pass_on(self, number: int, frame: FrameType | None = None) -> None:
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process, number)

    def checkpoint(self) -> DelayedSubmission | None:
        """What goes back to the queue, once the command has saved; None for nothing."""
        self._pass_on(signal.SIGUSR1)
        if self.process is not None:
            # Seen and not reaped: the interrupted `wait` of the main program does that.
            end = os.waitid(os.P_PID, self.process, os.WEXITED | os.WNOWAIT)
            assert end is not None
            exited = end.si_code == os.CLD_EXITED
            status = _understood(end.si_status if exited else -end.si_status)
            if status != GOES_ON:
                self._say(status)
                return None
        self.idle = 0 if self._step() > self.begun_at else self.idle + 1
        runs = 1 + int(os.environ.get("SLURM_RESTART_COUNT", "0"))
        if runs > self.requeues:
            self._say(GOES_ON, f"was interrupted {runs} times: ask for more time=, or requeues=")
            return None
        if self.idle >= _IDLE:
            self._say(GOES_ON, f"got nowhere in {self.idle} runs: ask for more time=")
            return None
        self.process = None
        return DelayedSubmission(self)

    def _environment(self) -> dict[str, str]:
        """Of the command: as on one machine, and its place among several tasks if there are any."""
        cores = int(os.environ.get("SLURM_CPUS_ON_NODE", "0")) or os.cpu_count() or 1
        ours = trial_environment(1, max(1, cores // self.devices))
        several = int(os.environ.get("SLURM_STEP_NUM_TASKS", "1")) > 1
        return {**os.environ, **ours} if several else ours

    def _say(self, status: int, reason: str = "") -> None:
        if os.environ.get("SLURM_PROCID", "0") != "0":
            return  # the first of several tasks speaks for all
        write_json(self.ended, {"status": status, "reason": reason, "job": this_job()})

    def _step(self) -> int:
        """How far the command has said that it is; -1 where it has not."""
        path = self.folder / "progress.json"
        try:
            step = as_object(read_json(path, ""), str(path), "").get("step")
        except (OSError, DamagedError):
            return -1
        return step if isinstance(step, int) else -1


def _understood(status: int) -> int:
    """A command that was told to end before it could listen goes on like any other."""
    return GOES_ON if -status in (signal.SIGTERM, signal.SIGUSR1) else status
