"""One part of the work on a data set or on predictions as a job that leaves a file."""

import contextlib
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from datamodules.json_file import DamagedError, as_object, read_json
from datamodules.parts import Part
from experiments.engines.job import Job, ProcessState, clock
from experiments.trials.atomic_io import write_json
from experiments.trials.signals import GOES_ON, asked_to_end

FAILURE = "failure.json"  # in the folder of a part, of a process that could say why
_EVERY = 2.0  # seconds between two words of a part about how far it is


@dataclass
class PartJob(Job):
    """A part and where it is.

    Attributes:
        title: as tables call it.
        place: its folder.
        left: reads what it leaves; raises OSError or ValueError where that is not there or of
            something else.
    """

    title: str
    place: Path
    left: Callable[[], object]

    @property
    def name(self) -> str:
        return self.title

    @property
    def folder(self) -> Path:
        return self.place

    def end(self, status: int) -> None:
        if status == GOES_ON:
            self.state, self.note = ProcessState.STOPPED, "it was asked to end"
        elif not self.settle():
            self._fail(self.last_line(status) if status else self._lacks())

    def settle(self) -> bool:
        if not self._lacks():
            self.fraction, self.state = 1.0, ProcessState.DONE
            self.note = f"in {clock(time.monotonic() - self.started)}" if self.started else ""
            return True
        reason = _failure(self.place)
        if reason:
            self._fail(reason)
        return bool(reason)

    def renew(self) -> None:
        (self.place / FAILURE).unlink(missing_ok=True)

    def lose(self, reason: str) -> None:
        self._fail(reason)

    def _lacks(self) -> str:
        """What is wrong with what it leaves; empty where nothing is."""
        try:
            self.left()
        except FileNotFoundError:
            return f"it left nothing: see {self.log}"
        except (OSError, ValueError) as error:
            return str(error)
        return ""

    def _fail(self, reason: str) -> None:
        self.fraction = self.resumed = 1.0
        self.state, self.note = ProcessState.FAILED, reason


def _failure(folder: Path) -> str:
    with contextlib.suppress(OSError, DamagedError):
        said = as_object(read_json(folder / FAILURE, ""), "", "").get("reason")
        return said if isinstance(said, str) else ""
    return ""


@contextlib.contextmanager
def as_part(folder: Path) -> Iterator[Callable[[int, int], None]]:
    """Leave the reason where a part fails; the yielded function tells how far it is.

    Who is asked to end does so at once, and is started anew by the scheduler that asked.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FAILURE).unlink(missing_ok=True)
    last = 0.0

    def tell(done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last >= _EVERY:
            last = time.monotonic()
            write_json(folder / "progress.json", {"stage": "image", "step": done, "steps": total})

    try:
        with asked_to_end(os._exit):
            yield tell
    except (ValueError, OSError) as error:
        with contextlib.suppress(OSError):  # of a full disk the log tells
            write_json(folder / FAILURE, {"reason": str(error)})
        raise


def part_folder(place: Path, part: Part) -> Path:
    return place / f"part-{part.number}-of-{part.of}"


def found_number(place: Path) -> int:
    """Of how many parts those are that lie there.

    Raises:
        ValueError: of none, or of several numbers.
    """
    names = [path.name for path in place.iterdir()] if place.is_dir() else []
    found = {int(n[1]) for name in names if (n := re.fullmatch(r"part-\d+-of-(\d{1,7})", name))}
    if len(found) != 1:
        said = f"parts of {' and of '.join(map(str, sorted(found)))}" if found else "no parts"
        raise ValueError(
            f"{place} holds {said}: count all parts of one number, as --part 1/16 to --part 16/16"
        )
    return found.pop()


def own_cores() -> int:
    """Cores that this process may use, of which a scheduler may give fewer than there are."""
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    given = re.match(r"\d+", os.environ.get("SLURM_JOB_CPUS_PER_NODE", ""))
    return min(cores, int(given[0])) if given else cores
