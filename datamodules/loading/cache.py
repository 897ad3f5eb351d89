"""A decoded copy of a split, so that training never waits for PNG or JPEG.

`images.bin` and `masks.bin` hold the pixels of one image after another, of whatever sizes, and are
mapped into memory: a crop reads its own pages and nothing else, and processes share them.
`index.json` says where each image lies, and holds a hash of each and of itself. Masks are class
indices. `cache_writer` makes it.
"""

import hashlib
import os
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np

from datamodules import open_data
from datamodules.dataset import Dataset
from datamodules.file_names import shortened
from datamodules.image_files import cache_home
from datamodules.json_file import DamagedError
from datamodules.labels import DataError, LabelSet, UInt8
from datamodules.sealed_json import seal, unseal
from datamodules.whole_file import write_whole

CACHE_VERSION = 2
CACHE_FILES = {"images.bin": 3, "masks.bin": 1}  # bytes a pixel
ROOM = (  # how to go on where it is lacking
    "make room, or name a folder on another disk with the environment variable "
    "SEGMENTATION_LAB_CACHE"
)

Place = tuple[int, int, int]  # of an image: height, width, and pixels before it


@dataclass(frozen=True, kw_only=True)
class CacheIndex:
    """`index.json`: what a decoded copy holds; lists have an entry an image."""

    version: int
    fingerprint: str
    """Of the files that were decoded."""
    ids: list[str]
    groups: list[str]
    places: list[Place]
    pixels: int
    hashes: list[tuple[str, str]]
    """Of the pixels of the image, and of those of the mask."""
    stamps: dict[str, list[int]]
    """Size and times of change of each file; pixels are hashed again only if these differ."""


class DamagedCopyError(DataError):
    """A decoded copy that is not as it was written, or is of another version."""


def read_index(folder: Path) -> CacheIndex:
    """The index of a decoded copy.

    Raises:
        OSError, DamagedError: one that is not there, damaged, or of another version.
    """
    path = folder / "index.json"
    value = unseal(path.read_bytes(), str(path), "make it again")
    if value.get("version") != CACHE_VERSION:
        raise DamagedError(f"{path} is of version {value.get('version')}: make it again")
    return CacheIndex(**cast(dict[str, Any], value))  # of these types, as the seal is whole


def write_index(folder: Path, index: CacheIndex) -> None:
    """Raises: DataError where it cannot be written."""
    write_whole(folder / "index.json", seal(asdict(index)), ROOM)


def folder_of(spec: str, split: str, root: Path) -> Path:
    """Where the decoded copy of a split is kept."""
    name = shortened(re.sub(r"[:/\s]+", "-", f"{spec}-{split}"), 200)
    return cache_home() / "decoded" / f"{name}-{content_hash(str(root.resolve()).encode())[:8]}"


class DecodedCopy:
    """A split, read from its decoded copy; images and masks are views that cannot be written to."""

    def __init__(self, labels: LabelSet, folder: Path) -> None:
        self.labels, self.folder = labels, folder
        index = read_index(folder)
        self.ids, self.groups = index.ids, index.groups
        self._places, self._fingerprint = index.places, index.fingerprint

    def __len__(self) -> int:
        return len(self.ids)

    def __reduce__(self) -> tuple[type["DecodedCopy"], tuple[LabelSet, Path]]:
        return DecodedCopy, (self.labels, self.folder)  # a pickled map would be a copy of pixels

    @cached_property
    def _images(self) -> UInt8:
        return np.memmap(self.folder / "images.bin", np.uint8, "r")

    @cached_property
    def _masks(self) -> UInt8:
        return np.memmap(self.folder / "masks.bin", np.uint8, "r")

    def __getitem__(self, index: int) -> tuple[UInt8, UInt8]:
        height, width, before = self._places[index]
        first, last = 3 * before, 3 * (before + height * width)
        image = self._images[first:last].reshape(height, width, 3)
        return np.asarray(image), self.mask(index)

    def mask(self, index: int) -> UInt8:
        height, width, before = self._places[index]
        return np.asarray(self._masks[before : before + height * width].reshape(height, width))

    def fingerprint(self) -> str:
        return self._fingerprint


def open_decoded(
    labels: LabelSet, folder: Path, fingerprint: str, rebuild: str, *, deep: bool = False
) -> DecodedCopy | None:
    """The decoded copy, or None where there is none.

    Args:
        fingerprint: of the files as they are now.
        rebuild: the command that makes it anew, for messages.
        deep: hash all pixels, also where no time of change says that they were touched.

    Raises:
        DamagedCopyError: a damaged copy.
        DataError: a copy of other files than these.
    """
    if not folder.is_dir():
        return None
    try:
        index = read_index(folder)
        stamps = {name: file_stamp(folder / name) for name in CACHE_FILES}
        touched = index.stamps != stamps
        damaged = _damaged(folder, index) if touched or deep else []
    except (OSError, DamagedError) as error:
        raise DamagedCopyError(
            f"the decoded copy {folder} is damaged ({error}): {rebuild}"
        ) from None
    if damaged:
        raise DamagedCopyError(
            f"the decoded copy {folder} is damaged, in {len(damaged)} images, the first "
            f"{damaged[0]}: {rebuild}"
        )
    if index.fingerprint != fingerprint:
        raise DataError(
            f"the decoded copy {folder} is stale, the files have changed since it was made: "
            f"{rebuild}"
        )
    if touched:  # moved or copied whole; one that nobody may write to is hashed each time
        with suppress(DataError):
            write_index(folder, replace(index, stamps=stamps))
    return DecodedCopy(labels, folder)


def open_cached(spec: str, split: str, root: Path | None, fingerprint: str) -> Dataset:
    """The decoded copy of a split where there is one, else its files.

    Raises:
        DataError: as `open_decoded` and `open_data`.
    """
    data = open_data(spec, split, root)
    if root is None:
        return data
    rebuild = (
        f"make it again with python -m experiments.data cache {spec} --data-root {root} "
        f"--split {split} --rebuild, or delete it"
    )
    copy = open_decoded(data.labels, folder_of(spec, split, root), fingerprint, rebuild)
    return copy or data


def _damaged(folder: Path, index: CacheIndex) -> list[str]:
    """Ids of the images whose pixels are not those that were written."""
    rows = zip(index.ids, index.places, index.hashes, strict=True)
    return [id for id, place, hashes in rows if not is_whole(folder, place, hashes)]


def is_whole(folder: Path, place: Place, hashes: Sequence[str]) -> bool:
    """Whether image and mask have the pixels that were written."""
    height, width, before = place
    for (name, depth), expected in zip(CACHE_FILES.items(), hashes, strict=True):
        with (folder / name).open("rb") as file:
            content = os.pread(file.fileno(), height * width * depth, before * depth)
        if content_hash(content) != expected:
            return False
    return True


def content_hash(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def file_stamp(path: Path) -> list[int]:
    """Of its times, the last is set by every change, also by those that set the first back."""
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]
