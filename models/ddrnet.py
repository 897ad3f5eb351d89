"""DDRNet (Hong et al., arXiv 2101.06085, section III), named like the official code's modules.

From 1/8 a stream keeps that resolution beside one that goes down to 1/64. After each step the two
are fused: the low one through a 1x1 and bilinear interpolation into the high one, the high one
through 3x3 convolutions of stride 2 into the low one, both as they are before the other is added
and rectified. At 1/64 deep aggregation pyramid pooling (DAPPM) sees averages over windows and over
all; its output, interpolated to 1/8, is added to the high stream, and a 3x3 and a 1x1 classify.

Parameters with 19 classes and GMACs (10^9) at 1024x2048: 23-slim 5,695,987 and 36.28, 23 20,148,947
and 143.06, 39 32,360,275 and 281.12, as the official code's layers add up.

Training has an auxiliary loss of weight 0.4 on the high stream before the fourth step, that is
after the first fusion, in 39 after the second. Its head (`seghead_extra`) is built by
`add_training_heads`. A port that gives the main output the 0.4 is not followed.

Differs from the official code: the logits are interpolated to the image's size here (align_corners
False), there by the caller; maps are interpolated to the size of the high stream, which is H/8
rounded up, so that any size is taken. No image is padded.
"""

from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

from models.dual_resolution import (
    DAPPM,
    Bottleneck,
    Head,
    check_width,
    conv_bn,
    initialise,
    layer,
    scale,
    stem,
)
from models.resnet import subsample_narrow


class Sizes(NamedTuple):
    width: int  # channels at 1/4; the stream at 1/8 has twice as many
    blocks: tuple[int, int, int, int]  # of steps 1 to 4
    pooling: int  # channels of each scale in DAPPM
    head: int
    thirds: tuple[str, ...] = ("3",)  # 39 makes the third step in two, with a fusion after each


SLIM = Sizes(32, (2, 2, 2, 2), 128, 64)
D23 = Sizes(64, (2, 2, 2, 2), 128, 128)
D39 = Sizes(64, (3, 4, 6, 3), 128, 256, ("3_1", "3_2"))


def ddrnet23_slim(num_classes: int, *, width: int = 32) -> nn.Module:
    """DDRNet-23-slim: 5.70M parameters with 19 classes; all channels scale with `width`."""
    return DDRNet(SLIM, width, num_classes)


def ddrnet23(num_classes: int, *, width: int = 64) -> nn.Module:
    """DDRNet-23: 20.15M parameters with 19 classes; all channels scale with `width`."""
    return DDRNet(D23, width, num_classes)


def ddrnet39(num_classes: int, *, width: int = 64) -> nn.Module:
    """DDRNet-39: 32.36M parameters with 19 classes; all channels scale with `width`."""
    return DDRNet(D39, width, num_classes)


class DDRNet(nn.Module):
    auxiliary = ("seghead_extra",)
    min_train_batch = 2  # DAPPM's batch norm behind the mean of all sees one value an image

    def __init__(self, sizes: Sizes, width: int, num_classes: int) -> None:
        super().__init__()
        check_width(width)
        c, high = width, 2 * width
        self.high = high  # channels of the stream at 1/8
        self.head = scale(sizes.head, width, sizes.width)
        self.num_classes = num_classes
        self.steps = (*sizes.thirds, "4")
        self.conv1 = stem(c)
        self.layer1 = layer(c, c, sizes.blocks[0])
        self.layer2 = layer(c, high, sizes.blocks[1], stride=2)
        inputs = high
        for step in sizes.thirds:
            blocks = sizes.blocks[2] // len(sizes.thirds)
            self._add_step(step, inputs, 4 * c, blocks)
            inputs = 4 * c
        self._add_step("4", inputs, 8 * c, sizes.blocks[3])
        self.layer5_ = nn.Sequential(Bottleneck(high, high))
        self.layer5 = nn.Sequential(Bottleneck(8 * c, 8 * c, stride=2))
        self.spp = DAPPM(16 * c, scale(sizes.pooling, width, sizes.width), 4 * c)
        self.final_layer = Head(4 * c, self.head, num_classes)
        initialise(self)
        subsample_narrow(self)

    def _add_step(self, step: str, inputs: int, low: int, blocks: int) -> None:
        """Residual layers of both streams, and what brings each to the other's size."""
        high = self.high
        down = conv_bn(high, 2 * high, 3, stride=2)
        if step == "4":  # to 1/32, over twice the channels
            down = nn.Sequential(*down, nn.ReLU(inplace=True), *conv_bn(2 * high, low, 3, stride=2))
        self.add_module(f"layer{step}", layer(inputs, low, blocks, stride=1 + (inputs != low)))
        self.add_module(f"layer{step}_", layer(high, high, blocks))
        self.add_module(f"compression{step}", conv_bn(low, high, 1))
        self.add_module(f"down{step}", down)

    def add_training_heads(self) -> None:
        """Build the head of the auxiliary loss, which a constructor leaves out."""
        self.seghead_extra = Head(self.high, self.head, self.num_classes)
        initialise(self.seghead_extra)

    def training_heads(self, image: Tensor) -> dict[str, Tensor]:
        """`out` as forward has it, and `aux`, both (N, K, H, W), of one pass of the trunk."""
        logits, early = self._logits(image)
        return {"out": _resize(logits, image), "aux": _resize(self.seghead_extra(early), image)}

    def forward(self, image: Tensor) -> Tensor:
        return _resize(self._logits(image)[0], image)

    def _logits(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Logits at 1/8, and the stream of this size before the fourth step."""
        low = high = early = self.layer2(F.relu(self.layer1(self.conv1(image))))
        for step in self.steps:
            early = high
            low, high = self._step(step, F.relu(low), F.relu(high))
        high = self.layer5_(F.relu(high))
        low = self.spp(self.layer5(F.relu(low)))  # 1/64
        return self.final_layer(high + _resize(low, high)), early

    def _step(self, step: str, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        """Both streams through their layers, then each with the other's added."""
        low = getattr(self, f"layer{step}")(low)
        high = getattr(self, f"layer{step}_")(high)
        down = getattr(self, f"down{step}")(F.relu(high))
        up = getattr(self, f"compression{step}")(F.relu(low))
        return low + down, high + _resize(up, high)


def _resize(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, like.shape[-2:], mode="bilinear")
