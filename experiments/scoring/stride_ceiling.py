"""The stride ceiling: how much of its own labels a data set keeps on a coarse grid, without torch.

True labels become one vector of class shares for each cell of stride x stride pixels, as an ideal
classifier at that stride would give them. The vectors are brought back bilinearly as networks
bring back their logits (align_corners=False), and each pixel takes its largest share. What is lost
then is lost by the stride alone.

It is a yardstick, no proof: logits may be steeper than shares, and so draw a finer line.
"""

import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from typing import Any

import cv2
import numpy as np

from datamodules.dataset import Dataset
from datamodules.labels import IGNORE, UInt8
from experiments.scoring.counts import Counts, confusion
from experiments.scoring.metrics import Scores

STRIDES = (1, 2, 4, 8, 16, 32)
BAND = 3  # pixels on either side of a true boundary that its mIoU looks at


@dataclass(frozen=True)
class Ceiling:
    """Scores of the labels against themselves after each stride, and of the band alone."""

    everywhere: dict[int, Scores]
    boundary: dict[int, Scores]

    def record(self, spec: str, split: str, data: Dataset) -> dict[str, Any]:
        """What the JSON holds; fractions, None for a class that the split does not have."""
        strides = {}
        for stride, scores in self.everywhere.items():
            metrics, band = scores.metrics(), self.boundary[stride].metrics()
            strides[str(stride)] = {
                **metrics,
                "boundary_miou": band["miou"],
                "boundary_iou": band["iou"],
            }
        return {
            "schema": 1,
            "data": {
                "name": spec,
                "split": split,
                "num_images": len(data.ids),
                "classes": list(data.labels.names),
                "hash": data.fingerprint(),
            },
            "protocol": {
                "cells": "mean of the one-hot labels over a cell's pixels, void without a class, "
                "labels padded with void on the right and below to whole cells",
                "back": "bilinear, align_corners=False, cropped; ties go to the lower class",
                "boundary": f"pixels with another class within {BAND} px (Euclidean)",
            },
            "strides": strides,
        }


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


def near_boundary(mask: UInt8, radius: int = BAND) -> UInt8:
    """The labels (H, W) of pixels with another class within `radius`, 255 elsewhere.

    A border with void is no boundary: nobody knows what lies behind it.
    """
    y, x = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    disc = (y**2 + x**2 <= radius**2).astype(np.uint8)
    lowest = cv2.erode(mask, disc)  # 255 never is
    highest = cv2.dilate(np.where(mask == IGNORE, 0, mask), disc)
    return np.where(lowest != highest, mask, np.uint8(IGNORE))


def _count(data: Dataset, index: int) -> Counts:
    """Confusion matrices of one image, (strides, everywhere and band, K, K)."""
    mask, k = data.mask(index), data.labels.num_classes
    band, back = near_boundary(mask), [coarsen(mask, stride, k) for stride in STRIDES]
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
    count, indices = partial(_count, data), range(len(data.ids))
    if workers == 1:
        matrices = [count(index) for index in indices]
    else:  # spawned, since OpenCV's threads do not survive a fork
        context = get_context("spawn")
        with ProcessPoolExecutor(workers, context, cv2.setNumThreads, (1,)) as pool:
            matrices = list(pool.map(count, indices, chunksize=4))
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
