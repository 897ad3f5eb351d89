"""Weights of classes that follow from how many of the training pixels each of them has.

A class that the split never shows has weight 0.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.int64]  # (K,)
Weights = npt.NDArray[np.float64]  # (K,)


class ClassPixels(NamedTuple):
    """Of each class its pixels, and the labelled pixels of the images that show it."""

    pixels: Pixels
    shown: Pixels


def median_frequency(train: ClassPixels) -> Weights:
    """The median frequency over each class's own, which is its share of the labelled pixels of the
    images that show it (Eigen and Fergus, arXiv 1411.4734, section 6.3.2)."""
    frequency = train.pixels / np.maximum(train.shown, 1)
    return _divided(float(np.median(frequency[frequency > 0])), frequency)


def inverse_sqrt(train: ClassPixels) -> Weights:
    """The inverse square root of each class's share of the pixels, by which it is 1 on average."""
    roots = np.sqrt(train.pixels / train.pixels.sum())
    return _divided(1 / roots.sum(), roots)


def _divided(value: float, by: Weights) -> Weights:
    return np.divide(value, by, out=np.zeros(len(by)), where=by > 0)
