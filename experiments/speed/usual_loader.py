"""Training batches as scripts for segmentation usually make them; imported by reading processes.

Scale the whole image by 0.5 to 2, crop, flip, normalise to fp32, NCHW, in several processes.
Decoding is left out, in favour of the usual way: the images are noise that is in memory already.
"""

import multiprocessing

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from datamodules.imagenet_statistics import MEAN, STD

_ENDLESS = 10**6


class UsualCrops(Dataset[tuple[Tensor, Tensor]]):
    """(image (3, H, W) float32, mask (H, W) int64) of crops of an image of twice the size."""

    def __init__(self, size: tuple[int, int], num_classes: int) -> None:
        self.size, self.num_classes = size, num_classes
        self._pair: tuple[np.ndarray, np.ndarray] | None = None

    def __len__(self) -> int:
        return _ENDLESS

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        import cv2

        cv2.setNumThreads(0)
        rng = np.random.default_rng(index)
        image, mask = self._whole()
        height, width = self.size
        scale = rng.uniform(0.5, 2.0)
        rows, columns = (max(side, round(2 * side * scale)) for side in self.size)
        image = cv2.resize(image, (columns, rows), interpolation=cv2.INTER_LINEAR)
        mask = cv2.resize(mask, (columns, rows), interpolation=cv2.INTER_NEAREST)
        top, left = rng.integers(rows - height + 1), rng.integers(columns - width + 1)
        image = image[top : top + height, left : left + width]
        mask = mask[top : top + height, left : left + width]
        if rng.random() < 0.5:
            image, mask = image[:, ::-1], mask[:, ::-1]
        mean, std = (np.array(value, dtype=np.float32) for value in (MEAN, STD))
        pixels = (image.astype(np.float32) / 255 - mean) / std
        return (
            torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1))),
            torch.from_numpy(mask.astype(np.int64)),
        )

    def _whole(self) -> tuple[np.ndarray, np.ndarray]:
        if self._pair is None:
            rng = np.random.default_rng(0)
            height, width = (2 * side for side in self.size)
            image = rng.integers(256, size=(height, width, 3), dtype=np.uint8)
            self._pair = image, rng.integers(self.num_classes, size=image.shape[:2], dtype=np.uint8)
        return self._pair


def usual_loader(
    size: tuple[int, int], num_classes: int, batch: int, pin: bool, workers: int
) -> DataLoader[tuple[Tensor, Tensor]]:
    """Its processes come from a fork server, as nothing may be forked once CUDA has started."""
    context = None
    if workers:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__])
    return DataLoader(
        UsualCrops(size, num_classes),
        batch_size=batch,
        num_workers=workers,
        pin_memory=pin,
        multiprocessing_context=context,
    )
