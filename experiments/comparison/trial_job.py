"""One trial of a comparison as a job: what its end amounts to, and what is left of it."""

import contextlib
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from experiments.engines.job import Job, ProcessState, clock
from experiments.training.failures import left_failures
from experiments.trials.environment import is_main_node
from experiments.trials.result_types import (
    FailedTrial,
    Failure,
    FinishedTrial,
    TrialIdentity,
    TrialResult,
)
from experiments.trials.results import read_result, write_record
from experiments.trials.signals import GOES_ON
from experiments.trials.trial import Rerun, Trial

_FAILED, _HELD = 1, 3  # exit statuses of `experiments.run`


@dataclass
class TrialJob(Job):
    """One trial of the comparison and where it is.

    Attributes:
        identity: for the result of a process that dies without writing one.
        rerun: what is done again, though it has ended.
    """

    module: ClassVar[str] = "experiments.run"
    trial: Trial
    identity: TrialIdentity
    rerun: Rerun = "failed"

    @property
    def name(self) -> str:
        return self.trial.name

    @property
    def folder(self) -> Path:
        return self.trial.folder

    def end(self, status: int) -> None:
        self.fraction = 1.0
        if status == 0 and self._has_finished():
            self.state, self.note = ProcessState.DONE, self._score()
        elif status == _HELD:
            self.state, self.note, self.resumed = ProcessState.HELD, self.last_line(status), 1.0
        elif status == GOES_ON:
            self.state, self.resumed = ProcessState.STOPPED, 1.0
            self.note = "it was asked to end; the same command goes on from its last checkpoint"
        else:
            self._has_failed(self._failure(status))

    def settle(self) -> bool:
        result = self._result()
        if isinstance(result, FinishedTrial):
            self.fraction, self.state, self.note = 1.0, ProcessState.DONE, self._score()
        elif isinstance(result, FailedTrial):
            self._has_failed(result.failure)
        return result is not None

    def renew(self) -> None:
        """
        Raises:
            BusyError, ValueError: as `Trial.lock` and `Trial.prepare`.
        """
        data = self.identity.hashes.data
        if data is not None:  # else whoever runs it finds out
            with self.trial.lock():
                self.trial.prepare(data, self.rerun)
        if isinstance(self._result(), FailedTrial):
            self.trial.result_path.unlink()

    def lose(self, reason: str) -> None:
        failure = Failure(kind="killed", reason=reason)
        self._keep(failure)
        self._has_failed(failure)

    def _has_failed(self, failure: Failure) -> None:
        self.fraction = self.resumed = 1.0
        self.state, self.note = ProcessState.FAILED, failure.reason

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
            failure = Failure(kind="other", reason=self.last_line(status))
        self._keep(failure)
        return failure

    def _keep(self, failure: Failure) -> None:
        if is_main_node():
            path = self.trial.result_path
            with contextlib.suppress(OSError):  # a full disk: the other trials go on all the same
                write_record(path, self.identity.fail(path, failure))


def _signal_number(status: int) -> int | None:
    """Of the signal that ended a process, as the system says it and as shells and ours do."""
    number = -status if status < 0 else status - 128
    return number if number in signal.valid_signals() else None
