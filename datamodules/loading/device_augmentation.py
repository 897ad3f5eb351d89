"""Crops made on the device, in batches, from a training set that lives there whole.

For small sets: CamVid's 367 images are 0.25 GB decoded. The geometry of each sample is the one that
reading processes crop by, pixels agree with theirs to a grey level, and colours change by the same
distribution from other random numbers.
"""

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms.v2 import functional as colour

from datamodules.dataset import Dataset
from datamodules.imagenet_statistics import MEAN_COLOUR
from datamodules.labels import IGNORE, DataError
from datamodules.loading.sampling import sample_seed
from datamodules.loading.transforms import (
    Augmentation,
    Coordinates,
    CropGeometry,
    sample_crop,
    source_pixels,
)


class CropPlan(NamedTuple):
    """Where the crops of a batch lie, worked out on the CPU, so that a GPU is not waited for.

    Attributes:
        indices: (N,) of the images.
        y, x: (N, h) and (N, w), from -1 to 1 over the image, of each row and column of the crop.
        row, column: the same as nearest pixels; -1 outside of the image.
        entropy: seeds of each sample.
    """

    indices: Tensor
    y: Tensor
    x: Tensor
    row: Tensor
    column: Tensor
    entropy: list[tuple[int, ...]]


class DeviceCrops:
    """Turns (epoch, index) of a batch into augmented crops on a device that holds all images."""

    def __init__(self, data: Dataset, seed: int, augmentation: Augmentation) -> None:
        self.data, self.seed, self.how = data, seed, augmentation
        self._resident: tuple[Tensor, Tensor, Tensor] | None = None

    def plan(self, keys: Iterable[tuple[int, int]]) -> CropPlan:
        """On the CPU, for whoever brings it to the device."""
        keys, how, size = list(keys), self.how, self._size
        entropy = [sample_seed(self.seed, epoch, index) for epoch, index in keys]
        rngs = [np.random.default_rng(e) for e in entropy]
        geometries = [sample_crop(rng, size, how.crop, how.scale, how.flip) for rng in rngs]
        return crop_plan([index for _, index in keys], size, how.crop, geometries, entropy)

    def __call__(self, plan: CropPlan) -> dict[str, Tensor]:
        """image (N, H, W, 3) and mask (N, H, W), both bytes, and index (N,)."""
        images, masks, mean = self._load(plan.indices.device)
        shown, labels = crop(images, masks, mean, plan)
        if self.how.photometric != "none":
            shown = torch.stack([jitter(i, e) for i, e in zip(shown, plan.entropy, strict=True)])
        return {"image": shown.permute(0, 2, 3, 1), "mask": labels, "index": plan.indices}

    @cached_property
    def _size(self) -> tuple[int, int]:
        height, width = self.data.mask(0).shape
        return height, width

    def _load(self, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
        """Images (N, 3, H, W) and masks (N, H, W) of the whole set, as bytes; the mean colour."""
        if self._resident is None:
            height, width = self._size
            need = _num_bytes(self.data)
            if device.type == "cuda" and need > 0.5 * torch.cuda.mem_get_info(device)[0]:
                raise DataError(
                    f"the decoded training set of {need / 1e9:.1f} GB takes more than half of the "
                    "free memory of the device: crop in the reading processes (--set "
                    "crop_on=workers)"
                )
            images = torch.empty(len(self.data.ids), 3, height, width, dtype=torch.uint8)
            masks = torch.empty(len(self.data.ids), height, width, dtype=torch.uint8)
            for index, id in enumerate(self.data.ids):
                image, mask = self.data[index]
                if mask.shape != (height, width):
                    raise DataError(
                        f"{id} is {mask.shape[1]}x{mask.shape[0]} and the first image "
                        f"{width}x{height}: images of several sizes are cropped in the reading "
                        "processes (--set crop_on=workers)"
                    )
                images[index] = torch.from_numpy(image.copy()).permute(2, 0, 1)
                masks[index] = torch.from_numpy(mask.copy())
            mean = torch.tensor(MEAN_COLOUR, dtype=torch.float32)[:, None, None]
            self._resident = images.to(device), masks.to(device), mean.to(device)
        return self._resident


def fits_gpu(data: Dataset) -> bool:
    """Whether there is a GPU, half of whose free memory takes the set, all of one size."""
    if not torch.cuda.is_available():
        return False
    shape = data.mask(0).shape
    small = _num_bytes(data) <= 0.5 * torch.cuda.mem_get_info()[0]
    return small and all(data.mask(index).shape == shape for index in range(len(data.ids)))


def _num_bytes(data: Dataset) -> int:
    """Of a decoded set whose images have the first one's size."""
    return 4 * data.mask(0).size * len(data.ids)


def crop_plan(
    indices: Sequence[int],
    size: tuple[int, int],
    shape: tuple[int, int],
    geometries: Sequence[CropGeometry],
    entropy: Sequence[tuple[int, ...]] = (),
) -> CropPlan:
    """Where crops of a shape lie in images of a size; pinned where there is a GPU."""
    rows, columns = zip(*(source_pixels(shape, g) for g in geometries), strict=True)
    y, row = _along(np.stack(rows), size[0])
    x, column = _along(np.stack(columns), size[1])
    parts = (torch.tensor(indices), y, x, row, column)
    if torch.cuda.is_available():
        parts = tuple(part.pin_memory() for part in parts)  # type: ignore[assignment]
    return CropPlan(*parts, list(entropy))


def _along(coordinates: Coordinates, size: int) -> tuple[Tensor, Tensor]:
    """Of pixels along a side of `size`: their places from -1 to 1, and the nearest ones."""
    nearest = np.floor(coordinates + 0.5).astype(np.int64)
    nearest[(nearest < 0) | (nearest >= size)] = -1
    places = torch.from_numpy((2 * coordinates + 1) / size - 1).float()
    return places, torch.from_numpy(nearest)


def crop(images: Tensor, masks: Tensor, mean: Tensor, plan: CropPlan) -> tuple[Tensor, Tensor]:
    """As `transforms.warp_crop`, of images (M, 3, H, W) and masks (M, H, W) on any device.

    Args:
        mean: (3, 1, 1), the colour outside of an image.
    """
    height, width = plan.y.shape[1], plan.x.shape[1]
    grid = torch.stack(
        [plan.x[:, None].expand(-1, height, -1), plan.y[:, :, None].expand(-1, -1, width)], dim=-1
    )
    warped = F.grid_sample(
        images[plan.indices].float(), grid, "bilinear", padding_mode="border", align_corners=False
    )
    outside = (plan.row < 0)[:, :, None] | (plan.column < 0)[:, None]
    shown = torch.where(outside[:, None], mean, warped).round().clamp(0, 255).byte()
    rows, columns = (side.clamp(min=0) for side in (plan.row, plan.column))
    labels = masks[plan.indices[:, None, None], rows[:, :, None], columns[:, None]]
    return shown, labels.masked_fill(outside, IGNORE)


def jitter(image: Tensor, entropy: tuple[int, ...]) -> Tensor:
    """As `transforms.photometric` by distribution, for an image (3, H, W) of bytes."""
    rng = np.random.default_rng([*entropy, 2])
    if rng.uniform() >= 0.8:
        return image
    brightness, contrast, saturation = rng.uniform(0.6, 1.4, 3).tolist()
    hue = float(rng.uniform(-0.1, 0.1))
    changes: list[Any] = [
        lambda x: colour.adjust_brightness(x, brightness),
        lambda x: colour.adjust_contrast(x, contrast),
        lambda x: colour.adjust_saturation(x, saturation),
        lambda x: colour.adjust_hue(x, hue),
    ]
    for position in rng.permutation(4):
        image = changes[position](image)
    return image
