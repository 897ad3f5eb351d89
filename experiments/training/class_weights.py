"""Weights of classes that follow from how many of the training pixels each of them has."""

import numpy as np
import numpy.typing as npt

from datamodules.dataset import Dataset
from datamodules.validation.check_report import SplitSummary

Weights = npt.NDArray[np.float64]
Pixels = npt.NDArray[np.int64]


def class_weights(
    wanted: tuple[float, ...] | str | None, summary: SplitSummary, train: Dataset
) -> tuple[float, ...] | None:
    """A recipe's class weights, of which a rule is worked out on the training split.

    A class that the split never shows has weight 0.

    Args:
        wanted: the weights themselves, the rule `median-frequency` or `inverse-sqrt`, or None.
        summary: what the check has counted; of data that are made and not read it has nothing.
    """
    if not isinstance(wanted, str):
        return wanted
    pixels, shown = np.array(summary.pixels), np.array(summary.shown)
    if not pixels.size:
        pixels, shown = count(train)
    weights = inverse_sqrt(pixels)
    if wanted == "median-frequency":
        weights = median_frequency(pixels, shown)
    return tuple(float(weight) for weight in weights)


def count(data: Dataset) -> tuple[Pixels, Pixels]:
    """Pixels of each class, and labelled pixels of the images that show it."""
    classes = data.labels.num_classes
    masks = (data.mask(index) for index in range(len(data.ids)))
    images = np.array([np.bincount(mask.ravel(), minlength=256)[:classes] for mask in masks])
    return images.sum(0), np.where(images > 0, images.sum(1, keepdims=True), 0).sum(0)


def median_frequency(pixels: Pixels, shown: Pixels) -> Weights:
    """The median frequency over each one's own, which is its share of the labelled pixels of the
    images that show it (Eigen and Fergus, arXiv 1411.4734, section 6.3.2).

    Args:
        pixels, shown: as of `count`.
    """
    frequency = pixels / np.maximum(shown, 1)
    return _divided(float(np.median(frequency[frequency > 0])), frequency)


def inverse_sqrt(pixels: Pixels) -> Weights:
    """The inverse square root of each one's share of the pixels, by which it is 1 on average."""
    roots = np.sqrt(pixels / pixels.sum())
    return _divided(1 / roots.sum(), roots)


def _divided(value: float, by: Weights) -> Weights:
    return np.divide(value, by, out=np.zeros(len(by)), where=by > 0)
