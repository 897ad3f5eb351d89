"""DeepLabv3 (Chen et al., arXiv 1706.05587, section 3 and Fig. 5) on a dilated ResNet of timm.

ResNet-101 with dilation 2 and 4 in place of its last two strides (output stride 8), and on its
deepest map atrous spatial pyramid pooling (section 3.3): a 1x1, three 3x3 dilated by 12, 24 and 36
and the image's mean, each of 256 channels; concatenated, a 1x1 to 256 and a 1x1 classifier, every
convolution but this one with batch norm and ReLU. With the 7x7 stem this gives the 58.0M parameters
and 1778.7 GFLOPs of the HRNet paper's Table III to the printed digit.

Differs from the paper: no multi-grid (section 3.2), which costs nothing, so that no count tells;
the first unit of a dilated stage keeps the dilation before it, as in timm (2, 4, 4 in the last);
dropout before the classifier, as in the authors' code. No image is padded.

Paper and authors' code have no auxiliary head. The one that `add_training_heads` builds on the
third stage is MMSegmentation's, whose published DeepLabv3 are trained with it at a weight of 0.4.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.resnet import auxiliary_head, deep_maps, resnet_trunk

_RATES = (12, 24, 36)  # section 3.3: those of output stride 16, doubled


def deeplabv3(num_classes: int, *, trunk: str = "resnet101", width: int = 64) -> nn.Module:
    """DeepLabv3 at output stride 8; `trunk` is a timm ResNet.

    Args:
        width: channels of the trunk's first stage, 64 in the paper; all others follow.

    Raises:
        ValueError: a trunk that is not a ResNet of timm, or a width below 4.
    """
    return DeepLabV3(num_classes, trunk, width)


class DeepLabV3(nn.Module):
    auxiliary = ("auxiliary_head",)
    min_train_batch = 2  # the image pooling's batch norm sees one value a channel and image

    def __init__(self, num_classes: int, trunk: str, width: int) -> None:
        super().__init__()
        self.trunk, (channels,) = resnet_trunk(trunk, width, output_stride=8, maps=(4,))
        self.aspp = ASPP(channels, 4 * width)
        self.classifier = nn.Conv2d(4 * width, num_classes, 1)
        self.third = channels // 2  # channels of the map that the auxiliary head sees

    def add_training_heads(self) -> None:
        """Build MMSegmentation's auxiliary head, which a constructor leaves out."""
        self.auxiliary_head = auxiliary_head(self.third, self.classifier.out_channels)

    def training_heads(self, image: Tensor) -> dict[str, Tensor]:
        """`out` as forward has it, and `aux`, both (N, K, H, W), of one pass of the trunk."""
        third, deep = deep_maps(self.trunk, image)
        out, aux = self._logits(deep, image), self.auxiliary_head(third)
        return {"out": out, "aux": F.interpolate(aux, image.shape[-2:], mode="bilinear")}

    def forward(self, image: Tensor) -> Tensor:
        (deep,) = self.trunk(image)  # 1/8
        return self._logits(deep, image)

    def _logits(self, deep: Tensor, image: Tensor) -> Tensor:
        return F.interpolate(self.classifier(self.aspp(deep)), image.shape[-2:], mode="bilinear")


class ASPP(nn.Module):
    """Atrous spatial pyramid pooling: a 1x1, three dilated 3x3 and the image's mean."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            [
                _conv_bn_relu(inputs, outputs, 1),
                *(_conv_bn_relu(inputs, outputs, 3, rate) for rate in _RATES),
            ]
        )
        self.pool = _conv_bn_relu(inputs, outputs, 1)
        self.project = _conv_bn_relu(outputs * 5, outputs, 1)
        self.dropout = nn.Dropout(0.1)

    def forward(self, x: Tensor) -> Tensor:
        pooled: Tensor = self.pool(x.mean(dim=(2, 3), keepdim=True))
        branches = [branch(x) for branch in self.branches]
        y = torch.cat([*branches, pooled.expand(-1, -1, *x.shape[-2:])], dim=1)
        z: Tensor = self.dropout(self.project(y))
        return z


def _conv_bn_relu(inputs: int, outputs: int, kernel: int, dilation: int = 1) -> nn.Sequential:
    padding = dilation * (kernel // 2)
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, 1, padding, dilation, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )
