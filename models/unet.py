"""U-Net (Ronneberger et al., arXiv 1505.04597, Fig. 1) with padding and batch norm.

Five levels of two 3x3 convolutions, 2x2 max-pooling down to 1/16, 2x2 transposed convolutions up,
and skips that are concatenated.

Differs from the paper: convolutions are padded, so that nothing is cropped from the skips and the
output has the input's size; each is followed by batch norm (and has no bias); no dropout. The
input is padded with zeros, the mean colour, on the right and below to a multiple of 16, and the
logits are cropped back.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_LEVELS = 5
_STRIDE = 2 ** (_LEVELS - 1)


def unet(num_classes: int, *, width: int = 64) -> nn.Module:
    """U-Net with `width` channels at full resolution; 31.04M parameters at 64."""
    return UNet(num_classes, width)


class UNet(nn.Module):
    def __init__(self, num_classes: int, width: int) -> None:
        super().__init__()
        channels = [width * 2**i for i in range(_LEVELS)]
        self.encoder = nn.ModuleList(
            _double_conv(inputs, outputs)
            for inputs, outputs in zip([3, *channels], channels, strict=False)
        )
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(2 * c, c, 2, stride=2) for c in reversed(channels[:-1])
        )
        self.decoder = nn.ModuleList(_double_conv(2 * c, c) for c in reversed(channels[:-1]))
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
            x = block(torch.cat([skip, up(x)], dim=1))  # 1/8 ... 1/1
        logits: Tensor = self.classifier(x)
        return logits[..., :height, :width]


def _double_conv(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
        nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )
