"""DeepLabv1 (Chen et al., arXiv 1412.7062): its DeepLab-LargeFOV, without the CRF.

VGG16 whose last two poolings have stride 1, which makes 1/8 of the resolution: the fifth block has
dilation 2, the first fully connected layer is a 3x3 convolution of dilation 12 to 1024 channels,
the second a 1x1, and a 1x1 gives the classes; with 21 of them these are 20.5M parameters. The
logits go up by bilinear interpolation.

Poolings are 3x3 and round up, as we recall the authors' Caffe file, which was not read again: the
cells lie on every eighth pixel from the first on, also past the last one, so that logits are
interpolated with aligned corners and cropped.

Differs from the paper: it starts from ImageNet weights, its fully connected layers from subsampled
ones; here `init=imagenet` fills the thirteen convolutions alone, and all else is He's; the loss
sees the logits at full size, not the labels at 1/8; an average pooling before the fully connected
layers, which we recall in that file and which the paper does not name, is left out. Optional batch
norm (`norm=batch`).
"""

from torch import Tensor, nn
from torch.nn import functional as F

from models.vgg import activated, initialise, vgg16

_STRIDE = 8


def deeplabv1(num_classes: int, *, width: int = 64, norm: str = "none") -> nn.Module:
    """DeepLab-LargeFOV on a VGG16 of `width`: the paper's 64.

    Raises:
        ValueError: a norm other than none or batch.
    """
    return DeepLabV1(num_classes, width, norm)


class DeepLabV1(nn.Module):
    def __init__(self, num_classes: int, width: int, norm: str) -> None:
        super().__init__()
        pools = [nn.MaxPool2d(3, stride, 1, ceil_mode=True) for stride in (2, 2, 2, 1, 1)]
        self.trunk = vgg16(width, norm, pools, dilation=2)
        hidden = 16 * width
        self.head = nn.Sequential(
            activated(nn.Conv2d(8 * width, hidden, 3, padding=12, dilation=12), norm),
            nn.Dropout(0.5),
            activated(nn.Conv2d(hidden, hidden, 1), norm),
            nn.Dropout(0.5),
            nn.Conv2d(hidden, num_classes, 1),
        )
        initialise(self)

    def forward(self, image: Tensor) -> Tensor:
        height, width = image.shape[-2:]
        logits = self.head(self.trunk(image))  # 1/8
        size = [(cells - 1) * _STRIDE + 1 for cells in logits.shape[-2:]]
        logits = F.interpolate(logits, size, mode="bilinear", align_corners=True)
        return logits[..., :height, :width]
