"""Any command of the project as a job, whose exit status is all that is waited for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from experiments.engines.job import Job, ProcessState


def _unknown() -> bool:
    return False


@dataclass
class CommandJob(Job):
    """A command, and where it is.

    Attributes:
        title: as tables and logs call it.
        at: folder of its log.
        is_done: whether what it is for is there, whoever did it.
    """

    title: str
    module: str  # type: ignore[misc]  # of each, where others have one for all
    at: Path
    is_done: Callable[[], bool] = _unknown

    @property
    def name(self) -> str:
        return self.title

    @property
    def folder(self) -> Path:
        return self.at

    def settle(self) -> bool:
        done = self.is_done()
        if done:
            self.end(0)
        return done

    def end(self, status: int) -> None:
        self.fraction = self.resumed = 1.0
        self.state = ProcessState.FAILED if status else ProcessState.DONE
        self.note = self.last_line(status) if status else ""

    def renew(self) -> None:
        self.log.unlink(missing_ok=True)

    def lose(self, reason: str) -> None:
        self.end(1)
        self.note = reason


def command_job(title: str, command: Sequence[str], folder: Path) -> CommandJob:
    """`command` is a module and its arguments; the job works in a folder of its own below one."""
    module, *arguments = command
    return CommandJob(title, module, folder / title.replace(" ", "-"), arguments=list(arguments))
