"""Dilated ResNet-101, the "Dilated-ResNet" row of the HRNet paper (arXiv 1908.07919, Table III).

ResNet-101 with a stem of three 3x3 convolutions (64, 64, 128), strides of the last two stages
replaced by dilation 2 and 4 (output stride 8), a 3x3 convolution to 512 channels with batch norm
and ReLU, a 1x1 classifier and bilinear upsampling. The paper names no layers; this form gives its
52.1M parameters and 1661.6 GFLOPs to the printed digit.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from models.resnet import resnet_trunk


def dilated_resnet(num_classes: int, *, trunk: str = "resnet101s", width: int = 64) -> nn.Module:
    """`trunk` is a timm ResNet; resnet101s has the deep stem.

    Args:
        width: channels of the trunk's first stage, 64 in the paper; all others follow.

    Raises:
        ValueError: a trunk that is not a ResNet of timm, or a width below 4.
    """
    return DilatedResNet(num_classes, trunk, width)


class DilatedResNet(nn.Module):
    def __init__(self, num_classes: int, trunk: str, width: int) -> None:
        super().__init__()
        self.trunk, (channels,) = resnet_trunk(trunk, width, output_stride=8, maps=(4,))
        self.head = nn.Sequential(
            nn.Conv2d(channels, channels // 4, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels // 4),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels // 4, num_classes, 1),
        )

    def forward(self, image: Tensor) -> Tensor:
        (deep,) = self.trunk(image)  # 1/8
        return F.interpolate(self.head(deep), image.shape[-2:], mode="bilinear")
