"""Writes the decoded copy of a split (`cache`), in several processes and over interruptions."""

import errno
import json
import os
import re
import shutil
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, replace
from multiprocessing import get_context
from pathlib import Path
from typing import cast

import numpy as np
from filelock import FileLock, SoftFileLease, Timeout

from datamodules.dataset import Progress
from datamodules.image_files import ImageFileDataset
from datamodules.json_file import as_object, read_json
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
from datamodules.parts import Part
from datamodules.whole_file import write_whole

_PLAN, _DONE = "plan.json", "done"  # files of a draft: what it is to be, and what is done
_WAIT = 600  # seconds for another process that makes room

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
    draft = _draft(folder)
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


def lay_out(
    data: ImageFileDataset, sizes: Sequence[tuple[int, int]], fingerprint: str, folder: Path
) -> None:
    """Make room for a decoded copy whose parts several machines write (`build_part`).

    What parts have written of the same copy stays. `build` goes on from there, which looks at all
    that they wrote; until it has, the copy does not appear.

    Raises:
        DataError: as `build`.
    """
    draft, plan = _draft(folder), _plan(data, sizes, fingerprint)
    try:
        draft.mkdir(parents=True, exist_ok=True)
        # Of a network's disk, on which `flock` may count on one machine alone.
        with SoftFileLease(folder.with_name(f".{folder.name}.layout"), timeout=_WAIT):
            _allocate(plan, draft)
    except Timeout:
        raise DataError(f"another process is laying out {draft}: wait for it to end") from None
    except OSError as error:
        raise DataError(f"no decoded copy can be written to {draft} ({error.strerror})") from None


def is_laid_out(folder: Path) -> bool:
    return (_draft(folder) / _PLAN).is_file()


def build_part(
    data: ImageFileDataset,
    folder: Path,
    part: Part,
    *,
    jobs: int | None = None,
    progress: Progress = lambda done, total: None,
) -> None:
    """Write the images of a part into a decoded copy that is laid out; noted when all are there.

    Raises:
        DataError: it is laid out for other images, or as `build`.
    """
    draft, images = _draft(folder), part.images(len(data))
    remedy = "give the command without --part, which writes it anew"
    plan = as_object(read_json(draft / _PLAN, remedy), str(draft / _PLAN), remedy)
    places = cast("list[Place]", plan["places"])
    if plan["ids"] != data.ids:
        raise DataError(f"{draft} is laid out for other images: {remedy}")
    done: Hashes = {}
    try:
        for index, pair in _decoded(data, places, draft, images, jobs):
            done[index] = pair
            progress(len(done), len(images))
        _flush(draft)
    except OSError as error:
        raise DataError(
            f"part {part} of a decoded copy cannot be written to {draft} ({error.strerror}): {ROOM}"
        ) from None
    lines = (f"{index} {' '.join(pair)}\n" for index, pair in sorted(done.items()))
    write_whole(_part_journal(draft, part), "".join(lines).encode(), ROOM)


def check_part_is_built(folder: Path, part: Part, num: int) -> None:
    """Look at what a part of `num` images has noted.

    Raises:
        FileNotFoundError: nothing.
        DataError: not all of its images.
    """
    path = _part_journal(_draft(folder), part)
    path.stat()
    if _journal(path).keys() != {*part.images(num)}:
        raise DataError(f"{path} does not have the images of part {part}: write it again")


def _draft(folder: Path) -> Path:
    return folder.with_name(folder.name + ".building")


def _part_journal(draft: Path, part: Part) -> Path:
    return draft / f"{_DONE}-{part.number}-of-{part.of}"


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
    with (draft / _DONE).open("a") as journal:
        for index, pair in _decoded(data, plan.places, draft, todo, jobs):
            hashes[index] = pair
            journal.write(f"{index} {' '.join(pair)}\n")
            journal.flush()
            progress(len(hashes), len(data))
    _flush(draft)
    stamps = {name: file_stamp(draft / name) for name in CACHE_FILES}
    ordered = [hashes[i] for i in range(len(data))]
    write_index(draft, replace(plan, hashes=ordered, stamps=stamps))
    for path in (*draft.glob(f"{_DONE}*"), draft / _PLAN):
        path.unlink()


def _decoded(
    data: ImageFileDataset,
    places: Sequence[Place],
    draft: Path,
    todo: Sequence[int],
    jobs: int | None,
) -> Iterator[tuple[int, tuple[str, str]]]:
    """Each of some images, as it is written, with its hashes."""
    # Not forked: a progress display runs threads beside.
    pool = ProcessPoolExecutor(jobs, get_context("spawn"), _Decoder.start, (data, draft))
    with pool:
        try:
            futures = [pool.submit(_Decoder.run, i, places[i]) for i in todo]
            for future in as_completed(futures):
                index, image, mask = future.result()
                yield index, (image, mask)
        except BrokenProcessPool:
            raise DataError(WAS_KILLED) from None
        finally:
            pool.shutdown(cancel_futures=True)


def _flush(draft: Path) -> None:
    for name in CACHE_FILES:
        with (draft / name).open("rb") as file:
            os.fsync(file.fileno())


def _bytes(plan: CacheIndex) -> int:
    return plan.pixels * sum(CACHE_FILES.values())


def _allocate(plan: CacheIndex, draft: Path) -> Hashes:
    """Files of their full size, or those of a build of the same plan that was stopped, and what
    that noted as done."""
    sizes = {name: max(1, plan.pixels * depth) for name, depth in CACHE_FILES.items()}
    content = json.dumps(asdict(plan)).encode()
    try:
        whole = all((draft / name).stat().st_size == size for name, size in sizes.items())
        if whole and (draft / _PLAN).read_bytes() == content:
            journals = [_journal(path) for path in sorted(draft.glob(f"{_DONE}*"))]
            return {index: pair for journal in journals for index, pair in journal.items()}
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
    write_whole(draft / _PLAN, content, ROOM)
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
