"""The parts of some work run by an engine, but those that are done."""

import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from math import ceil
from pathlib import Path

from experiments.comparison.part_job import PartJob
from experiments.engines.engine import Engine, run_jobs
from experiments.engines.job import Job, ProcessState
from experiments.engines.opened import open_engine
from experiments.engines.request import EngineRequest, JobSize
from experiments.reporting.console import PlainConsole
from experiments.trials.folder_lock import held

# A job whose file is there still has to end, and says so in the folder, which that makes anew.
_LOOKS, _LOOK = 20, 0.1  # times, and seconds between
_IMAGES, _MOST = 1000, 256  # of a part, and parts, where no number is asked for


def how_many(asked: int | None, images: int) -> int:
    """Parts of so many images, none of which is empty."""
    return max(1, min(asked or min(_MOST, ceil(images / _IMAGES)), images))


@contextmanager
def parts_engine(request: EngineRequest, folder: Path) -> Iterator[Engine[Job]]:
    """An engine for the parts in a folder, on which no other process works meanwhile.

    A folder that is made for it and in which nothing comes to lie is gone after it.

    Raises:
        ValueError: there is no such engine, or no cluster.
        BusyError: another process has parts run there.
    """
    beside = folder / "engine"
    made = [path for path in (beside, folder, *folder.parents) if not path.exists()]
    try:
        engine = open_engine(request, JobSize(), beside)
        with held(folder, f"the folder of parts {folder}"):
            yield engine
    except ValueError:
        if beside in made and not any(folder.glob("**/part-*-of-*")):  # nothing was submitted
            shutil.rmtree(beside, ignore_errors=True)
        raise
    finally:
        _remove_empty([path for path in made if path.exists()])


def run_parts(jobs: Sequence[PartJob], engine: Engine[Job], detach: bool = False) -> None:
    """Run the jobs whose files are not there yet.

    Args:
        detach: only submit them.

    Raises:
        Detached: they are submitted, and nobody waits for them.
        ValueError: the engine refuses them, or some have failed; what the others left is kept.
    """
    todo, console = [], PlainConsole()
    for job in jobs:
        job.folder.mkdir(parents=True, exist_ok=True)
        job.renew()
        if not job.settle():
            todo.append(job)
    if not todo:
        return
    if len(todo) < len(jobs):
        console.print(f"{len(jobs) - len(todo)} of {len(jobs)} parts are there already")
    try:
        run_jobs(engine, todo, console, detach)
    except ValueError:
        for job in todo if all(job.state is ProcessState.WAITING for job in todo) else ():
            shutil.rmtree(job.folder)
            _remove_empty(job.folder.parents)
        raise
    complaints = [job.complaint for job in todo if job.complaint]
    if complaints:
        raise ValueError(
            f"{len(complaints)} of {len(todo)} parts are not done, the first: {complaints[0]}; the "
            "same command runs them again and keeps the others"
        )


def clear(folder: Path, inner: Sequence[Path] = ()) -> None:
    """Remove all parts and what an engine keeps of them, and a folder that holds nothing else.

    Args:
        inner: folders within, of which the same holds.
    """
    for _ in range(_LOOKS if (folder / "engine").is_dir() else 1):
        for one in (*inner, folder):
            for path in (*one.glob("part-*-of-*"), one / "engine"):
                shutil.rmtree(path, ignore_errors=True)
            _remove_empty([one])
        time.sleep(_LOOK)


def _remove_empty(folders: Sequence[Path]) -> None:
    """Remove folders, the inner ones first, up to one that holds something."""
    with suppress(OSError):
        for folder in folders:
            folder.rmdir()
