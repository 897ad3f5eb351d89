"""Writes the decoded copy of a split (`cache`), in several processes and over interruptions."""

import json
import os
import shutil
import signal
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from datamodules.dataset import Progress
from datamodules.image_files import ImageFileDataset
from datamodules.labels import DataError
from datamodules.loading.cache import (
    CACHE_FILES,
    CACHE_VERSION,
    CacheIndex,
    Place,
    content_hash,
    file_stamp,
    is_whole,
    write_index,
)
from datamodules.parent_process import WAS_KILLED, end_with_parent


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


def _plan(data: ImageFileDataset, sizes: Sequence[tuple[int, int]], fingerprint: str) -> CacheIndex:
    """The index of a copy of which nothing is written yet."""
    before = np.cumsum([0, *(height * width for height, width in sizes)]).tolist()
    return CacheIndex(
        version=CACHE_VERSION,
        fingerprint=fingerprint,
        ids=data.ids,
        groups=data.groups,
        places=[(*size, start) for size, start in zip(sizes, before[:-1], strict=True)],
        pixels=before[-1],
        hashes=[],
        stamps={},
    )


def _build(
    data: ImageFileDataset,
    plan: CacheIndex,
    draft: Path,
    jobs: int | None,
    progress: Progress,
) -> None:
    _allocate(plan, draft)
    hashes = _journal(draft / "done")
    # After a loss of power, what was noted as done may not have reached the disk.
    hashes = {i: pair for i, pair in hashes.items() if is_whole(draft, plan.places[i], pair)}
    todo = [i for i in range(len(data)) if i not in hashes]
    progress(len(hashes), len(data))
    # Not forked: a progress display runs threads beside.
    pool = ProcessPoolExecutor(jobs, get_context("spawn"), _Decoder.start, (data, draft))
    with pool, (draft / "done").open("a") as journal:
        try:
            futures = [pool.submit(_Decoder.run, i, plan.places[i]) for i in todo]
            for future in as_completed(futures):
                index, *pair = future.result()
                hashes[index] = (pair[0], pair[1])
                journal.write(f"{index} {' '.join(pair)}\n")
                journal.flush()
                progress(len(hashes), len(data))
        except BrokenProcessPool:
            raise DataError(WAS_KILLED) from None
        finally:
            pool.shutdown(cancel_futures=True)
    for name in CACHE_FILES:
        with (draft / name).open("rb") as file:
            os.fsync(file.fileno())
    (draft / "done").unlink()
    (draft / "plan.json").unlink()
    stamps = {name: file_stamp(draft / name) for name in CACHE_FILES}
    ordered = [hashes[i] for i in range(len(data))]
    write_index(draft, replace(plan, hashes=ordered, stamps=stamps))


def _allocate(plan: CacheIndex, draft: Path) -> None:
    """Files of their full size, or those of a build of the same plan that was stopped."""
    written, text = draft / "plan.json", json.dumps(asdict(plan))
    if written.is_file() and written.read_text() == text:
        return
    shutil.rmtree(draft)
    draft.mkdir()
    need, free = plan.pixels * sum(CACHE_FILES.values()), shutil.disk_usage(draft).free
    if need > free:
        draft.rmdir()
        raise DataError(
            f"the decoded copy takes {need / 1e9:.2f} GB and {free / 1e9:.2f} GB are free at "
            f"{draft.parent}: make room, or name a folder on another disk with the environment "
            "variable SEGMENTATION_LAB_CACHE"
        )
    for name, depth in CACHE_FILES.items():
        with (draft / name).open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(1, plan.pixels * depth))
    written.write_text(text)  # last: without it, all of it is allocated again


def _journal(path: Path) -> dict[int, tuple[str, str]]:
    """Hashes of the image and the mask of what is decoded already, by index."""
    lines = path.read_text().splitlines() if path.is_file() else []
    parts = [line.split() for line in lines]
    whole = [part for part in parts if len(part) == 3 and len(part[2]) == 32]
    return {int(index): (image, mask) for index, image, mask in whole}


class _Decoder:
    """What a process that decodes is told once, at its start, because it may be large."""

    data: ImageFileDataset
    draft: Path

    @classmethod
    def start(cls, data: ImageFileDataset, draft: Path) -> None:
        end_with_parent()
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
        for (name, depth), pixels in zip(CACHE_FILES.items(), (image, mask), strict=True):
            content = np.ascontiguousarray(pixels).tobytes()
            with (cls.draft / name).open("rb+") as file:
                os.pwrite(file.fileno(), content, before * depth)
            hashes.append(content_hash(content))
        return index, hashes[0], hashes[1]
