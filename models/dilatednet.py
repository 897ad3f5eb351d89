"""DilatedNet (Yu & Koltun, arXiv 1511.07122): the front end of section 4 and a context module.

The front end is VGG16 without its last two poolings, which makes 1/8 of the resolution: the fifth
block has dilation 2, the first fully connected layer is a 7x7 convolution of dilation 4, the second
a 1x1, and a 1x1 gives the classes; with 21 of them these are 134.3M parameters. The context module
(Table 1) works on the class maps alone: seven 3x3 convolutions of growing dilation with ReLU and a
1x1, which start as the identity on what its first ReLU lets pass. The logits go up by 8, bilinear.

Differs from the paper: its front end has no padding and reflects 186 pixels around the input; here
every convolution is padded with zeros and keeps the size. It starts from ImageNet weights, as here
with `init=imagenet`, else from He's initialisation, without which nothing is learnt from scratch.
Front end and context are trained in one go, not one after the other; no head is for training alone,
as the authors' joint training has one loss, on the context module's output. Optional batch norm in
the front end (`norm=batch`).

`up=transposed` tries what FCN learns (arXiv 1411.4038, section 3.3) and this network does without:
the logits go up by a transposed convolution of one 16x16 filter a class, which starts bilinear. The
paper has no table of it.
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.upsampling import transposed
from models.vgg import activated, initialise, mark, vgg16

_STRIDE = 8
_DILATIONS = (1, 1, 2, 4, 8, 16, 1)
_CONTEXTS = {  # Table 1: outputs of these layers, in units of the classes
    "none": (),
    "basic": (1, 1, 1, 1, 1, 1, 1),
    "large": (2, 2, 4, 8, 16, 32, 32),
}
NOISE = 1e-3  # of a weight of the identity; the paper asks for much less than 1


def dilatednet(
    num_classes: int,
    *,
    width: int = 64,
    context: str = "basic",
    norm: str = "none",
    up: Literal["bilinear", "transposed"] = "bilinear",
) -> nn.Module:
    """DilatedNet on a VGG16 of `width` (the paper's 64); context is none, basic or large.

    Args:
        up: bilinear or transposed.

    Raises:
        ValueError: another context or up, or a norm other than none or batch.
    """
    return DilatedNet(num_classes, width, context, norm, up)


class DilatedNet(nn.Module):
    def __init__(self, num_classes: int, width: int, context: str, norm: str, up: str) -> None:
        super().__init__()
        if context not in _CONTEXTS:
            raise ValueError(f"context is none, basic or large, got {context!r}: choose one")
        if up not in ("bilinear", "transposed"):
            raise ValueError(f"up is bilinear or transposed, got {up!r}: choose one of them")
        pools = [nn.MaxPool2d(2, ceil_mode=True) for _ in range(3)]
        self.trunk = vgg16(width, norm, [*pools, nn.Identity(), nn.Identity()], dilation=2)
        hidden = 64 * width
        self.head = nn.Sequential(
            activated(Polyphase(8 * width, hidden, 7, padding=12, dilation=4), norm),
            nn.Dropout(0.5),
            activated(nn.Conv2d(hidden, hidden, 1), norm),
            nn.Dropout(0.5),
            nn.Conv2d(hidden, num_classes, 1),
        )
        initialise(self)
        mark(self.head.get_submodule("0.0"), "pre_logits.fc1", width, norm)
        mark(self.head.get_submodule("2.0"), "pre_logits.fc2", width, norm)
        self.context = _context(num_classes, _CONTEXTS[context])
        self.up: nn.Module = nn.Upsample(scale_factor=_STRIDE, mode="bilinear")
        if up == "transposed":
            self.up = transposed(num_classes, _STRIDE)

    def forward(self, image: Tensor) -> Tensor:
        height, width = image.shape[-2:]
        logits: Tensor = self.up(self.context(self.head(self.trunk(image))))  # from 1/8, rounded up
        return logits[..., :height, :width]  # each cell stays over the pixels that it saw


class Polyphase(nn.Conv2d):
    """A dilated convolution that keeps the size, as a plain one on each phase of the map.

    Cells that a kernel of dilation d relates are d apart: taken in steps of d, the map is d x d
    small ones, which the same kernel crosses undilated. Equal up to rounding; with 4096 outputs the
    dilated backward pass on a CPU is fifteen times as slow, a minute a core for two 8x8 maps.
    """

    def forward(self, input: Tensor) -> Tensor:
        if input.is_meta:  # to count operations, and not those of the padding
            return super().forward(input)
        (height, width), step = input.shape[-2:], self.dilation[0]
        x = F.pad(input, (0, -width % step, 0, -height % step))
        x = F.pixel_unshuffle(x, step)
        n, _, h, w = x.shape
        x = x.reshape(n, -1, step**2, h, w).transpose(1, 2).flatten(0, 1)  # phases to the batch
        y = F.conv2d(x, self.weight, self.bias, padding=self.kernel_size[0] // 2)
        y = y.reshape(n, step**2, -1, h, w).transpose(1, 2).flatten(1, 2)
        return F.pixel_shuffle(y, step)[..., :height, :width]


def _context(num_classes: int, scales: tuple[int, ...]) -> nn.Sequential:
    layers, inputs = nn.Sequential(), num_classes
    for scale, dilation in zip(scales, _DILATIONS, strict=False):
        conv = nn.Conv2d(inputs, scale * num_classes, 3, padding=dilation, dilation=dilation)
        layers.extend([_identity(conv, num_classes), nn.ReLU(inplace=True)])
        inputs = conv.out_channels
    if scales:
        layers.append(_identity(nn.Conv2d(inputs, num_classes, 1), num_classes))
    return layers


def _identity(conv: nn.Conv2d, num_classes: int) -> nn.Conv2d:
    """Equation 5 of the paper, and 4 where there is one map a class: classes pass unmixed.

    The maps of a class share its value; noise tells them apart.
    """
    outputs, inputs = conv.out_channels, conv.in_channels
    share = num_classes / outputs
    to, of = (torch.arange(maps) * num_classes // maps for maps in (outputs, inputs))
    centre = conv.kernel_size[0] // 2
    nn.init.normal_(conv.weight, std=NOISE * share if max(inputs, outputs) > num_classes else 0)
    assert conv.bias is not None
    nn.init.zeros_(conv.bias)
    with torch.no_grad():
        middle = conv.weight[:, :, centre, centre]
        middle.copy_(torch.where(to[:, None] == of, share, middle))
    return conv
