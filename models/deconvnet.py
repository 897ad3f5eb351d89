"""DeconvNet (Noh et al., arXiv 1505.04366, Fig. 2 and Table 2).

VGG16 with its fully connected layers as convolutions (7x7 and 1x1, 4096 channels), and its mirror
image: a 7x7 deconvolution, then unpooling by stored indices and 3x3 deconvolutions, five times.
Batch norm and ReLU follow each but the classifier; with 21 classes these are 251.8M parameters.

Differs from the paper: its 224x224 input makes the 7x7 convolution valid, from 7x7 cells to one
and back; here both are padded, for inputs of any size, and keep the 1/32 map. A 3x3 deconvolution
of stride 1 is a convolution with its kernel turned by half a turn, and is written as such: in
bf16 on a CPU its backward pass is up to twice as fast. One pass over the image replaces the sum
over 50 object proposals.
"""

from torch import Tensor, nn

from models.vgg import activated, decode, encode, initialise, mark, mirror, switching_pools, vgg16

_DECODER = ((8, 8, 8), (8, 8, 4), (4, 4, 2), (2, 1), (1, 1))  # in units of width, the deepest first


def deconvnet(num_classes: int, *, width: int = 64) -> nn.Module:
    """DeconvNet with `width` channels at full resolution: the paper's 64."""
    return DeconvNet(num_classes, width)


class DeconvNet(nn.Module):
    def __init__(self, num_classes: int, width: int) -> None:
        super().__init__()
        inputs, hidden = 8 * width, 64 * width  # 512 and 4096
        self.trunk = vgg16(width, "batch", switching_pools())
        self.fc = nn.Sequential(
            activated(nn.Conv2d(inputs, hidden, 7, padding=3), "batch"),
            activated(nn.Conv2d(hidden, hidden, 1), "batch"),
            activated(nn.ConvTranspose2d(hidden, inputs, 7, padding=3), "batch"),
        )
        self.decoder = mirror(width, _DECODER)
        self.classifier = nn.Conv2d(width, num_classes, 1)
        initialise(self)
        for place, name in enumerate(("pre_logits.fc1", "pre_logits.fc2")):
            mark(self.fc.get_submodule(f"{place}.0"), name, width, "batch")

    def forward(self, image: Tensor) -> Tensor:
        x, switches = encode(self.trunk, image)  # 1/32
        logits: Tensor = self.classifier(decode(self.decoder, self.fc(x), switches))
        return logits
