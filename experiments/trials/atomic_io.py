"""Files that are written whole or not at all."""

import errno
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

_DRAFT = re.compile(r"\..+\.[a-z0-9_]{8}")  # as `mkstemp` calls them below
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def write_json(path: Path, value: object) -> None:
    """Write a whole JSON file or nothing."""
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a whole file or nothing."""
    write_bytes(path, text.encode(errors="backslashreplace"))  # of names in no encoding


def write_bytes(path: Path, content: bytes | memoryview) -> None:
    """Write a whole file or nothing.

    Raises:
        OSError: with the path, and the bytes that are needed where there is no room for them.
    """
    try:
        with _replacing(path) as file:
            file.write(content)
    except OSError as error:
        raise no_room(error, path, len(content)) from None


def no_room(error: OSError, path: Path, num_bytes: int) -> OSError:
    """The error of a disk, a quota or a limit that has no room for a file; another one unchanged.

    Args:
        num_bytes: that were to be written.
    """
    if error.errno not in _FULL:
        return error
    free = shutil.disk_usage(next(p for p in path.absolute().parents if p.is_dir())).free
    said = OSError(
        f"cannot write {path}: it needs {num_bytes} bytes and {free} are free on its disk "
        f"({error.strerror}): make room, or name another folder, and give the same command again"
    )
    said.errno = error.errno
    return said


def remove_drafts(folder: Path) -> None:
    """Remove what processes that were killed while writing have left anywhere below a folder."""
    for path in folder.rglob(".*"):
        if is_draft(path):
            path.unlink(missing_ok=True)


def is_draft(path: Path) -> bool:
    """Whether its name is that of a file which is being written here."""
    return _DRAFT.fullmatch(path.name) is not None


@contextmanager
def _replacing(path: Path) -> Iterator[IO[bytes]]:
    """A neighbour of `path` to write to, renamed to it at the end, gone if anything fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def check_writable(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise ValueError(
            f"cannot write to {out.absolute()} ({error.strerror}): name another folder with --out"
        ) from None
