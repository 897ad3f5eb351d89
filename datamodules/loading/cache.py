"""A decoded copy of a split, so that training never waits for PNG or JPEG.

`images.bin` and `masks.bin` hold the pixels of one image after another, of whatever sizes, and are
mapped into memory: a crop reads its own pages and nothing else, and processes share them.
`index.json` says where each image lies, and holds a hash of each. Masks are class indices.
"""

import hashlib
import json
import os
import re
import shutil
import signal
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import cached_property
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from datamodules import open_data
from datamodules.dataset import Dataset, Progress
from datamodules.image_files import ImageFileDataset, cache_home
from datamodules.labels import DataError, LabelSet, UInt8

_VERSION = 1
_FILES = {"images.bin": 3, "masks.bin": 1}  # bytes a pixel

Place = tuple[int, int, int]  # of an image: height, width, and pixels before it


def folder_of(spec: str, split: str, root: Path) -> Path:
    """Where the decoded copy of a split is kept."""
    name = re.sub(r"[:/\s]+", "-", f"{spec}-{split}")
    return cache_home() / "decoded" / f"{name}-{_digest(str(root.resolve()).encode())[:8]}"


class Decoded:
    """A split, read from its decoded copy; images and masks are views that cannot be written to."""

    def __init__(self, labels: LabelSet, folder: Path) -> None:
        self.labels, self.folder = labels, folder
        index = json.loads((folder / "index.json").read_text())
        self.ids: list[str] = index["ids"]
        self.groups: list[str] = index["groups"]
        self._places: list[Place] = index["places"]
        self._fingerprint: str = index["fingerprint"]

    def __len__(self) -> int:
        return len(self.ids)

    def __reduce__(self) -> tuple[type["Decoded"], tuple[LabelSet, Path]]:
        return Decoded, (self.labels, self.folder)  # a pickled map would be a copy of the pixels

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


def open_decoded(labels: LabelSet, folder: Path, fingerprint: str, rebuild: str) -> Decoded | None:
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
        index = json.loads((folder / "index.json").read_text())
        stamps = {name: _stamp(folder / name) for name in _FILES}
    except (OSError, ValueError) as error:
        raise DataError(f"the decoded copy {folder} is damaged ({error}): {rebuild}") from None
    if index["version"] != _VERSION or index["fingerprint"] != fingerprint:
        raise DataError(
            f"the decoded copy {folder} is stale, the files have changed since it was made: "
            f"{rebuild}"
        )
    if index["stamps"] != stamps:
        damaged = _damaged(folder, index)
        if damaged:
            raise DataError(
                f"the decoded copy {folder} is damaged, in {len(damaged)} images, the first "
                f"{damaged[0]}: {rebuild}"
            )
        index["stamps"] = stamps  # moved or copied whole
        _write(folder / "index.json", index)
    return Decoded(labels, folder)


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


def build(
    data: ImageFileDataset,
    sizes: Sequence[tuple[int, int]],
    fingerprint: str,
    folder: Path,
    *,
    jobs: int | None = None,
    progress: Progress = lambda done, total: None,
) -> None:
    """Write the decoded copy; what was stopped goes on where it was, and appears whole or not.

    Args:
        sizes: height and width of each image.
        progress: is called with the number of images done and to do.

    Raises:
        DataError: too little room, which says how much is needed; a file that cannot be decoded or
            has changed; another process that builds the same.
    """
    draft = folder.with_name(folder.name + ".building")
    try:
        draft.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"no decoded copy can be written to {draft} ({error.strerror}): name another folder "
            "with the environment variable SEGMENTATION_LAB_CACHE"
        ) from None
    try:
        with FileLock(folder.with_name(f".{folder.name}.lock"), timeout=0):
            _build(data, _plan(data, sizes, fingerprint), draft, jobs, progress)
            if folder.exists():
                shutil.rmtree(folder)
            draft.rename(folder)
    except Timeout:
        raise DataError(f"another process is writing {draft}: wait for it to end") from None


def _plan(
    data: ImageFileDataset, sizes: Sequence[tuple[int, int]], fingerprint: str
) -> dict[str, Any]:
    before = np.cumsum([0, *(height * width for height, width in sizes)]).tolist()
    places = [[*size, start] for size, start in zip(sizes, before[:-1], strict=True)]
    return {
        "version": _VERSION,
        "fingerprint": fingerprint,
        "ids": data.ids,
        "groups": data.groups,
        "places": places,
        "pixels": before[-1],
    }


def _build(
    data: ImageFileDataset,
    plan: dict[str, Any],
    draft: Path,
    jobs: int | None,
    progress: Progress,
) -> None:
    _allocate(plan, draft)
    hashes = _journal(draft / "done")
    # After a loss of power, what was noted as done may not have reached the disk.
    hashes = {i: pair for i, pair in hashes.items() if _is_whole(draft, plan["places"][i], pair)}
    todo = [i for i in range(len(data)) if i not in hashes]
    progress(len(hashes), len(data))
    # Not forked: a progress display runs threads beside.
    pool = ProcessPoolExecutor(jobs, get_context("spawn"), _Decoder.start, (data, draft))
    with pool, (draft / "done").open("a") as journal:
        try:
            futures = [pool.submit(_Decoder.run, i, plan["places"][i]) for i in todo]
            for future in as_completed(futures):
                index, *pair = future.result()
                hashes[index] = pair
                journal.write(f"{index} {' '.join(pair)}\n")
                journal.flush()
                progress(len(hashes), len(data))
        finally:
            pool.shutdown(cancel_futures=True)
    for name in _FILES:
        with (draft / name).open("rb") as file:
            os.fsync(file.fileno())
    (draft / "done").unlink()
    (draft / "plan.json").unlink()
    stamps = {name: _stamp(draft / name) for name in _FILES}
    ordered = [hashes[i] for i in range(len(data))]
    _write(draft / "index.json", {**plan, "hashes": ordered, "stamps": stamps})


def _allocate(plan: dict[str, Any], draft: Path) -> None:
    """Files of their full size, or those of a build of the same plan that was stopped."""
    record = draft / "plan.json"
    if record.is_file() and json.loads(record.read_text()) == plan:
        return
    shutil.rmtree(draft)
    draft.mkdir()
    need, free = plan["pixels"] * sum(_FILES.values()), shutil.disk_usage(draft).free
    if need > free:
        draft.rmdir()
        raise DataError(
            f"the decoded copy takes {need / 1e9:.2f} GB and {free / 1e9:.2f} GB are free at "
            f"{draft.parent}: make room, or name a folder on another disk with the environment "
            "variable SEGMENTATION_LAB_CACHE"
        )
    for name, depth in _FILES.items():
        with (draft / name).open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(1, plan["pixels"] * depth))
    _write(record, plan)


def _journal(path: Path) -> dict[int, list[str]]:
    """Hashes of the image and the mask of what is decoded already, by index."""
    lines = path.read_text().splitlines() if path.is_file() else []
    parts = [line.split() for line in lines]
    return {int(index): pair for index, *pair in parts if len(pair) == 2 and len(pair[1]) == 32}


class _Decoder:
    """What a process that decodes is told once, at its start, because it may be large."""

    data: ImageFileDataset
    draft: Path

    @classmethod
    def start(cls, data: ImageFileDataset, draft: Path) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # who started it stops it
        cls.data, cls.draft = data, draft

    @classmethod
    def run(cls, index: int, place: Place) -> tuple[int, str, str]:
        height, width, before = place
        image, mask = cls.data[index]
        if mask.shape != (height, width):
            raise DataError(
                f"{cls.data.samples[index].image} is no longer {width}x{height}: let the data set "
                "be, and check it again"
            )
        hashes = []
        for (name, depth), pixels in zip(_FILES.items(), (image, mask), strict=True):
            content = np.ascontiguousarray(pixels).tobytes()
            with (cls.draft / name).open("rb+") as file:
                os.pwrite(file.fileno(), content, before * depth)
            hashes.append(_digest(content))
        return index, hashes[0], hashes[1]


def _damaged(folder: Path, index: dict[str, Any]) -> list[str]:
    """Ids of the images whose pixels are not those that were written."""
    rows = zip(index["ids"], index["places"], index["hashes"], strict=True)
    return [id for id, place, hashes in rows if not _is_whole(folder, place, hashes)]


def _is_whole(folder: Path, place: Place, hashes: Sequence[str]) -> bool:
    """Whether image and mask have the pixels that were written."""
    height, width, before = place
    for (name, depth), expected in zip(_FILES.items(), hashes, strict=True):
        with (folder / name).open("rb") as file:
            content = os.pread(file.fileno(), height * width * depth, before * depth)
        if _digest(content) != expected:
            return False
    return True


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _stamp(path: Path) -> list[int]:
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns]


def _write(path: Path, value: object) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(json.dumps(value))
    draft.replace(path)
