"""ResNet trunks (He et al., arXiv 1512.03385) from timm, at any width: no second ResNet is written.

For DeepLabv3, PSPNet, UNet++ and Dilated-ResNet; none of them is a network of its own here.
"""

from typing import Any

import timm
import torch
from timm.models import FeatureInfo
from torch import nn


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
    info = trunk.feature_info
    assert isinstance(info, FeatureInfo)
    return trunk, list(info.channels())
