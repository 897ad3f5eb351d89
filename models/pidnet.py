"""PIDNet (Xu et al., arXiv 2206.02066, section 3), named like the official code's modules.

Three branches: P keeps 1/8 and its detail, I goes down to 1/64 for context, D at 1/8 finds the
edges. Twice P takes from I where both agree (Pag), and D has what I tells added; at the end D
decides pixel by pixel whom to believe, P at edges, I elsewhere (Bag; the small networks' light form
adds 1x1s of both). I ends in DAPPM, in the small networks in its parallel form. A 3x3 and a 1x1
classify at 1/8, and logits are interpolated.

Parameters with 19 classes and GMACs (10^9) at 1024x2048: S 7,625,715 and 47.19, M 28,538,515 and
177.33, L 36,939,571 and 274.93, as the official code's layers add up. The paper has 34.4M and 197.4
for M (recalled, not confirmed), which are not its code's.

Training has two heads more, built by `add_training_heads`: on P after its first fusion for the
classes (`seghead_p`, here `aux`), on D after its second for edges (`seghead_d`, here `boundary`).
Both see rectified maps, as the official code rectifies in place what it has kept for them.

As in the official code: no ReLU between the two bottlenecks at 1/64, and logits interpolated with
align_corners, which its configuration has as its default; inside the network without. Differs from
it: logits are interpolated here, there by the caller. No image is padded.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.dual_resolution import (
    DAPPM,
    BasicBlock,
    Bottleneck,
    Head,
    Pyramid,
    bn_relu_conv,
    check_width,
    conv_bn,
    initialise,
    layer,
    scale,
    stem,
)
from models.resnet import subsample_narrow


class Sizes(NamedTuple):
    width: int  # channels at 1/4; P has twice as many
    blocks: tuple[int, int]  # at 1/4, 1/8 and in P; at 1/16 and 1/32
    pooling: int  # channels of each scale of the pyramid
    head: int
    light: bool = True  # parallel pooling, light bag, and half the channels in D's first step


S = Sizes(32, (2, 3), 96, 128)
M = Sizes(64, (2, 3), 96, 128)
L = Sizes(64, (3, 4), 112, 256, light=False)


def pidnet_s(num_classes: int, *, width: int = 32) -> nn.Module:
    """PIDNet-S: 7.63M parameters with 19 classes; all channels scale with `width`."""
    return PIDNet(S, width, num_classes)


def pidnet_m(num_classes: int, *, width: int = 64) -> nn.Module:
    """PIDNet-M: 28.54M parameters with 19 classes; all channels scale with `width`."""
    return PIDNet(M, width, num_classes)


def pidnet_l(num_classes: int, *, width: int = 64) -> nn.Module:
    """PIDNet-L: 36.94M parameters with 19 classes; all channels scale with `width`."""
    return PIDNet(L, width, num_classes)


class PIDNet(nn.Module):
    auxiliary = ("seghead_p", "seghead_d")
    min_train_batch = 2  # the pyramid's batch norm behind the mean of all sees one value an image

    def __init__(self, sizes: Sizes, width: int, num_classes: int) -> None:
        super().__init__()
        check_width(width)
        c, (few, more) = width, sizes.blocks
        self.width, self.num_classes = width, num_classes
        self.head = scale(sizes.head, width, sizes.width)
        self.conv1 = stem(c)
        self.layer1 = layer(c, c, few)
        self.layer2 = layer(c, 2 * c, few, stride=2)
        self.layer3 = layer(2 * c, 4 * c, more, stride=2)
        self.layer4 = layer(4 * c, 8 * c, more, stride=2)
        self.layer5 = nn.Sequential(Bottleneck(8 * c, 8 * c, stride=2), Bottleneck(16 * c, 8 * c))
        self.compression3 = conv_bn(4 * c, 2 * c, 1)
        self.compression4 = conv_bn(8 * c, 2 * c, 1)
        self.pag3, self.pag4 = Pag(2 * c, c), Pag(2 * c, c)
        self.layer3_, self.layer4_ = layer(2 * c, 2 * c, few), layer(2 * c, 2 * c, few)
        self.layer5_ = nn.Sequential(Bottleneck(2 * c, 2 * c))
        edges = c if sizes.light else 2 * c
        self.layer3_d = BasicBlock(2 * c, edges, relu=False)
        self.layer4_d: nn.Module
        if sizes.light:
            self.layer4_d = nn.Sequential(Bottleneck(edges, c))
        else:
            self.layer4_d = BasicBlock(edges, 2 * c, relu=False)
        self.diff3 = conv_bn(4 * c, edges, 3)
        self.diff4 = conv_bn(8 * c, 2 * c, 3)
        self.layer5_d = nn.Sequential(Bottleneck(2 * c, 2 * c))
        pooling = PAPPM if sizes.light else DAPPM
        self.spp = pooling(16 * c, scale(sizes.pooling, width, sizes.width), 4 * c)
        self.dfm = LightBag(4 * c) if sizes.light else Bag(4 * c)
        self.final_layer = Head(4 * c, self.head, num_classes)
        initialise(self)
        subsample_narrow(self)

    def add_training_heads(self) -> None:
        """Build the heads of P and D, which a constructor leaves out."""
        self.seghead_p = Head(2 * self.width, self.head, self.num_classes)
        self.seghead_d = Head(2 * self.width, self.width, 1)
        initialise(self.seghead_p)
        initialise(self.seghead_d)

    def training_heads(self, image: Tensor) -> dict[str, Tensor]:
        """`out` as forward has it, `aux` (N, K, H, W) and `boundary` (N, 1, H, W), of one pass."""
        logits, parsed, edges = self._logits(image)
        heads = {"out": logits, "aux": self.seghead_p(parsed), "boundary": self.seghead_d(edges)}
        return {name: _to_image(x, image) for name, x in heads.items()}

    def forward(self, image: Tensor) -> Tensor:
        return _to_image(self._logits(image)[0], image)

    def _logits(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits at 1/8, and what the heads of P and D see."""
        x = F.relu(self.layer2(F.relu(self.layer1(self.conv1(image)))))  # 1/8
        i = F.relu(self.layer3(x))
        p = parsed = F.relu(self.pag3(self.layer3_(x), self.compression3(i)))
        d = self.layer3_d(x)
        d = F.relu(d + _resize(self.diff3(i), d))
        i = F.relu(self.layer4(i))
        p = F.relu(self.pag4(self.layer4_(p), self.compression4(i)))
        d = self.layer4_d(d)
        d = edges = F.relu(d + _resize(self.diff4(i), d))
        p, d = self.layer5_(p), self.layer5_d(d)
        i = _resize(self.spp(self.layer5(i)), p)
        return self.final_layer(self.dfm(p, i, d)), parsed, edges


class Pag(nn.Module):
    """Pixel-attention-guided fusion (section 3.2): x where x and y disagree, y where they agree.

    How far they agree is the sigmoid of the product of their 1x1 projections: sigma of each pixel.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.f_x = conv_bn(channels, width, 1)
        self.f_y = conv_bn(channels, width, 1)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """(N, C, H, W) of P and of I, which may be smaller, to (N, C, H, W)."""
        product = self.f_x(x) * _resize(self.f_y(y), x)
        sigma: Tensor = product.sum(dim=1, keepdim=True).sigmoid()
        return (1 - sigma) * x + sigma * _resize(y, x)


class LightBag(nn.Module):
    """Boundary-attention-guided fusion in its light form: of 1x1s of two mixtures."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_p = conv_bn(channels, channels, 1)
        self.conv_i = conv_bn(channels, channels, 1)

    def forward(self, p: Tensor, i: Tensor, d: Tensor) -> Tensor:
        sigma = d.sigmoid()
        total: Tensor = self.conv_p((1 - sigma) * i + p) + self.conv_i(i + sigma * p)
        return total


class Bag(nn.Module):
    """Boundary-attention-guided fusion (section 3.4): P at edges, I elsewhere, then a 3x3."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = bn_relu_conv(channels, channels, 3)

    def forward(self, p: Tensor, i: Tensor, d: Tensor) -> Tensor:
        sigma = d.sigmoid()
        y: Tensor = self.conv(sigma * p + (1 - sigma) * i)
        return y


class PAPPM(Pyramid):
    """Parallel pyramid pooling (section 3.3): each average plus the map, through a grouped 3x3."""

    def __init__(self, inputs: int, branch: int, outputs: int) -> None:
        super().__init__(inputs, branch, outputs)
        self.scale_process = bn_relu_conv(4 * branch, 4 * branch, 3, groups=4)

    def forward(self, x: Tensor) -> Tensor:
        own = self.scale0(x)
        sums = torch.cat([average + own for average in self.averages(x)], dim=1)
        return self.compress(x, [own, self.scale_process(sums)])


def _resize(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, like.shape[-2:], mode="bilinear")


def _to_image(x: Tensor, image: Tensor) -> Tensor:
    return F.interpolate(x, image.shape[-2:], mode="bilinear", align_corners=True)
