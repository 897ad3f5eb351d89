"""U-Net (Ronneberger et al., arXiv 1505.04597, Fig. 1) with padding and batch norm.

Five levels of two 3x3 convolutions, 2x2 max-pooling down to 1/16, 2x2 transposed convolutions up,
and skips that are concatenated.

Differs from the paper: convolutions are padded, so that nothing is cropped from the skips and the
output has the input's size; each is followed by batch norm (and has no bias); no dropout. The
input is padded with zeros, the mean colour, on the right and below to a multiple of 16, and the
logits are cropped back.

Options take away what Fig. 1 and section 2 add to an encoder and a decoder; the paper has no table
of either. `skip=none`: no level of the decoder sees the encoder's map, and its first convolution
has half the inputs. `up=bilinear`: in place of the 2x2 transposed convolution a 1x1, to the same
channels, then interpolation.
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_LEVELS = 5
_STRIDE = 2 ** (_LEVELS - 1)


def unet(
    num_classes: int,
    *,
    width: int = 64,
    up: Literal["transposed", "bilinear"] = "transposed",
    skip: Literal["concat", "none"] = "concat",
) -> nn.Module:
    """U-Net with `width` channels at full resolution; 31.04M parameters at 64.

    Args:
        up: transposed or bilinear.
        skip: concat or none.

    Raises:
        ValueError: other values of these.
    """
    return UNet(num_classes, width, up, skip)


class UNet(nn.Module):
    def __init__(self, num_classes: int, width: int, up: str, skip: str) -> None:
        super().__init__()
        if up not in _UPS:
            raise ValueError(f"up is transposed or bilinear, got {up!r}: choose one of them")
        if skip not in ("concat", "none"):
            raise ValueError(f"skip is concat or none, got {skip!r}: choose one of them")
        self.skip = skip == "concat"
        channels = [width * 2**i for i in range(_LEVELS)]
        self.encoder = nn.ModuleList(
            _double_conv(inputs, outputs)
            for inputs, outputs in zip([3, *channels], channels, strict=False)
        )
        self.up = nn.ModuleList(_UPS[up](2 * c, c) for c in reversed(channels[:-1]))
        inputs = 2 if self.skip else 1  # of a level, in units of its outputs
        self.decoder = nn.ModuleList(_double_conv(inputs * c, c) for c in reversed(channels[:-1]))
        self.classifier = nn.Conv2d(width, num_classes, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):  # section 3 of the paper: std sqrt(2 / N)
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def forward(self, image: Tensor) -> Tensor:
        height, width = image.shape[-2:]
        x = F.pad(image, (0, -width % _STRIDE, 0, -height % _STRIDE))
        skips = []
        for level, block in enumerate(self.encoder):
            x = block(F.max_pool2d(x, 2) if level else x)  # 1/1 ... 1/16
            skips.append(x)
        for skip, up, block in zip(reversed(skips[:-1]), self.up, self.decoder, strict=True):
            x = up(x)
            x = block(torch.cat([skip, x], dim=1) if self.skip else x)  # 1/8 ... 1/1
        logits: Tensor = self.classifier(x)
        return logits[..., :height, :width]


def _transposed(inputs: int, outputs: int) -> nn.Module:
    return nn.ConvTranspose2d(inputs, outputs, 2, stride=2)


def _bilinear(inputs: int, outputs: int) -> nn.Module:
    # The 1x1 first: both commute, and it has a quarter of the pixels there.
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 1), nn.Upsample(scale_factor=2, mode="bilinear")
    )


_UPS = {"transposed": _transposed, "bilinear": _bilinear}


def _double_conv(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
        nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )
