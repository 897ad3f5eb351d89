"""Pictures of the generated streets, and what a table of colours alone scores on them."""

import hashlib

import numpy as np
import numpy.typing as npt

from datamodules.datasets.streets import Streets
from datamodules.labels import IGNORE, UInt8

BINS = 32**3  # colours at five bits a channel

Pair = tuple[UInt8, UInt8]


def pictures(split: str, count: int) -> Pair:
    """The first `count` images (N, H, W, 3) of a split, and their masks (N, H, W)."""
    streets = Streets(split)
    images, masks = zip(*(streets[i] for i in range(count)), strict=True)
    return np.stack(images), np.stack(masks)


def colours(images: UInt8) -> npt.NDArray[np.int64]:
    """One number from 0 to BINS - 1 a pixel, (...)."""
    number: npt.NDArray[np.int64] = (images >> 3).astype(np.int64) @ np.array([1024, 32, 1])
    return number


def colour_miou(train: Pair, test: Pair) -> float:
    """What a table from a pixel's colour to the most frequent training class scores."""
    scored = train[1] != IGNORE
    votes = np.zeros((BINS, 11))
    np.add.at(votes, (colours(train[0][scored]), train[1][scored]), 1)
    return miou(votes.argmax(axis=1)[colours(test[0])], test[1])


def miou(predicted: npt.NDArray[np.int64], mask: UInt8) -> float:
    """Of the eleven classes, over the pixels that are scored."""
    scored = mask != IGNORE
    pairs = mask[scored].astype(np.int64) * 11 + predicted[scored]
    matrix = np.bincount(pairs, minlength=121).reshape(11, 11)
    hits = np.diag(matrix)
    return float(np.mean(hits / (matrix.sum(0) + matrix.sum(1) - hits)))


def content_hash(streets: Streets, indices: range) -> str:
    """Of all pixels of these images and masks."""
    return hashlib.sha256(b"".join(a.tobytes() for i in indices for a in streets[i])).hexdigest()
