"""All that is counted of an image, and work on many images by several processes.

Counts are whole numbers that add up over images, so neither the order of the images nor the number
of processes changes a figure.
"""

import math
import os
import signal
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import NamedTuple, TypeVar, cast

import cv2
import numpy as np
import numpy.typing as npt

from datamodules.labels import UInt8
from datamodules.parent_process import end_with_parent
from experiments.scoring import boundary, objects

Counts = npt.NDArray[np.int64]
Compact = npt.NDArray[np.int32]
Row = np.ndarray  # of whole numbers
Fractions = npt.NDArray[np.float64]
T = TypeVar("T")

FRACTION = 0.02  # of the diagonal, within which Boundary IoU compares contours
_IN_MEMORY = 2**28  # bytes of rows; more are kept on disk
_ALONE = 32  # images, below which starting processes takes longer than counting here
_CHUNK = 4  # images a process takes at once: so that Ctrl-C ends them in about a second


def confusion_with_void(truth: UInt8, prediction: UInt8, num_classes: int) -> Counts:
    """Counts (K + 1, K + 1) of one image, rows truth, columns prediction; void is last in both."""
    # Of 16 bits: at most 254 classes and void make 255 rows.
    rows, columns = np.minimum(truth, num_classes), np.minimum(prediction, num_classes)
    cells = rows.astype(np.uint16) * np.uint16(num_classes + 1) + columns
    counts = np.bincount(cells.ravel(), minlength=(num_classes + 1) ** 2)
    return counts.reshape(num_classes + 1, num_classes + 1)


def confusion(truth: UInt8, prediction: UInt8, num_classes: int) -> Counts:
    """Counts (K, K) of one image, of the pixels that are void in neither."""
    return confusion_with_void(truth, prediction, num_classes)[:-1, :-1]


def outcomes(matrix: Counts) -> Counts:
    """tp, fp and fn of each class, (3, K).

    Args:
        matrix: (K, K), or (K, K + 1) with predicted void, which is an error of the true class.
    """
    tp = matrix.diagonal()
    return np.stack([tp, matrix.sum(0)[: len(tp)] - tp, matrix.sum(1) - tp])


def class_iou(tp: Counts, fp: Counts, fn: Counts) -> Fractions:
    """tp / (tp + fp + fn), of any one shape; NaN for a class that neither truth nor prediction has.

    As in cityscapesScripts' evaluator. A class that is predicted but absent counts as 0.
    """
    union = tp + fp + fn
    iou: Fractions = np.full(union.shape, np.nan)
    np.divide(tp, union, out=iou, where=union > 0)
    return iou


def finite_mean(values: Fractions) -> float | None:
    """The mean without NaN; None where nothing is left."""
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if finite.size else None


def image_miou(tp: Counts, fp: Counts, fn: Counts) -> Fractions:
    """mIoU of each of n images, of counts (n, K), over the classes in its truth or prediction.

    NaN for an image without a scored pixel.
    """
    means = (finite_mean(iou) for iou in class_iou(tp, fp, fn))
    return np.array([np.nan if mean is None else mean for mean in means])


class ImageCounts(NamedTuple):
    """Of one image: what is summed at once, and what is kept of each image."""

    matrix: Counts
    """(K + 1, K + 1), with void last."""
    quarter: Counts
    whole: Counts
    """(3, K) tp, fp and fn."""
    band: Compact
    boundary: Compact
    area: Counts
    width: Counts


def count(truth: UInt8, prediction: UInt8, num_classes: int) -> ImageCounts:
    """All counts of one image.

    Args:
        truth: (H, W) class indices, 255 for void.
        prediction: (H, W) class indices, 255 where it gives none.
    """
    matrix = confusion_with_void(truth, prediction, num_classes)
    quarter = confusion_with_void(truth[::4, ::4], prediction[::4, ::4], num_classes)
    each = objects.objects(truth, prediction)
    return ImageCounts(
        matrix,
        outcomes(quarter[:-1]),
        outcomes(matrix[:-1]),
        boundary.bands(truth, prediction, num_classes).astype(np.int32),
        boundary.boundary_counts(truth, prediction, num_classes, FRACTION).astype(np.int32),
        objects.binned(each, num_classes, objects.AREAS, "area"),
        objects.binned(each, num_classes, objects.WIDTHS, "width"),
    )


class Gathered:
    """Counts of `num` images of a split, as far as they were added, in order.

    Of 19 classes a row takes 9 KB, so that those of a million images lie in a file that has no name
    and is mapped into memory, of which the system holds what it has room for.

    Attributes:
        matrix: (K + 1, K + 1), with void last, over all that were added.
        quarter: (3, K), likewise.
        done: how many were added.
        rows: of each count of single images, those of `ImageCounts` from `whole` on, (num, ...);
            empty before the first image.
    """

    def __init__(self, num: int, num_classes: int) -> None:
        self.matrix: Counts = np.zeros((num_classes + 1, num_classes + 1), np.int64)
        self.quarter: Counts = np.zeros((3, num_classes), np.int64)
        self.rows: list[Row] = []
        self._num, self.done = num, 0

    @property
    def whole(self) -> bool:
        """Whether all images were added."""
        return self.done == self._num

    def add(self, image: ImageCounts) -> None:
        """The next image's counts."""
        self.extend(image.matrix, image.quarter, [row[None] for row in image[2:]])

    def extend(self, matrix: Counts, quarter: Counts, rows: Sequence[Row]) -> None:
        """Those of the next images: both sums over them, and rows that begin with their number."""
        self.matrix += matrix
        self.quarter += quarter
        if not rows:
            return
        self.rows = self.rows or _allocated(self._num, rows)
        first, self.done = self.done, self.done + len(rows[0])
        for kept, new in zip(self.rows, rows, strict=True):
            kept[first : self.done] = new


def _allocated(num: int, rows: Sequence[Row]) -> list[Row]:
    shapes = [(num, *row.shape[1:]) for row in rows]
    sizes = (math.prod(shape) * row.dtype.itemsize for shape, row in zip(shapes, rows, strict=True))
    if sum(sizes) <= _IN_MEMORY:
        return [np.empty(shape, row.dtype) for shape, row in zip(shapes, rows, strict=True)]
    return [_on_disk(shape, row.dtype) for shape, row in zip(shapes, rows, strict=True)]


def _on_disk(shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> Row:
    """An array in a file that is gone with it."""
    with tempfile.TemporaryFile() as file:
        # A map of a file that the disk has no room for ends the process when it is written to.
        os.posix_fallocate(file.fileno(), 0, math.prod(shape) * dtype.itemsize)
        return np.memmap(file, dtype, "w+", shape=shape)


def in_order(work: Callable[[int], T], num: int, jobs: int) -> Iterator[T]:
    """`work` of 0 to num - 1, in this process where others would not pay for their start.

    Raises:
        ValueError: a process was killed.
    """
    if jobs == 1 or num < _ALONE:
        yield from map(work, range(num))
        return
    # Spawned, since OpenCV's threads do not survive a fork.
    pool = ProcessPoolExecutor(min(jobs, num), get_context("spawn"), _start, (work,))
    try:
        # What is blocked stays so in them, since this process ends them; here it is only put off.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            results = pool.map(_run, range(num), chunksize=_CHUNK)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        yield from cast("Iterator[T]", results)
    except BrokenProcessPool:
        raise ValueError(
            f"one of {jobs} processes was killed, perhaps for want of memory: give fewer --jobs"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


_work: Callable[[int], object]  # told to each process once, because lists of files may be long


def _start(work: Callable[[int], object]) -> None:
    global _work
    end_with_parent()
    _work = work
    cv2.setNumThreads(1)


def _run(index: int) -> object:
    return _work(index)
