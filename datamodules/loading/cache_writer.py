"""Writes the decoded copy of a split (`cache`), in several processes and over interruptions."""

import errno
import json
import os
import re
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
    ROOM,
    CacheIndex,
    Place,
    content_hash,
    file_stamp,
    is_whole,
    write_index,
)
from datamodules.parent_process import WAS_KILLED, end_with_parent
from datamodules.whole_file import write_whole

Hashes = dict[int, tuple[str, str]]  # of the image and the mask, by index


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
        DataError: too little room, which says how much is needed; a folder that cannot be written
            to; a file that cannot be decoded or has changed; another process that builds the same.
    """
    draft = folder.with_name(folder.name + ".building")
    plan = _plan(data, sizes, fingerprint)
    try:
        draft.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f".{folder.name}.lock"), timeout=0):
            _build(data, plan, draft, jobs, progress)
            if folder.exists():
                shutil.rmtree(folder)
            draft.rename(folder)
    except Timeout:
        raise DataError(f"another process is writing {draft}: wait for it to end") from None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            shutil.rmtree(draft, ignore_errors=True)
        raise DataError(
            f"no decoded copy can be written to {draft} ({error.strerror}): it takes "
            f"{_bytes(plan) / 1e9:.2f} GB ({_bytes(plan)} bytes); {ROOM}"
        ) from None


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
    # After a loss of power, what was noted as done may not have reached the disk.
    noted = {i: pair for i, pair in _allocate(plan, draft).items() if i < len(data)}
    hashes = {i: pair for i, pair in noted.items() if is_whole(draft, plan.places[i], pair)}
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
    stamps = {name: file_stamp(draft / name) for name in CACHE_FILES}
    ordered = [hashes[i] for i in range(len(data))]
    write_index(draft, replace(plan, hashes=ordered, stamps=stamps))
    (draft / "done").unlink()
    (draft / "plan.json").unlink()


def _bytes(plan: CacheIndex) -> int:
    return plan.pixels * sum(CACHE_FILES.values())


def _allocate(plan: CacheIndex, draft: Path) -> Hashes:
    """Files of their full size, or those of a build of the same plan that was stopped, and what
    that noted as done."""
    sizes = {name: max(1, plan.pixels * depth) for name, depth in CACHE_FILES.items()}
    content = json.dumps(asdict(plan)).encode()
    try:
        whole = all((draft / name).stat().st_size == size for name, size in sizes.items())
        if whole and (draft / "plan.json").read_bytes() == content:
            return _journal(draft / "done")
    except OSError:  # as good as none
        pass
    shutil.rmtree(draft)
    draft.mkdir()
    need, free = _bytes(plan), shutil.disk_usage(draft).free
    if need > free:
        draft.rmdir()
        raise DataError(
            f"the decoded copy takes {need / 1e9:.2f} GB and {free / 1e9:.2f} GB are free at "
            f"{draft} ({need} bytes of {free}): {ROOM}"
        )
    for name, size in sizes.items():
        with (draft / name).open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, size)
    # Last: without it, all of it is allocated again.
    write_whole(draft / "plan.json", content, ROOM)
    return {}


def _journal(path: Path) -> Hashes:
    """What is decoded already; of a line that is not whole, nothing."""
    text = path.read_text("ascii", "replace") if os.path.lexists(path) else ""
    lines = re.findall(r"^(\d{1,9}) ([0-9a-f]{32}) ([0-9a-f]{32})$", text, re.MULTILINE)
    return {int(index): (image, mask) for index, image, mask in lines}


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
