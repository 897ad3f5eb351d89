"""Normalisation against torchvision's, and what a checkpoint holds of it."""

import torch
from timm.data.constants import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from torchvision.transforms.v2 import functional as reference

from datamodules.imagenet_statistics import MEAN, MEAN_COLOUR, STD
from lightning_modules.normalisation import Normalisation


def test_statistics_are_those_that_weights_come_with() -> None:
    assert (MEAN, STD) == (IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD)


def test_bytes_become_what_torchvision_makes_of_them() -> None:
    image = torch.arange(256, dtype=torch.uint8).view(1, 16, 16, 1).repeat(1, 1, 1, 3)
    ours = Normalisation()(image)
    planes = reference.to_dtype(image.permute(0, 3, 1, 2), torch.float32, scale=True)
    theirs = reference.normalize(planes, list(IMAGENET_DEFAULT_MEAN), list(IMAGENET_DEFAULT_STD))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)
    assert ours.dtype == torch.float32
    assert ours.is_contiguous(memory_format=torch.channels_last)


def test_padding_is_nearly_zero() -> None:
    colour = torch.tensor(MEAN_COLOUR, dtype=torch.uint8).view(1, 1, 1, 3)
    assert Normalisation()(colour).abs().max() < 0.5 / 255 / min(STD)


def test_checkpoints_hold_nothing_of_it() -> None:
    assert not Normalisation().state_dict()
