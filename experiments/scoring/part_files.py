"""What a part of a split leaves when it is counted: a file that says what it is of.

It holds the counts of its images and what their files hold, from which the reading of the values is
told once all parts are there: one that cannot be counted under the reading it was given leaves the
latter alone.
"""

import hashlib
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np

from datamodules.json_file import DamagedError
from datamodules.sealed_json import seal, unseal
from experiments.scoring.counts import Gathered, ImageCounts, Row
from experiments.scoring.part_identity import PartIdentity
from experiments.scoring.predictions import Files, FileValues
from experiments.trials.atomic_io import write_bytes

_VERSION = 1
_SUMS, _ROWS = ImageCounts._fields[:2], ImageCounts._fields[2:]
_NAMES = "files.json"  # of a part's predictions, so that it need not list those of all parts
_WORDS = {
    "part": "of another part",
    "split": "of another split",
    "data": "of other labels",
    "predictions": "of other predictions, or of files that have changed since",
    "reading": "of another reading of the values",
    "code": "of other code",
}


class PartCounts(NamedTuple):
    """Counts of a part's images; none where a file does not fit the reading."""

    counts: Gathered | None
    files: Files


def write_part(path: Path, identity: PartIdentity, part: PartCounts) -> None:
    """Write what a part leaves, whole or not at all."""
    arrays: dict[str, Row] = {}
    if part.counts is not None:
        arrays = dict(zip(_SUMS, (part.counts.matrix, part.counts.quarter), strict=True))
        if part.counts.rows:  # of no images there are none
            arrays |= dict(zip(_ROWS, part.counts.rows, strict=True))
    about = {
        "version": _VERSION,
        **asdict(identity),
        "counted": part.counts is not None,
        "files": [
            [index, sorted(file.values), file.kind, file.palette.hex()]
            for file, index in part.files.items()
        ],
        "hashes": {name: _content(array) for name, array in arrays.items()},
    }
    content = io.BytesIO()
    named = {"about": np.frombuffer(seal(about), np.uint8), **arrays}
    np.savez_compressed(content, **named)  # type: ignore[arg-type]
    write_bytes(path, content.getbuffer())


def _content(array: np.ndarray) -> str:
    return hashlib.blake2b(np.ascontiguousarray(array).data, digest_size=16).hexdigest()


@dataclass(frozen=True)
class PartFile:
    """What a part has left, of which the counts are read when they are asked for.

    Attributes:
        counted: whether its files fit the reading.
        files: what they hold, with the first image of the part that has it.
    """

    path: Path
    counted: bool
    files: Files
    hashes: dict[str, str]

    def add_to(self, counts: Gathered) -> None:
        """Add the counts of its images.

        Raises:
            DamagedError: other arrays than were written.
        """
        try:
            with self.path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
                arrays = {name: file[name] for name in self.hashes}
        except Exception as error:  # whatever numpy and zipfile raise of damaged bytes
            raise _damaged(self.path, type(error).__name__) from None
        if {name: _content(array) for name, array in arrays.items()} != self.hashes:
            raise _damaged(self.path, "its arrays have other bytes than were written")
        matrix, quarter = (arrays[name] for name in _SUMS)
        counts.extend(matrix, quarter, [arrays[name] for name in _ROWS if name in arrays])


def read_part(path: Path, identity: PartIdentity) -> PartFile:
    """What a part has left.

    Raises:
        FileNotFoundError: nothing.
        DamagedError: a damaged file, or one of something else than asked for.
    """
    try:
        # Of a path, numpy leaves a damaged file open.
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            content = file["about"].tobytes()
    except FileNotFoundError:
        raise
    except Exception as error:  # whatever numpy and zipfile raise of damaged bytes
        raise _damaged(path, type(error).__name__) from None
    about = unseal(content, str(path), "delete it and count this part again")
    if about.get("version") != _VERSION:
        raise DamagedError(f"{path} is of another version: delete it and count this part again")
    for field in fields(PartIdentity):
        if about[field.name] != getattr(identity, field.name):
            raise DamagedError(
                f"{path} is {_WORDS[field.name]}: delete it and count this part again"
            )
    files = {
        FileValues(frozenset(values), kind, bytes.fromhex(palette)): index
        for index, values, kind, palette in about["files"]  # type: ignore[attr-defined]
    }
    return PartFile(path, bool(about["counted"]), files, about["hashes"])  # type: ignore[arg-type]


def _damaged(path: Path, why: str) -> DamagedError:
    return DamagedError(f"{path} is damaged ({why}): delete it and count this part again")


def hand_out(folder: Path, names: Sequence[str]) -> None:
    """Tell a part the names of its prediction files."""
    write_bytes(folder / _NAMES, seal({"names": list(names)}))


def handed_out(folder: Path) -> list[str] | None:
    """The names that a part was told; None for one that was told none."""
    path = folder / _NAMES
    if not path.is_file():
        return None
    remedy = "give the command again that has started the parts"
    return cast("list[str]", unseal(path.read_bytes(), str(path), remedy)["names"])
