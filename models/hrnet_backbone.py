"""HRNet as a backbone: V1, V2 and V2p (arXiv 1908.07919, section 3.3), for other heads than ours.

Each maps an image (N, 3, H, W) to maps by name, the finest first, and says their `channels` and
`strides`. `out_channels` is what torchvision's detectors ask for.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from models.hrnet_trunk import HRNet, Stages

_LEVELS = 5  # of V2p, 1/4 to 1/64, as in the authors' detection code
_PYRAMID = 256  # its channels


def hrnetv1(width: int, *, align_corners: bool = False) -> nn.Module:
    """The 1/4 stream alone: C channels."""
    return Backbone(width, align_corners, outputs=1)


def hrnetv2(width: int, *, align_corners: bool = False) -> nn.Module:
    """All streams at 1/4, concatenated: 15 C channels."""
    return Backbone(width, align_corners, outputs=4)


def hrnetv2p(width: int, *, align_corners: bool = False) -> nn.Module:
    """V2's map, reduced to 256 channels and averaged down to 1/64: what Faster R-CNN takes."""
    return Pyramid(width, align_corners)


class Backbone(HRNet):
    """V1 or V2 by the number of streams put out; one map, named "0"."""

    strides: tuple[int, ...] = (4,)

    def __init__(self, width: int, align_corners: bool, outputs: int) -> None:
        super().__init__(Stages(width), align_corners, outputs)
        self.channels: tuple[int, ...] = (self.out_channels,)
        self.initialise()

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        return {"0": self.forward_features(image)}


class Pyramid(HRNet):
    """V2p; names and layers of the pyramid are those of the authors' HRFPN.

    Averages take what there is at the border, so that level i has ceil(H / 2**i) rows of 1/4.
    """

    strides = tuple(4 * 2**level for level in range(_LEVELS))
    channels = (_PYRAMID,) * _LEVELS

    def __init__(self, width: int, align_corners: bool) -> None:
        super().__init__(Stages(width), align_corners)
        self.reduction_conv = nn.Conv2d(self.out_channels, _PYRAMID, 1)
        self.fpn_convs = nn.ModuleList(
            nn.Conv2d(_PYRAMID, _PYRAMID, 3, padding=1) for _ in range(_LEVELS)
        )
        self.out_channels = _PYRAMID
        self.initialise()

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        x = self.reduction_conv(self.forward_features(image))
        maps = (F.avg_pool2d(x, 2**i, ceil_mode=True) if i else x for i in range(_LEVELS))
        convs = zip(self.fpn_convs, maps, strict=True)
        return {str(level): conv(x) for level, (conv, x) in enumerate(convs)}
