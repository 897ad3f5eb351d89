"""The stride ceiling: how much of its own labels a data set keeps on a coarse grid, without torch.

True labels become one vector of class shares for each cell of stride x stride pixels, as an ideal
classifier at that stride would give them. The vectors are brought back bilinearly as networks
bring back their logits (align_corners=False), and each pixel takes its largest share. What is lost
then is lost by the stride alone.

It is a yardstick, no proof: logits may be steeper than shares, and so draw a finer line.
"""

import os
from dataclasses import dataclass
from functools import partial
from typing import Literal

import cv2
import numpy as np
from pydantic import Field

from datamodules.dataset import Dataset
from datamodules.labels import IGNORE, UInt8
from experiments.scoring.boundary import near_other_class
from experiments.scoring.counts import Counts, confusion, in_order
from experiments.scoring.metrics import Scores
from experiments.trials.result_types import Fraction, GroupMetrics, Record

STRIDES = (1, 2, 4, 8, 16, 32)
BAND = 3  # pixels on either side of a true boundary that its mIoU looks at


class CeilingData(Record):
    """The split whose labels were measured; `hash` is its fingerprint."""

    name: str
    split: str
    num_images: int
    classes: tuple[str, ...]
    hash: str


class CeilingProtocol(Record):
    """What the numbers mean, in words."""

    cells: str = (
        "mean of the one-hot labels over a cell's pixels, void without a class, "
        "labels padded with void on the right and below to whole cells"
    )
    back: str = "bilinear, align_corners=False, cropped; ties go to the lower class"
    boundary: str = f"pixels with another class within {BAND} px (Euclidean)"


class StrideScores(Record):
    """Of the labels against themselves after one stride: everywhere, by group, and of the band."""

    miou: Fraction | None
    pixel_accuracy: Fraction | None
    num_classes_counted: int
    iou: dict[str, Fraction | None]
    groups: dict[str, GroupMetrics]
    boundary_miou: Fraction | None
    boundary_iou: dict[str, Fraction | None]


class CeilingRecord(Record):
    """What the JSON holds; None for a class that the split does not have."""

    schema_: Literal[1] = Field(default=1, alias="schema")
    data: CeilingData
    protocol: CeilingProtocol = CeilingProtocol()
    strides: dict[int, StrideScores]


@dataclass(frozen=True)
class Ceiling:
    """Scores of the labels against themselves after each stride, and of the band alone."""

    everywhere: dict[int, Scores]
    boundary: dict[int, Scores]

    def record(self, spec: str, split: str, data: Dataset) -> CeilingRecord:
        """What is kept of it.

        Args:
            spec: data set with its options.
        """
        return CeilingRecord(
            data=CeilingData(
                name=spec,
                split=split,
                num_images=len(data.ids),
                classes=data.labels.names,
                hash=data.fingerprint(),
            ),
            strides={stride: self._scores(stride) for stride in self.everywhere},
        )

    def _scores(self, stride: int) -> StrideScores:
        whole, band = self.everywhere[stride].metrics(), self.boundary[stride].metrics()
        return StrideScores(
            miou=whole.miou,
            pixel_accuracy=whole.pixel_accuracy,
            num_classes_counted=whole.num_classes_counted,
            iou=whole.iou,
            groups=whole.groups,
            boundary_miou=band.miou,
            boundary_iou=band.iou,
        )


def coarsen(mask: UInt8, stride: int, num_classes: int) -> UInt8:
    """Labels (H, W) as they come back from a grid of `stride`, (H, W).

    Void has no class: the shares of a cell that is half void add up to a half, so that it has
    half a say in the pixels between it and its neighbours.
    """
    (height, width), (rows, columns) = mask.shape, np.nonzero(mask != IGNORE)
    h, w = -(-height // stride), -(-width // stride)
    cells = rows // stride * w + columns // stride  # what lies beyond the labels counts as void
    counts = np.bincount(cells * num_classes + mask[rows, columns], minlength=h * w * num_classes)
    shares = counts.reshape(h, w, num_classes) / stride**2
    back = cv2.resize(shares, (w * stride, h * stride), interpolation=cv2.INTER_LINEAR)
    largest: UInt8 = back[:height, :width].argmax(-1).astype(np.uint8)
    return largest


def _count(data: Dataset, index: int) -> Counts:
    """Confusion matrices of one image, (strides, everywhere and band, K, K)."""
    mask, k = data.mask(index), data.labels.num_classes
    band = np.where(near_other_class(mask, BAND), mask, np.uint8(IGNORE))
    back = [coarsen(mask, stride, k) for stride in STRIDES]
    return np.array([[confusion(truth, b, k) for truth in (mask, band)] for b in back])


def measure(data: Dataset, workers: int | None = None) -> Ceiling:
    """The ceiling at every stride, over a split.

    Args:
        workers: processes, all cores by default; 1 stays in this one.

    Raises:
        ValueError: less than one worker.
    """
    workers = workers if workers is not None else os.cpu_count() or 1
    if workers < 1:
        raise ValueError(f"got {workers} workers: 1 or more are needed")
    matrices = list(in_order(partial(_count, data), len(data.ids), workers))
    both = [
        {s: _scores(data, [m[i, part] for m in matrices]) for i, s in enumerate(STRIDES)}
        for part in range(2)
    ]
    return Ceiling(*both)


def _scores(data: Dataset, per_image: list[Counts]) -> Scores:
    matrices = np.stack(per_image)
    tp = matrices.diagonal(axis1=1, axis2=2)
    fp, fn = matrices.sum(1) - tp, matrices.sum(2) - tp
    total = matrices.sum(0)
    return Scores(data.labels.names, list(data.ids), list(data.groups), total, tp, fp, fn)
