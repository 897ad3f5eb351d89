"""A job that counts to a number, saves when it is asked to end, and goes on from there.

`python -m tests.experiments.engines.stub_job FOLDER STEPS [SECONDS [WHAT]]` stands in for a trial
where what is tested is the queue: it starts in a tenth of a second.
"""

import os
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from experiments.engines.job import Job, ProcessState
from experiments.trials.atomic_io import write_json, write_text
from experiments.trials.folder_lock import BusyError, held


@dataclass(eq=False)
class StubJob(Job):
    """Done where the file `result` is there.

    Attributes:
        what: of `main`; goes by the name of a function there.
    """

    module: ClassVar[str] = "tests.experiments.engines.stub_job"
    at: Path
    steps: int = 3
    seconds: float = 0.05
    what: str = "count"
    arguments: list[str] = field(init=False)

    @property
    def name(self) -> str:
        return self.at.name

    @property
    def folder(self) -> Path:
        return self.at

    def __post_init__(self) -> None:
        self.arguments = [str(self.at), str(self.steps), str(self.seconds), self.what]

    @property
    def result(self) -> Path:
        return self.at / "result"

    @property
    def starts(self) -> list[int]:
        """The step at which each of its processes has begun."""
        path = self.at / "starts"
        return [int(line) for line in path.read_text().split()] if path.is_file() else []

    def settle(self) -> bool:
        if self.result.is_file():
            self.state = ProcessState.DONE
        return self.result.is_file()

    def end(self, status: int) -> None:
        self.state = ProcessState.FAILED if status else ProcessState.DONE
        self.note = self.last_line(status)

    def renew(self) -> None:
        self.result.unlink(missing_ok=True)

    def lose(self, reason: str) -> None:
        self.state, self.note = ProcessState.FAILED, reason


def main() -> int:
    folder, steps, seconds, what = Path(sys.argv[1]), *map(float, sys.argv[2:4]), sys.argv[4]
    asked: list[int] = []
    for number in (signal.SIGUSR1, signal.SIGTERM):
        signal.signal(number, lambda number, _: asked.append(number))
    try:
        with held(folder, folder.name, 3.0):
            return _count(folder, int(steps), seconds, what, asked)
    except BusyError as error:
        print(error)
        return 3


def _count(folder: Path, steps: int, seconds: float, what: str, asked: list[int]) -> int:
    state = folder / "state"
    step = int(state.read_text()) if state.is_file() else 0
    with (folder / "starts").open("a") as starts:
        print(step, file=starts)
    if what == "vanish":  # as a node that is taken away
        os.killpg(os.getpgid(os.getppid()), signal.SIGKILL)
    if what == "fail":
        print("the loss is not finite")
        return 1
    if what == "idle":
        while not asked:
            time.sleep(0.01)
        return 75
    while step < steps:
        time.sleep(seconds)
        step += 1
        write_json(folder / "progress.json", {"stage": "train", "step": step, "steps": steps})
        if asked:
            write_text(state, str(step))
            return 75
    write_text(folder / "result", f"{os.environ.get('SLURM_JOB_ID')}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
