"""What the study compares networks by, on the images as they are and on resampled blocks of them.

Every quantity is a function of counts that are summed over images, so that one of a resampled test
set takes the same function of other sums (`analysis.bootstrap`).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from experiments.analysis.bootstrap import (
    Floats,
    Ints,
    Resampled,
    Weights,
    blocks,
    chunks,
    draw_weights,
    mean_iou,
    resampled,
)
from experiments.claims.registration import BAND, THIN, CountedQuantity
from experiments.trials.result_types import FinishedTrial

Arrays = Mapping[str, np.ndarray]  # of per_image.npz
DRAWS = 10_000


class _Quantity(NamedTuple):
    """Counts of each image, (n, ...), and the value of their sums, (draws, ...) to (draws,)."""

    counts: Callable[[Arrays], np.ndarray]
    value: Callable[[Floats], Floats]


def _whole(arrays: Arrays) -> np.ndarray:
    """Intersection and union of each class, (n, 2, K)."""
    tp, fp, fn = (arrays[name].astype(np.int64) for name in ("tp", "fp", "fn"))
    return np.stack([tp, tp + fp + fn], axis=1)


def _near_and_whole(arrays: Arrays) -> np.ndarray:
    """The same within the band and of all pixels, (n, 2, 2, K)."""
    place = [*map(int, arrays["widths"])].index(BAND)
    tp, fp, fn = np.moveaxis(arrays["band"][:, place].astype(np.int64), 1, 0)
    return np.stack([np.stack([tp, tp + fp + fn], axis=1), _whole(arrays)], axis=1)


def _near_less_beyond(sums: Floats) -> Floats:
    near, whole = np.moveaxis(sums, 1, 0)
    gain: Floats = mean_iou(near) - mean_iou(whole - near)
    return gain


def _thin(arrays: Arrays) -> np.ndarray:
    """Pixels found, and pixels, of the objects of each class that are thin: (n, 2, K)."""
    edges = [*map(int, arrays["width_edges"])]
    thin = arrays["width"][:, :, : edges.index(THIN + 1) + 1].sum(2)  # bins below that edge
    return np.stack([thin[..., 2], thin[..., 1]], axis=1)


_QUANTITIES: dict[CountedQuantity, _Quantity] = {
    "miou": _Quantity(_whole, mean_iou),
    "boundary_gain": _Quantity(_near_and_whole, _near_less_beyond),
    "boundary_iou": _Quantity(lambda arrays: arrays["boundary"].astype(np.int64), mean_iou),
    "thin_recall": _Quantity(_thin, mean_iou),  # found of all, as intersection of union
}


class BlockDraws:
    """Blocks of the images that all trials of a study share, drawn once for all of them.

    Args:
        first: counts of one trial, whose images all others have.
        length: images of a group that are resampled together; None takes whole groups.
    """

    def __init__(self, first: Arrays, length: int | None, num_draws: int = DRAWS) -> None:
        self._ids = first["ids"]
        self.block: Ints = blocks([str(group) for group in first["groups"]], length)
        self.num_blocks = size = int(self.block.max()) + 1
        once = np.ones((1, size), np.int16)
        self._weights: Weights = np.concatenate([once, draw_weights(size, num_draws)])

    def of(self, quantity: CountedQuantity, arrays: Arrays) -> Floats:
        """(1 + draws,): first of the images as they are; NaN where a draw shows nothing of it.

        Raises:
            ValueError: counts of other images.
        """
        if not np.array_equal(arrays["ids"], self._ids):
            raise ValueError("the trials of a study were scored on different images: score again")
        counts, value = _QUANTITIES[quantity]
        of_image = counts(arrays)
        sums = np.zeros((self.num_blocks, *of_image.shape[1:]))
        np.add.at(sums, self.block, of_image)
        return np.concatenate([value(np.tensordot(w, sums, 1)) for w in chunks(self._weights)])

    def difference(self, better: Sequence[Floats], worse: Sequence[Floats]) -> Resampled | None:
        """Of two networks on the same seeds, in their order; None where the images show nothing."""
        values = np.stack(better, axis=1) - np.stack(worse, axis=1)
        return resampled(values, self.num_blocks)


def near_and_beyond(trial: FinishedTrial) -> tuple[float, float] | None:
    """mIoU of the pixels within the band and of all others, fractions; None where not counted."""
    bands = trial.metrics.bands
    if bands is None or BAND not in bands.pixels:
        return None
    place = bands.pixels.index(BAND)
    near, beyond = bands.within[place], bands.beyond[place]
    return None if near is None or beyond is None else (near, beyond)
