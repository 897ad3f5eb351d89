"""A command of the project that ends with a result on disk, wherever it runs, and how far it is."""

import contextlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import ClassVar

from datamodules.json_file import DamagedError, as_object, read_json

_TRAINING = 0.95  # of the time of a trial; the rest is prediction and scoring


class ProcessState(Enum):
    """Where a job is, in the word that is shown."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    HELD = "held"  # by another process
    STOPPED = "stopped"

    @property
    def ended(self) -> bool:
        return self not in (ProcessState.WAITING, ProcessState.RUNNING)


@dataclass(kw_only=True)
class Job(ABC):
    """One command and where it is.

    Attributes:
        module: what `python -m` runs.
        names_out: the argument behind which the folder stands that its own lies in.
        arguments: of it.
        note: what there is to say of it, in a few words.
        started: by the monotonic clock, in seconds.
        fraction: of its work that is done.
        resumed: the fraction that took this call no time; None until it is known.
        log_start: bytes of the log that earlier processes wrote.
    """

    module: ClassVar[str]
    names_out: ClassVar[str] = "--out"
    arguments: list[str]
    state: ProcessState = ProcessState.WAITING
    note: str = ""
    started: float = 0.0
    fraction: float = 0.0
    resumed: float | None = None
    log_start: int = 0

    @property
    @abstractmethod
    def name(self) -> str:
        """As tables and logs call it."""

    @property
    @abstractmethod
    def folder(self) -> Path:
        """Where its log and its progress are."""

    @abstractmethod
    def end(self, status: int) -> None:
        """Take notice of the exit status of its process, which has ended."""

    @abstractmethod
    def settle(self) -> bool:
        """Whether what it was to leave is on disk, and then take notice of it."""

    @abstractmethod
    def renew(self) -> None:
        """Take away what an earlier run has left that would pass for the end of the next."""

    @abstractmethod
    def lose(self, reason: str) -> None:
        """Take notice of an end without a status and without a result, and leave the reason."""

    @property
    def out(self) -> Path:
        """What `names_out` among its arguments names; its own folder where they have none."""
        if self.names_out not in self.arguments:
            return self.folder
        return Path(self.arguments[self.arguments.index(self.names_out) + 1])

    @property
    def log(self) -> Path:
        return self.folder / "log.txt"

    @property
    def progress(self) -> Path:
        """Where the process says how far it is."""
        return self.folder / "progress.json"

    @property
    def where(self) -> str:
        """On what it runs, as `gpus 2,3`; empty before and after."""
        return ""

    @property
    def complaint(self) -> str:
        """What to say of it in the end; empty where it has a result."""
        done = self.state is ProcessState.DONE
        return "" if done else f"{self.name} {self.state.value}: {self.note}"

    def mark_log(self) -> None:
        """What the log holds by now is of earlier processes."""
        self.log_start = self.log.stat().st_size if self.log.is_file() else 0

    def look_at_progress(self) -> None:
        """It is for a reader's eyes alone, so that a damaged one is passed over."""
        with contextlib.suppress(OSError, DamagedError):
            at = as_object(read_json(self.progress, ""), str(self.progress), "")
            stage, step, steps = at.get("stage"), at.get("step"), at.get("steps")
            if isinstance(stage, str) and type(step) is type(steps) is int and 0 <= step <= steps:
                self.fraction = _TRAINING * step / max(1, steps)
                self.resumed = self.fraction if self.resumed is None else self.resumed
                self.note = f"{stage} {step}/{steps}"

    def last_line(self, status: int) -> str:
        """What the process said last, which is for a reader alone."""
        if not self.log.is_file():
            return f"exit status {status}"
        text = self.log.read_bytes()[self.log_start :].decode(errors="replace")
        return (text.strip().splitlines() or [f"exit status {status}"])[-1]


def clock(seconds: float) -> str:
    """As 4:10 or 1:04:10."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
