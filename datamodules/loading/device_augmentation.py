"""Crops made on the device, in batches, from a training set that lives there whole.

For small sets: CamVid's 367 images are 0.25 GB decoded. The geometry of each sample is the one that
reading processes crop by, pixels agree with theirs to a grey level, and colours change by the same
distribution from other random numbers.
"""

from typing import Any

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


class DeviceCrops:
    """Turns a batch of (epoch, index) into augmented crops on the device of the batch."""

    def __init__(self, data: Dataset, seed: int, augmentation: Augmentation) -> None:
        self.data, self.seed, self.how = data, seed, augmentation
        self._resident: tuple[Tensor, Tensor] | None = None

    def __call__(self, keys: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        """image (N, H, W, 3) and mask (N, H, W), both bytes, and index (N,)."""
        epochs, indices = (part.tolist() for part in keys)
        device = keys[0].device
        images, masks = self._load(device)
        entropy = [sample_seed(self.seed, e, i) for e, i in zip(epochs, indices, strict=True)]
        how, size = self.how, (masks.shape[1], masks.shape[2])
        rngs = [np.random.default_rng(e) for e in entropy]
        geometries = [sample_crop(rng, size, how.crop, how.scale, how.flip) for rng in rngs]
        pairs = [
            crop(images[index], masks[index], how.crop, geometry)
            for index, geometry in zip(indices, geometries, strict=True)
        ]
        shown = [image for image, _ in pairs]
        if how.photometric != "none":
            shown = [jitter(image, e) for image, e in zip(shown, entropy, strict=True)]
        return {
            "image": torch.stack(shown).permute(0, 2, 3, 1),
            "mask": torch.stack([mask for _, mask in pairs]),
            "index": keys[1],
        }

    def _load(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Images (N, 3, H, W) and masks (N, H, W) of the whole set, as bytes."""
        if self._resident is None:
            height, width = self.data.mask(0).shape
            need = 4 * height * width * len(self.data.ids)
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
            self._resident = images.to(device), masks.to(device)
        return self._resident


def crop(
    image: Tensor, mask: Tensor, size: tuple[int, int], geometry: CropGeometry
) -> tuple[Tensor, Tensor]:
    """As `transforms.warp_crop`, for an image (3, H, W) and a mask (H, W) on any device."""
    rows, columns = source_pixels(size, geometry)
    y, x = _Axis(rows, mask.shape[0], mask.device), _Axis(columns, mask.shape[1], mask.device)
    # Only the window that the crop shows is turned into floats.
    window = image[None, :, y.window, x.window].float()
    grid = torch.stack([x.grid.expand(size), y.grid[:, None].expand(size)], dim=-1)
    warped = F.grid_sample(
        window, grid[None], mode="bilinear", padding_mode="border", align_corners=False
    )[0]
    outside = y.outside[:, None] | x.outside[None]
    mean = warped.new_tensor(MEAN_COLOUR)[:, None, None]
    shown = torch.where(outside, mean, warped).round().clamp(0, 255).byte()
    labels = mask[y.nearest][:, x.nearest]
    return shown, labels.masked_fill(outside, IGNORE)


class _Axis:
    """Where the rows, or the columns, of a crop lie in an image of `size` of them.

    Worked out on the CPU, so that the device is not waited for.
    """

    def __init__(self, coordinates: Coordinates, size: int, device: torch.device) -> None:
        first = min(max(int(np.floor(coordinates.min())), 0), size - 1)
        last = max(min(int(np.floor(coordinates.max())) + 2, size), 1)
        self.window = slice(first, last)
        grid = (2 * (coordinates - first) + 1) / (last - first) - 1
        nearest = np.floor(coordinates + 0.5).astype(np.int64)
        self.grid = torch.from_numpy(grid).float().to(device)
        self.nearest = torch.from_numpy(nearest.clip(0, size - 1)).to(device)
        self.outside = torch.from_numpy((nearest < 0) | (nearest >= size)).to(device)


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
