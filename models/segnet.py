"""SegNet (Badrinarayanan et al., arXiv 1511.00561, Fig. 2 and section 3).

VGG16's convolutions down to 1/32, each followed by batch norm and ReLU. The way back mirrors them;
it puts each value where the pooling of that level found its maximum and leaves zeros between.
Layer sizes are those of the authors' Caffe file; with 11 classes they count 29.45M parameters.

Differs from the paper: nothing known in the network. Poolings round odd sizes up and unpoolings
return to the exact size, as there, so that inputs of any size need no padding.
"""

from torch import Tensor, nn

from models.vgg import decode, encode, initialise, mirror, switching_pools, vgg16

_DECODER = ((8, 8, 8), (8, 8, 4), (4, 4, 2), (2, 1), (1,))  # in units of width, the deepest first


def segnet(num_classes: int, *, width: int = 64) -> nn.Module:
    """SegNet with `width` channels at full resolution: the paper's 64."""
    return SegNet(num_classes, width)


class SegNet(nn.Module):
    def __init__(self, num_classes: int, width: int) -> None:
        super().__init__()
        self.trunk = vgg16(width, "batch", switching_pools())
        self.decoder = mirror(width, _DECODER)
        self.classifier = nn.Conv2d(width, num_classes, 3, padding=1)
        initialise(self)

    def forward(self, image: Tensor) -> Tensor:
        x, switches = encode(self.trunk, image)  # 1/32
        logits: Tensor = self.classifier(decode(self.decoder, x, switches))
        return logits
