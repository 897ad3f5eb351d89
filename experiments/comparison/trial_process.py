"""One trial of a comparison as a process: started, watched, and its end understood."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from datamodules.json_file import DamagedError, as_object, read_json
from experiments.comparison.gpus import Gpu, label, variables
from experiments.training.failures import clear_failures, left_failures
from experiments.trials.environment import is_main_node, trial_environment
from experiments.trials.result_types import (
    FailedTrial,
    Failure,
    FinishedTrial,
    TrialIdentity,
    TrialResult,
)
from experiments.trials.results import read_result, write_record
from experiments.trials.temporary_files import remove_dead
from experiments.trials.trial import Trial

_FAILED, _HELD = 1, 3  # exit statuses of `experiments.run`
_TRAINING = 0.95  # of the time of a trial; the rest is prediction and scoring


class ProcessState(Enum):
    """Where a trial's process is, in the word that is shown."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    HELD = "held"  # by another process
    STOPPED = "stopped"


@dataclass
class TrialProcess:
    """One trial of the comparison and where it is.

    Attributes:
        identity: for the result of a process that dies without writing one.
        arguments: of `experiments.run`.
        note: what there is to say of it, in a few words.
        started: by the monotonic clock, in seconds.
        fraction: of its work that is done.
        resumed: the fraction that took this call no time; None until it is known.
        log_start: bytes of the log that earlier processes wrote.
        gpus: those that it was given last.
    """

    trial: Trial
    identity: TrialIdentity
    arguments: list[str]
    state: ProcessState = ProcessState.WAITING
    note: str = ""
    started: float = 0.0
    fraction: float = 0.0
    resumed: float | None = None
    process: "subprocess.Popen[bytes] | None" = None
    log_start: int = 0
    gpus: tuple[Gpu, ...] = ()

    @property
    def name(self) -> str:
        return self.trial.name

    @property
    def log(self) -> Path:
        return self.trial.folder / "log.txt"

    @property
    def progress(self) -> Path:
        """Where the process says how far it is."""
        return self.trial.folder / "progress.json"

    @property
    def where(self) -> str:
        """On which GPUs it runs, as `gpus 2,3`; empty without, and before and after."""
        return f"on {label(self.gpus)}" if self.gpus and self.process else ""

    @property
    def complaint(self) -> str:
        """What to say of it in the end; empty where it has a result."""
        done = self.state is ProcessState.DONE
        return "" if done else f"{self.name} {self.state.value}: {self.note}"

    def start(self, jobs: int, threads: int, gpus: tuple[Gpu, ...] = ()) -> None:
        """Start the process, one of `jobs` side by side, on GPUs of its own."""
        self.gpus = gpus
        self.trial.folder.mkdir(parents=True, exist_ok=True)
        self.progress.unlink(missing_ok=True)
        if is_main_node():
            clear_failures(self.trial.folder)
        self.log_start = self.log.stat().st_size if self.log.is_file() else 0
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "experiments.run", *self.arguments],
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
            self._look_at_progress()
            return
        self._end_session(self.process.pid)
        self.process, self.fraction = None, 1.0
        if status == 0 and self._has_finished():
            self.state, self.note = ProcessState.DONE, self._score()
        elif status == _HELD:
            self.state, self.note, self.resumed = ProcessState.HELD, self._last_line(status), 1.0
        else:
            failure = self._failure(status)
            self.state, self.note, self.resumed = ProcessState.FAILED, failure.reason, 1.0

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

    def _look_at_progress(self) -> None:
        """It is for a reader's eyes alone, so that a damaged one is passed over."""
        with contextlib.suppress(OSError, DamagedError):
            at = as_object(read_json(self.progress, ""), str(self.progress), "")
            stage, step, steps = at.get("stage"), at.get("step"), at.get("steps")
            if isinstance(stage, str) and type(step) is type(steps) is int and 0 <= step <= steps:
                self.fraction = _TRAINING * step / max(1, steps)
                self.resumed = self.fraction if self.resumed is None else self.resumed
                self.note = f"{stage} {step}/{steps}"

    def _has_finished(self) -> bool:
        """Whether a process that says so has left a result; other machines keep none."""
        return not is_main_node() or isinstance(self._result(), FinishedTrial)

    def _result(self) -> TrialResult | None:
        try:
            return read_result(self.trial.result_path)
        except (ValueError, OSError):  # the end of one trial does not end the others
            return None

    def _score(self) -> str:
        result = self._result()
        miou = result.metrics.miou if isinstance(result, FinishedTrial) else None
        took = clock(time.monotonic() - self.started)
        return f"{'' if miou is None else f'mIoU {100 * miou:.1f} % '}in {took}"

    def _failure(self, status: int) -> Failure:
        """Why a trial failed; of a process that could not say so itself the result is written."""
        result = self._result()
        if isinstance(result, FailedTrial) and status == _FAILED:
            return result.failure
        left = left_failures(self.trial.folder)
        if left:  # of another rank, after which this one was ended
            failure = left[0]
        elif status == 0:
            reason = f"ended without a result (exit status 0); see {self.log.name} in its folder"
            failure = Failure(kind="other", reason=reason)
        elif (number := _signal_number(status)) is not None:
            name = signal.Signals(number).name
            hint = " (out of memory?)" if name == "SIGKILL" else ""
            reason = f"ended by {name}{hint}; see {self.log.name} in its folder"
            failure = Failure(kind="killed", reason=reason)
        else:
            failure = Failure(kind="other", reason=self._last_line(status))
        if is_main_node():
            path = self.trial.result_path
            with contextlib.suppress(OSError):  # a full disk: the other trials go on all the same
                write_record(path, self.identity.fail(path, failure))
        return failure

    def _last_line(self, status: int) -> str:
        """What the process said last, which is for a reader alone."""
        text = self.log.read_bytes()[self.log_start :].decode(errors="replace")
        return (text.strip().splitlines() or [f"exit status {status}"])[-1]


def _signal_number(status: int) -> int | None:
    """Of the signal that ended a process, as the system says it and as shells and ours do."""
    number = -status if status < 0 else status - 128
    return number if number in signal.valid_signals() else None


def clock(seconds: float) -> str:
    """As 4:10 or 1:04:10."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
