"""PSPNet (Zhao et al., arXiv 1612.01105, section 3 and Fig. 3) on a dilated ResNet of timm.

ResNet-101 with a stem of three 3x3 convolutions (64, 64, 128) and dilation 2 and 4 in place of its
last two strides (output stride 8). Pyramid pooling sets beside the deepest map its means over
1x1, 2x2, 3x3 and 6x6 bins, each reduced by a 1x1 to a quarter of the channels. A 3x3 to 512,
dropout and a 1x1 classifier follow; every convolution but the last has batch norm and ReLU.

The paper trains with an auxiliary loss of weight 0.4 after res4b22, the last unit of the third
stage (section 4): its head is built by `add_training_heads`, as in the authors' PyTorch code
(`aux`: a 3x3 to 256, dropout of whole maps, a 1x1).

Differs from the paper: stem and dropout are those of the authors' code; the paper names neither. No
image is padded.

With 19 classes this counts 65.71M parameters and 1949.7 GFLOPs at 1024x2048, where the HRNet
paper's Table III prints 65.9M and 2017.6 and names no layers. No plausible form tried gives both:
a 7x7 stem 65.58M and 1896.9, an auxiliary head counted 68.07M and 2021.8.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.resnet import auxiliary_head, deep_maps, resnet_trunk

_BINS = (1, 2, 3, 6)


def pspnet(num_classes: int, *, trunk: str = "resnet101s", width: int = 64) -> nn.Module:
    """PSPNet at output stride 8; `trunk` is a timm ResNet, resnet101s has the deep stem.

    Args:
        width: channels of the trunk's first stage, 64 in the paper; all others follow.

    Raises:
        ValueError: a trunk that is not a ResNet of timm, or a width below 4.
    """
    return PSPNet(num_classes, trunk, width)


class PSPNet(nn.Module):
    auxiliary = ("aux",)
    min_train_batch = 2  # the batch norm of the 1x1 bin sees one value a channel and image

    def __init__(self, num_classes: int, trunk: str, width: int) -> None:
        super().__init__()
        self.trunk, (channels,) = resnet_trunk(trunk, width, output_stride=8, maps=(4,))
        self.pyramid = PyramidPooling(channels)
        self.head = nn.Sequential(
            _conv_bn_relu(2 * channels, channels // 4, 3),
            nn.Dropout(0.1),
            nn.Conv2d(channels // 4, num_classes, 1),
        )
        self.third = channels // 2  # channels of the map that the auxiliary head sees
        self.num_classes = num_classes

    def add_training_heads(self) -> None:
        """Build the auxiliary head of section 4, which a constructor leaves out."""
        self.aux = auxiliary_head(self.third, self.num_classes)

    def training_heads(self, image: Tensor) -> dict[str, Tensor]:
        """`out` as forward has it, and `aux`, both (N, K, H, W), of one pass of the trunk."""
        third, deep = deep_maps(self.trunk, image)
        out = self._logits(deep, image)
        return {"out": out, "aux": F.interpolate(self.aux(third), out.shape[-2:], mode="bilinear")}

    def forward(self, image: Tensor) -> Tensor:
        (deep,) = self.trunk(image)  # 1/8
        return self._logits(deep, image)

    def _logits(self, deep: Tensor, image: Tensor) -> Tensor:
        return F.interpolate(self.head(self.pyramid(deep)), image.shape[-2:], mode="bilinear")


class PyramidPooling(nn.Module):
    """(N, C, H, W) to (N, 2 C, H, W): the map, then its means over each grid of bins, resized."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(
                nn.AdaptiveAvgPool2d(bins), _conv_bn_relu(channels, channels // len(_BINS), 1)
            )
            for bins in _BINS
        )

    def forward(self, x: Tensor) -> Tensor:
        size = x.shape[-2:]
        means = (F.interpolate(branch(x), size, mode="bilinear") for branch in self.branches)
        return torch.cat([x, *means], dim=1)


def _conv_bn_relu(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )
