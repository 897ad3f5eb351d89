"""Augmentation: what is done to a training image is a pure function of (seed, epoch, index).

Scale, crop and flip are one affine warp, bilinear for the image and nearest for the mask, of which
only the crop is computed and only its window of the image is read. Photometric changes are
albumentations', seeded for each sample: its own seeding gives every transform the same stream and
every epoch the same draws.
"""

import os
import random
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from datamodules.imagenet_statistics import MEAN_COLOUR
from datamodules.labels import IGNORE, UInt8

if TYPE_CHECKING:
    import albumentations

cv2.setNumThreads(0)  # a thread pool in every forked worker can hang, and workers are the threads

Coordinates = npt.NDArray[np.float64]


class Augmentation(NamedTuple):
    """What a recipe says of training images."""

    crop: tuple[int, int]
    scale: tuple[float, float]
    flip: bool
    photometric: str
    """none or colour-jitter."""


class CropGeometry(NamedTuple):
    """What part of an image a crop shows; offsets are pixels of the scaled image."""

    scale: float
    top: float
    left: float
    flip: bool


def sample_crop(
    rng: np.random.Generator,
    size: tuple[int, int],
    crop: tuple[int, int],
    scale: tuple[float, float],
    flip: bool,
) -> CropGeometry:
    """Draw scale, crop offset and flip; `size` and `crop` are (height, width).

    The scale is uniform in its range. Where the scaled image is smaller than the crop it is
    placed at random inside it, and the rest is padding.
    """
    factor = float(rng.uniform(*scale))
    slack = [round(side * factor) - want for side, want in zip(size, crop, strict=True)]
    top, left = (float(rng.integers(min(s, 0), max(s, 0) + 1)) for s in slack)
    return CropGeometry(factor, top, left, bool(flip and rng.uniform() < 0.5))


def source_pixels(crop: tuple[int, int], geometry: CropGeometry) -> tuple[Coordinates, Coordinates]:
    """Row of the image that each row of the crop shows, and likewise the columns; in pixels.

    Pixel centres lie at +0.5, so that scaling keeps corners in place as cv2.resize does.
    """
    rows = (np.arange(crop[0], dtype=np.float64) + geometry.top + 0.5) / geometry.scale - 0.5
    columns = (np.arange(crop[1], dtype=np.float64) + geometry.left + 0.5) / geometry.scale - 0.5
    return rows, columns[::-1] if geometry.flip else columns


def warp_crop(
    image: UInt8, mask: UInt8, crop: tuple[int, int], geometry: CropGeometry
) -> tuple[UInt8, UInt8]:
    """Warp image (H, W, 3) and mask (H, W) to the crop; padding is mean colour and ignore."""
    rows, columns = source_pixels(crop, geometry)
    step = -1 / geometry.scale if geometry.flip else 1 / geometry.scale
    matrix = np.array([[step, 0.0, columns[0]], [0.0, 1 / geometry.scale, rows[0]]])
    size, inverse = (crop[1], crop[0]), cv2.WARP_INVERSE_MAP
    # Edges are repeated, or interpolation would mix the padding into the outermost pixels.
    linear, nearest = cv2.INTER_LINEAR | inverse, cv2.INTER_NEAREST | inverse
    warped = cv2.warpAffine(image, matrix, size, flags=linear, borderMode=cv2.BORDER_REPLICATE)
    labels = cv2.warpAffine(mask, matrix, size, flags=nearest, borderValue=IGNORE)
    height, width = mask.shape
    warped[(rows < -0.5) | (rows >= height - 0.5)] = MEAN_COLOUR
    warped[:, (columns < -0.5) | (columns >= width - 0.5)] = MEAN_COLOUR
    return warped.astype(np.uint8, copy=False), labels.astype(np.uint8, copy=False)


@cache
def _photometric() -> "albumentations.Compose":
    os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # its import looks for a newer version online
    import albumentations as A

    return A.Compose([A.ColorJitter(0.4, 0.4, 0.4, 0.1, p=0.8)])


def photometric(image: UInt8, entropy: tuple[int, ...]) -> UInt8:
    """Brightness, contrast, saturation within 40 %, hue within 10 %, on four images of five."""
    compose = _photometric()
    rng = np.random.default_rng([*entropy, 1])
    compose.set_random_state(rng, random.Random(int(rng.integers(2**32))))
    changed: UInt8 = compose(image=image)["image"]
    return changed
