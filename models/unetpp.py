"""UNet++ (Zhou et al., arXiv 1807.10165, section 3 and Fig. 1; 1912.05074) on a ResNet of timm.

Node X^{i,j} is two 3x3 convolutions with batch norm and ReLU on the concatenation of all nodes
before it in its row, X^{i,0} ... X^{i,j-1}, and of X^{i+1,j-1} upsampled. Column 0 is the ResNet:
the stem at 1/2 and the four stages at 1/4 to 1/32. All nodes of a row have the same channels, here
32, 64, 128 and 256. As in the authors' code for such encoders, which have no map at 1/1, a last
node without skips brings X^{0,4} to the input's size with 16 channels. A 1x1 classifies.

Differs from the paper: the encoder is a ResNet, whose channels the nodes do not take; no deep
supervision. Upsampling is to the skip's own size by nearest neighbour, which is to double and crop:
no image is padded.

With ResNet-101 and 19 classes this counts 54.68M parameters and 749.7 GFLOPs at 1024x2048, where
the HRNet paper's Table III prints 59.5M and 748.5 and names no layers. No form that was tried gives
both: with the encoder's channels in the inner nodes, as in segmentation-models-pytorch, it counts
67.98M and 1856.7; with 64, 128, 256 and 16 a row, a last 32 and a 3x3 to classify, as in the
authors' code, 53.34M and 1362.8.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.resnet import resnet_trunk

_ROWS = 4  # rows with nodes; the encoder's last map, below them, has none


def unetpp(num_classes: int, *, trunk: str = "resnet101", width: int = 64) -> nn.Module:
    """UNet++; `trunk` is a timm ResNet.

    Args:
        width: channels of the trunk's first stage and of the nodes at 1/4; all others follow.

    Raises:
        ValueError: a trunk that is not a ResNet of timm, or a width below 4.
    """
    return UNetPlusPlus(num_classes, trunk, width)


class UNetPlusPlus(nn.Module):
    def __init__(self, num_classes: int, trunk: str, width: int) -> None:
        super().__init__()
        self.trunk, encoder = resnet_trunk(trunk, width, output_stride=32, maps=(0, 1, 2, 3, 4))
        channels = [width * 2**i // 2 for i in range(_ROWS)]
        self.columns = nn.ModuleList()  # columns[j - 1][i] is node X^{i,j}
        below = encoder[1:]  # channels of X^{i+1,j-1}
        for j in range(1, _ROWS + 1):
            self.columns.append(
                nn.ModuleList(
                    _double_conv(encoder[i] + (j - 1) * channels[i] + below[i], channels[i])
                    for i in range(_ROWS + 1 - j)
                )
            )
            below = channels[1:]
        self.last = _double_conv(channels[0], width // 4)
        self.classifier = nn.Conv2d(width // 4, num_classes, 1)

    def forward(self, image: Tensor) -> Tensor:
        rows = [[x] for x in self.trunk(image)]  # 1/2 ... 1/32
        for column in self.columns:
            assert isinstance(column, nn.ModuleList)
            # From the top down, so that the row below still ends with the column before.
            for node, row, below in zip(column, rows, rows[1:], strict=False):
                up = F.interpolate(below[-1], row[0].shape[-2:])
                row.append(node(torch.cat([*row, up], dim=1)))
        x = self.last(F.interpolate(rows[0][-1], image.shape[-2:]))  # 1/1
        logits: Tensor = self.classifier(x)
        return logits


def _double_conv(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
        nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )
