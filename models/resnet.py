"""ResNet trunks (He et al., arXiv 1512.03385) from timm, at any width: no second ResNet is written.

For DeepLabv3, PSPNet, UNet++ and Dilated-ResNet; none of them is a network of its own here. And the
auxiliary head on its third stage, with which the first two are trained.
"""

from typing import Any

import timm
import torch
from timm.models import FeatureInfo
from torch import Tensor, nn
from torch.nn import functional as F


def resnet_trunk(
    name: str, width: int, output_stride: int, maps: tuple[int, ...]
) -> tuple[nn.Module, list[int]]:
    """A ResNet of timm up to the last of `maps` (0 the stem, 1 to 4 the stages), and the maps'
    channels.

    Args:
        width: channels of the first stage, 64 in the paper; the later stages and a deep stem are
            in proportion. A 7x7 stem keeps its 64, which timm does not let one change.

    Raises:
        ValueError: a name that is not a ResNet of timm, or a width below 4.
    """
    if name not in timm.list_models("resnet*", module="resnet"):
        raise ValueError(f"trunk {name!r} is not a ResNet of timm: name one, as resnet101")
    if width < 4:
        raise ValueError(f"width is at least 4, got {width}: 64 is the papers'")
    sizes: dict[str, Any] = {"channels": tuple(width * 2**i for i in range(4))}
    if width != 64:
        with torch.device("meta"):
            stem = timm.create_model(name).conv1
        if isinstance(stem, nn.Sequential):  # three 3x3; the second has timm's `stem_width`
            second = stem[3]
            assert isinstance(second, nn.Conv2d)
            # timm's tiered stems start with 3/4 of its quarters, of which there is one at least.
            sizes["stem_width"] = max(4, second.out_channels * width // 64)
    trunk = timm.create_model(
        name, features_only=True, output_stride=output_stride, out_indices=maps, **sizes
    )
    if width == 64:
        trunk.imagenet = name  # type: ignore[assignment]  # its ImageNet weights fit
    subsample_narrow(trunk)
    info = trunk.feature_info
    assert isinstance(info, FeatureInfo)
    return trunk, list(info.channels())


def deep_maps(trunk: nn.Module, image: Tensor) -> tuple[Tensor, Tensor]:
    """The maps of stages 3 and 4 in one pass; the latter is to the bit that of `trunk(image)`.

    A trunk with both among its `maps` would keep the third, an eighth of the image's size with
    1024 channels, to the end of every inference.
    """
    third, x = image, image
    for name, layer in trunk.named_children():
        x = layer(x)
        if name == "layer3":
            third = x
    return third, x


def auxiliary_head(inputs: int, num_classes: int) -> nn.Sequential:
    """A 3x3 to a quarter of the channels with batch norm and ReLU, dropout of maps, and a 1x1."""
    return nn.Sequential(
        nn.Conv2d(inputs, inputs // 4, 3, padding=1, bias=False),
        nn.BatchNorm2d(inputs // 4),
        nn.ReLU(inplace=True),
        nn.Dropout2d(0.1),
        nn.Conv2d(inputs // 4, num_classes, 1),
    )


def subsample_narrow(trunk: nn.Module) -> None:
    """Keep narrow strided 1x1 convolutions away from oneDNN, which then writes where it must not.

    On CPUs with AVX-512 their backward pass, in channels-last with less than 16 inputs, ends in
    crashes or wrong gradients (torch 2.14, uxlfoundation/oneDNN#6035). No network of a paper has
    any; those scaled down have.
    """
    for module in trunk.modules():
        if not isinstance(module, nn.Conv2d) or module.in_channels >= 16:
            continue
        if module.kernel_size == (1, 1) and module.stride == (2, 2):
            module.__class__ = _SubsamplingConv2d


class _SubsamplingConv2d(nn.Conv2d):
    """A 1x1 convolution of stride 2, as one of stride 1 on every second pixel: the same values."""

    def forward(self, input: Tensor) -> Tensor:
        return F.conv2d(input[..., ::2, ::2], self.weight, self.bias)
