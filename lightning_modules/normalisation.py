"""From bytes to what networks take: RGB by ImageNet's mean and standard deviation."""

import torch
from torch import Tensor, nn

from datamodules.imagenet_statistics import MEAN, STD


class Normalisation(nn.Module):
    """Images (N, H, W, 3) in 0..255 to (N, 3, H, W) in float32, channels-last in memory.

    Its buffers are not persistent, so that checkpoints hold the network alone.
    """

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", 255 * torch.tensor(MEAN), persistent=False)
        self.register_buffer("std", 255 * torch.tensor(STD), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        copy = image.to(self.mean.dtype, copy=True)  # float64 where a test trains in that
        return copy.sub_(self.mean).div_(self.std).permute(0, 3, 1, 2)
