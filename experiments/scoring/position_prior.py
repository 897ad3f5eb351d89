"""What can be scored without looking at an image: the most frequent class at each position."""

import numpy as np

from datamodules.dataset import Dataset
from datamodules.labels import UInt8
from experiments.scoring.metrics import score
from experiments.trials.result_types import Metrics


def position_prior(train: Dataset, test: Dataset) -> Metrics:
    """Scores of the most frequent training class at each position: what needs no image at all.

    Positions are relative to the image's size, on a grid of the first training label's size.
    """
    height, width = train.mask(0).shape
    counts = np.zeros((train.labels.num_classes, height, width), np.int32)
    for index in range(len(train.ids)):
        mask = _resample(train.mask(index), height, width)
        for k in range(len(counts)):
            counts[k] += mask == k
    prior = counts.argmax(0).astype(np.uint8)
    return score(test, lambda i: _resample(prior, *test.mask(i).shape)).metrics()


def _resample(mask: UInt8, height: int, width: int) -> UInt8:
    """Nearest neighbour by pixel centres."""
    rows = (np.arange(height) + 0.5) * mask.shape[0] // height
    columns = (np.arange(width) + 0.5) * mask.shape[1] // width
    resampled: UInt8 = mask[rows.astype(int)[:, None], columns.astype(int)]
    return resampled
