"""A folder for the temporary files of a process and of all that it starts, gone when these are.

W&B, multiprocessing and torch leave theirs behind when they are killed. The folder lies where the
system keeps such files and not beside the results: sockets are made in it, whose paths take 107
bytes at most and which not every shared file system knows.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.util import Finalize
from pathlib import Path

_PREFIX = "seglab-"
_SOCKET = len("/pymp-12345678/listener-12345678")  # as multiprocessing names them
_PATH = 103  # bytes of a socket's path, on the system that takes least


@contextmanager
def own_temporary_files() -> Iterator[Callable[[], object]]:
    """Have this process and what it starts keep temporary files in a folder that is removed.

    Also the folders of dead processes are. A folder's own process holds it locked, and so do those
    that are forked from it. Yielded is what removes the folder, for a process that ends at once.
    """
    remove_dead()
    try:
        folder, lock = _locked_folder()
    except OSError:  # a file system without locks
        yield lambda: None
        return
    # After multiprocessing has removed its own part, which it does when Python ends.
    remove = Finalize(None, _remove, args=(folder, lock), exitpriority=-200)
    before, cached = os.environ.get("TMPDIR"), tempfile.tempdir
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
    try:
        yield remove
    finally:
        tempfile.tempdir = cached
        os.environ.pop("TMPDIR", "") if before is None else os.environ.update(TMPDIR=before)
        if not any(folder.glob("pymp-*")):
            remove()


def _remove(folder: Path, lock: int) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    os.close(lock)


def remove_dead() -> None:
    """Remove the folders of this user's processes that have ended without doing so."""
    for folder in _place().glob(f"{_PREFIX}*"):
        try:
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:  # of another user, or gone by now
            continue
        try:
            if os.fstat(lock).st_uid == os.getuid():
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:  # its process lives
            pass
        finally:
            os.close(lock)


def _locked_folder() -> tuple[Path, int]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=_place()))
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError:
            folder.rmdir()
            os.close(lock)
            raise
        if folder.is_dir():  # nobody took it for a dead one's before it was locked
            return folder, lock
        os.close(lock)


def _place() -> Path:
    """Where the system keeps temporary files; beside the folder of a `compare`, not in it."""
    folder = Path(tempfile.gettempdir())
    folder = folder.parent if folder.name.startswith(_PREFIX) else folder
    fits = len(os.fsencode(folder / f"{_PREFIX}12345678")) + _SOCKET <= _PATH
    return folder if fits or not os.access("/tmp", os.W_OK) else Path("/tmp")
