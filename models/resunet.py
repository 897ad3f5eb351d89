"""A U-Net of HRNet's parts: no paper's network, but this project's control for HRNet.

HRNet differs from a U-Net in more than its topology. Here only that is a U-Net's: one path down,
one up, a concatenated skip at each level (Ronneberger et al., arXiv 1505.04597, Fig. 1). The rest
is HRNet's as it is built here: at stride 4 its stem, so that the last map is at 1/4, as there;
levels down to 1/32; BasicBlocks, four wherever the path comes to a level, as in a module's stream;
`width * 2**level` channels; 3x3 convolutions of stride 2 down; 1x1 convolutions, then bilinear
upsampling, up; its head, on one map; its initialisation. The longest way has 28 BasicBlocks, where
HRNet's 1/4 stream has 32, and 45 channels take the operations of HRNetV2-W18 (138.6 against 137.3
GFLOPs in the paper's unit), with 16.5M parameters against its 9.6M. At stride 1, as in U-Net,
nothing precedes the levels, which go from 1/1 to 1/16.

Unlike HRNet, besides: no bottlenecks before the first level; a 1x1 with batch norm and ReLU brings
a concatenation back to the level's channels, which HRNet's sum keeps. Any size is taken as it is,
as by HRNet: upsampling is to the skip's own size.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.hrnet_module import BasicBlock

_LEVELS = {4: 4, 1: 5}  # by the stride of the first
_BLOCKS = 4


def resunet(num_classes: int, *, width: int = 64, stride: int = 4) -> nn.Module:
    """U-Net of BasicBlocks with `width` channels at its highest resolution, 1/stride.

    Raises:
        ValueError: a width below 1, or a stride not 1 or 4.
    """
    return ResUNet(num_classes, width, stride)


class ResUNet(nn.Module):
    def __init__(self, num_classes: int, width: int, stride: int) -> None:
        super().__init__()
        if width < 1:
            raise ValueError(f"width is at least 1, got {width}: give channels, such as 64")
        if stride not in _LEVELS:
            raise ValueError(f"stride is 1 or 4, got {stride}: choose one of them")
        channels = [width * 2**i for i in range(_LEVELS[stride])]
        self.stem = nn.Sequential(
            *([_conv(3, 64, 3, stride=2), _conv(64, 64, 3, stride=2)] if stride == 4 else []),
            _conv(64 if stride == 4 else 3, width, 3),
        )
        self.encoder = nn.ModuleList(_blocks(c) for c in channels)
        self.down = nn.ModuleList(_conv(c, 2 * c, 3, stride=2) for c in channels[:-1])
        self.up = nn.ModuleList(_conv(2 * c, c, 1, relu=False) for c in reversed(channels[:-1]))
        self.merge = nn.ModuleList(_conv(2 * c, c, 1) for c in reversed(channels[:-1]))
        self.decoder = nn.ModuleList(_blocks(c) for c in reversed(channels[:-1]))
        self.last_layer = nn.Sequential(
            nn.Conv2d(width, width, 1),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, num_classes, 1),
        )
        self._initialise()

    def _initialise(self) -> None:
        """As HRNet's: He's (fan out), and the classifier with std 0.001."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        classifier = self.last_layer[-1]
        assert isinstance(classifier, nn.Conv2d)
        nn.init.normal_(classifier.weight, std=0.001)

    def forward(self, image: Tensor) -> Tensor:
        x = self.encoder[0](self.stem(image))  # 1/stride
        skips = []
        for down, blocks in zip(self.down, self.encoder[1:], strict=True):
            skips.append(x)
            x = blocks(down(x))  # 1/8 ... 1/32, or 1/2 ... 1/16
        for skip, up, merge, blocks in zip(
            reversed(skips), self.up, self.merge, self.decoder, strict=True
        ):
            x = F.interpolate(up(x), skip.shape[-2:], mode="bilinear")
            x = blocks(merge(torch.cat([skip, x], dim=1)))  # 1/16 ... 1/4, or 1/8 ... 1/1
        return F.interpolate(self.last_layer(x), image.shape[-2:], mode="bilinear")


def _blocks(channels: int) -> nn.Sequential:
    return nn.Sequential(*(BasicBlock(channels) for _ in range(_BLOCKS)))


def _conv(
    inputs: int, outputs: int, kernel: int, stride: int = 1, relu: bool = True
) -> nn.Sequential:
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    return nn.Sequential(*layers, nn.ReLU(inplace=True)) if relu else nn.Sequential(*layers)
