"""A decoded copy of a split, so that training never waits for PNG or JPEG.

`images.bin` and `masks.bin` hold the pixels of one image after another, of whatever sizes, and are
mapped into memory: a crop reads its own pages and nothing else, and processes share them.
`index.json` says where each image lies, and holds a hash of each. Masks are class indices.
`cache_writer` makes it.
"""

import hashlib
import json
import os
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from datamodules import open_data
from datamodules.dataset import Dataset
from datamodules.image_files import cache_home
from datamodules.labels import DataError, LabelSet, UInt8

CACHE_VERSION = 1
CACHE_FILES = {"images.bin": 3, "masks.bin": 1}  # bytes a pixel

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
    """Size and time of change of each file; pixels are hashed again only if these differ."""


def read_index(folder: Path) -> CacheIndex:
    """The index of a decoded copy.

    Raises:
        OSError, TypeError, ValueError: one that is damaged, or of another version.
    """
    return CacheIndex(**json.loads((folder / "index.json").read_text()))


def write_index(folder: Path, index: CacheIndex) -> None:
    path = folder / "index.json"
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(json.dumps(asdict(index)))
    draft.replace(path)


def folder_of(spec: str, split: str, root: Path) -> Path:
    """Where the decoded copy of a split is kept."""
    name = re.sub(r"[:/\s]+", "-", f"{spec}-{split}")
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
    labels: LabelSet, folder: Path, fingerprint: str, rebuild: str
) -> DecodedCopy | None:
    """The decoded copy, or None where there is none.

    Args:
        fingerprint: of the files as they are now.
        rebuild: the command that makes it anew, for messages.

    Raises:
        DataError: a copy of other files than these, or a damaged one.
    """
    if not folder.is_dir():
        return None
    try:
        index = read_index(folder)
        stamps = {name: file_stamp(folder / name) for name in CACHE_FILES}
    except (OSError, TypeError, ValueError) as error:
        raise DataError(f"the decoded copy {folder} is damaged ({error}): {rebuild}") from None
    if index.version != CACHE_VERSION or index.fingerprint != fingerprint:
        raise DataError(
            f"the decoded copy {folder} is stale, the files have changed since it was made: "
            f"{rebuild}"
        )
    if index.stamps != stamps:
        damaged = _damaged(folder, index)
        if damaged:
            raise DataError(
                f"the decoded copy {folder} is damaged, in {len(damaged)} images, the first "
                f"{damaged[0]}: {rebuild}"
            )
        write_index(folder, replace(index, stamps=stamps))  # moved or copied whole
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
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns]
