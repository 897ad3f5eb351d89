"""A check in parts, which several machines read at once; `checked` judges what all have found."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from datamodules.dataset import Progress
from datamodules.image_files import ImageFileDataset
from datamodules.json_file import DamagedError
from datamodules.labels import DataError
from datamodules.parts import Part
from datamodules.validation.check import inspect_pairs, open_splits, stamps_of, tables_of
from datamodules.validation.image_checks import ImageCheck
from datamodules.validation.kept_checks import KeptChecks, Key, Stamp, read, write

_AGAIN = "delete it and check this part again"


class CheckParts:
    """The pairs of some splits, in parts.

    Raises:
        DataError: a named split, or every split, cannot be opened; or they are no files.
    """

    def __init__(self, spec: str, root: Path | None, splits: Sequence[str] | None) -> None:
        self._opened = open_splits(spec, root, splits)
        if not all(isinstance(split, ImageFileDataset) for split in self._opened.data.values()):
            raise DataError(f"{spec} is made, not read: it is checked here, in one part")
        self._tables = tables_of(self._opened)

    def __len__(self) -> int:
        """Pairs of an image and its labels."""
        return len(self._stamps)

    @cached_property
    def _stamps(self) -> dict[Key, Stamp]:
        return stamps_of(self._opened)

    def inspect(self, part: Part, path: Path, jobs: int | None, progress: Progress) -> None:
        """Read the pairs of a part, and keep in a file what is found.

        Raises:
            DataError: the file cannot be written.
        """
        checks: dict[Key, ImageCheck] = {}
        stamps = stamps_of(self._opened, part)  # before reading: who writes meanwhile is found out
        inspect_pairs(self._opened, checks, jobs, progress, part)
        stamped = {key: (stamps[key], check) for key, check in checks.items()}
        write(path, KeptChecks(self._tables, stamped), "make room, or name another --checks")

    def read(self, part: Part, path: Path) -> KeptChecks:
        """What was found of a part.

        Raises:
            FileNotFoundError: nothing.
            DamagedError: a damaged file, or one of other pairs or of files that have changed since.
        """
        kept = read(path, _AGAIN)
        if kept is None:
            raise DamagedError(f"{path} is of another version: {_AGAIN}")
        if kept.unchanged(self._tables, self._stamps).keys() != self._opened.places(part).keys():
            raise DamagedError(
                f"{path} is of other files than part {part}, or they have changed since: {_AGAIN}"
            )
        return kept
