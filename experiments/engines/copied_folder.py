"""A job's folder on a node that shares none, and what of it comes back as bytes."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from experiments.trials.atomic_io import is_draft, write_bytes
from experiments.trials.folder_lock import HOLDER, LEASE
from experiments.trials.result_files import RESULT

_CHUNK = 64 * 2**20  # bytes of files that are sent together once a command has ended


@dataclass(frozen=True)
class Files:
    """What has changed in a folder that others do not see, in the order in which it is written.

    Attributes:
        changed: their bytes by their path in the folder.
        gone: paths that were there before.
    """

    changed: Mapping[str, bytes]
    gone: tuple[str, ...] = ()


class CopiedFolder:
    """What of a folder its reader has, and what has changed since."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._sent = folder, _listed(folder)

    def progress(self) -> Files | None:
        """The small file for a reader's eyes, if it has changed."""
        found = self._read(["progress.json"] if (self.folder / "progress.json").is_file() else [])
        return Files(found) if found else None

    def all_changed(self) -> Files:
        """All at a time while the command runs. States are read first and written last: what was
        logged is never behind them, as after a kill on the folder itself."""
        now = _listed(self.folder)
        found = self._read(sorted(now, key=_place, reverse=True))
        return Files({path: found[path] for path in reversed([*found])}, self._gone(now))

    def in_chunks(self) -> Iterator[Files]:
        """All, once the command has ended; its result last."""
        now, paths, size = _listed(self.folder), list[str](), 0
        for path in sorted(now, key=_place):
            paths.append(path)
            size += 0 if now[path] == self._sent.get(path) else now[path].size
            if size > _CHUNK:
                yield Files(self._read(paths))
                paths, size = [], 0
        yield Files(self._read(paths), self._gone(now))

    def _read(self, paths: Sequence[str]) -> dict[str, bytes]:
        """Those that have changed, in this order."""
        found = {}
        for path in paths:
            with contextlib.suppress(FileNotFoundError):  # an older state, removed meanwhile
                mark = _mark(self.folder / path)
                if self._sent.get(path) != mark:
                    found[path] = (self.folder / path).read_bytes()
                    self._sent[path] = mark
        return found

    def _gone(self, now: Mapping[str, "_Mark"]) -> tuple[str, ...]:
        gone = tuple(path for path in self._sent if path not in now)
        for path in gone:
            del self._sent[path]
        return gone


class _Mark(NamedTuple):
    """By which a file that has changed is known."""

    modified: int
    size: int


def read_folder(folder: Path) -> Files:
    """All that a job's folder holds."""
    return Files({path: (folder / path).read_bytes() for path in _listed(folder)})


def lay(folder: Path, files: Files) -> None:
    """Write files, each whole or not at all, and remove those that are gone.

    Raises:
        OSError: as `write_bytes`.
    """
    for path, content in files.changed.items():
        write_bytes(folder / path, content)
    for path in files.gone:
        (folder / path).unlink(missing_ok=True)


def _listed(folder: Path) -> dict[str, _Mark]:
    """Files of a job with their marks; whoever holds the folder says so there, and nowhere else."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.name not in (LEASE, HOLDER) and not is_draft(path):
            with contextlib.suppress(FileNotFoundError):
                if path.is_file():
                    found[str(path.relative_to(folder))] = _mark(path)
    return found


def _mark(path: Path) -> _Mark:
    seen = path.stat()
    return _Mark(seen.st_mtime_ns, seen.st_size)


def _place(path: str) -> tuple[bool, bool, str]:
    """Of a file in the order of writing: what is logged, states and predictions, the result."""
    return path == RESULT, "/" in path, path
