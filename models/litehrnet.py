"""Lite-HRNet (Yu et al., arXiv 2104.06403, section 3), named like the official code's modules.

HRNet's streams from 1/4 to 1/32 without 1x1 convolutions in their blocks. Of each stream half the
channels pass; the others are weighted by all streams together (cross-resolution weighting: pooled
to the smallest stream, two 1x1, nearest interpolation back), go through a depthwise 3x3, are
weighted by their own means (spatial weighting), and are shuffled with the first half. A module ends
with HRNet's fusion, of depthwise separable convolutions. The code's head goes from the lowest
stream up, each added to the next through a depthwise separable convolution; a 1x1 classifies.

Parameters with 19 classes, and 2^30 multiply-adds at 512x1024: 18 has 1,130,851 and 1.975, 30 has
1,763,799 and 3.075. The paper has 1.1M and 1.95, 1.8M and 3.02 (recalled, not confirmed).

As in the official code, whose weights were trained so: a fusion adds the first stream twice, to
itself, in place, so that the other rows, which receive it twice as well, receive what it has
become by then, not yet rectified. MMPose's port notes that accuracy falls without.

Differs from the official code: that is for pose estimation, so that the classifier is ours; maps
are interpolated to a stream's size, not by a factor, so that any size is taken; what a row receives
twice is computed once and doubled, which moves running statistics once, and without which 18 would
run 2.41, 30 3.84. Weights start as He's (fan out): the code's, normal with std 0.001, bring
variances behind a depthwise convolution below the epsilon of its batch norm.
"""

from collections import OrderedDict
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.resnet import subsample_narrow

_CROSS, _SPATIAL = 8, 4  # channels in units of the two weightings' inner ones


class Sizes(NamedTuple):
    modules: tuple[int, int, int]  # of the stages with 2, 3 and 4 streams
    width: int = 40  # channels of the 1/4 stream
    blocks: int = 2  # of a module


L18, L30 = Sizes((2, 4, 2)), Sizes((3, 8, 3))


def litehrnet18(num_classes: int, *, width: int = 40) -> nn.Module:
    """Lite-HRNet-18: 1.13M parameters with 19 classes; `width` is the 1/4 stream's, an even one.

    Raises:
        ValueError: a width that is odd or below 2.
    """
    return SegmentationLiteHRNet(L18, width, num_classes)


def litehrnet30(num_classes: int, *, width: int = 40) -> nn.Module:
    """Lite-HRNet-30: 1.76M parameters with 19 classes; `width` is the 1/4 stream's, an even one.

    Raises:
        ValueError: a width that is odd or below 2.
    """
    return SegmentationLiteHRNet(L30, width, num_classes)


class SegmentationLiteHRNet(nn.Module):
    def __init__(self, sizes: Sizes, width: int, num_classes: int) -> None:
        super().__init__()
        if width < 2 or width % 2:
            raise ValueError(
                f"width is even and at least 2, got {width}: give channels that split into halves, "
                "such as 40"
            )
        self.backbone = LiteHRNet(sizes, width)
        self.classifier = nn.Conv2d(width, num_classes, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        nn.init.normal_(self.classifier.weight, std=0.001)
        subsample_narrow(self)

    def forward(self, image: Tensor) -> Tensor:
        logits = self.classifier(self.backbone(image))  # 1/4
        return F.interpolate(logits, image.shape[-2:], mode="bilinear")


class LiteHRNet(nn.Module):
    """Image (N, 3, H, W) to the 1/4 map (N, width, H/4, W/4) of the head."""

    def __init__(self, sizes: Sizes, width: int) -> None:
        super().__init__()
        channels = [width * 2**i for i in range(4)]
        stem = max(2, 2 * round(16 * width / sizes.width))
        self.stem = Stem(stem)
        before = [stem]
        for stage, modules in enumerate(sizes.modules):
            after = channels[: stage + 2]
            self.add_module(f"transition{stage}", _transition(before, after))
            layers = (LiteHRModule(after, sizes.blocks) for _ in range(modules))
            self.add_module(f"stage{stage}", nn.Sequential(*layers))
            before = after
        self.stages = len(sizes.modules)
        self.head_layer = IterativeHead(channels)

    def forward(self, image: Tensor) -> Tensor:
        streams = [self.stem(image)]
        for stage in range(self.stages):
            layers = enumerate(getattr(self, f"transition{stage}"))
            streams = [layer(streams[min(i, len(streams) - 1)]) for i, layer in layers]
            streams = getattr(self, f"stage{stage}")(streams)
        high: Tensor = self.head_layer(streams)
        return high


class Stem(nn.Module):
    """A 3x3 of stride 2, then another stride in two ways, on half the channels each: to 1/4."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.conv1 = _conv(3, channels, 3, stride=2)
        self.branch1 = nn.Sequential(
            _conv(half, half, 3, stride=2, groups=half, act=None), _conv(half, half)
        )
        self.expand_conv = _conv(half, channels)
        self.depthwise_conv = _conv(channels, channels, 3, stride=2, groups=channels, act=None)
        self.linear_conv = _conv(channels, half)

    def forward(self, image: Tensor) -> Tensor:
        one, other = self.conv1(image).chunk(2, dim=1)
        other = self.linear_conv(self.depthwise_conv(self.expand_conv(other)))
        return shuffle(torch.cat([self.branch1(one), other], dim=1))


class LiteHRModule(nn.Module):
    """Blocks over all streams, then every stream receives the sum of all."""

    def __init__(self, channels: list[int], blocks: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(*(ConditionalChannelWeighting(channels) for _ in range(blocks)))
        streams = range(len(channels))
        self.fuse_layers = nn.ModuleList(
            nn.ModuleList(_fuse_layer(channels, i, j) for j in streams) for i in streams
        )

    def forward(self, streams: list[Tensor]) -> list[Tensor]:
        streams = list(self.layers(streams))
        fused = []
        for i, layers in enumerate(self.fuse_layers):
            assert isinstance(layers, nn.ModuleList)
            size = streams[i].shape[-2:]
            first, *rest = (
                _nearest(layer(x), size) for layer, x in zip(layers, streams, strict=True)
            )
            total = 2 * first + torch.stack(rest).sum(dim=0)
            if i == 0:
                streams[0] = total  # as the code's addition in place leaves it for the other rows
            fused.append(F.relu(total))
        return fused


class ConditionalChannelWeighting(nn.Module):
    """The block: see the head of this file. Streams in, streams of the same shapes out."""

    def __init__(self, channels: list[int]) -> None:
        super().__init__()
        halves = [c // 2 for c in channels]
        self.cross_resolution_weighting = CrossResolutionWeighting(halves)
        self.depthwise_convs = nn.ModuleList(_conv(c, c, 3, groups=c, act=None) for c in halves)
        self.spatial_weighting = nn.ModuleList(SpatialWeighting(c) for c in halves)

    def forward(self, streams: list[Tensor]) -> list[Tensor]:
        pairs = [x.chunk(2, dim=1) for x in streams]
        weighted = self.cross_resolution_weighting([second for _, second in pairs])
        layers = zip(pairs, weighted, self.depthwise_convs, self.spatial_weighting, strict=True)
        return [
            shuffle(torch.cat([first, spatial(depthwise(x))], dim=1))
            for (first, _), x, depthwise, spatial in layers
        ]


class CrossResolutionWeighting(nn.Module):
    """Weights of all streams' channels at each cell of the smallest, from all of them."""

    def __init__(self, channels: list[int]) -> None:
        super().__init__()
        self.channels = channels
        total, inner = sum(channels), max(1, sum(channels) // _CROSS)
        self.conv1 = _conv(total, inner)
        self.conv2 = _conv(inner, total, act=nn.Sigmoid)

    def forward(self, streams: list[Tensor]) -> list[Tensor]:
        height, width = streams[-1].shape[-2:]
        pooled = torch.cat([F.adaptive_avg_pool2d(x, (height, width)) for x in streams], dim=1)
        weights = self.conv2(self.conv1(pooled)).split(self.channels, dim=1)
        return [x * _nearest(w, x.shape[-2:]) for x, w in zip(streams, weights, strict=True)]


class SpatialWeighting(nn.Module):
    """Weights of a stream's channels, from their means; without batch norm."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = max(1, channels // _SPATIAL)
        self.conv1 = _conv(channels, inner, norm=False)
        self.conv2 = _conv(inner, channels, norm=False, act=nn.Sigmoid)

    def forward(self, x: Tensor) -> Tensor:
        weighted: Tensor = x * self.conv2(self.conv1(x.mean(dim=(2, 3), keepdim=True)))
        return weighted


class IterativeHead(nn.Module):
    """The streams from the lowest up, each added to the next: to a map as the first stream."""

    def __init__(self, channels: list[int]) -> None:
        super().__init__()
        inputs = channels[::-1]
        pairs = zip(inputs, [*inputs[1:], inputs[-1]], strict=True)
        self.projects = nn.ModuleList(
            nn.Sequential(
                OrderedDict(
                    depthwise_conv=_conv(c, c, 3, groups=c, act=None), pointwise_conv=_conv(c, out)
                )
            )
            for c, out in pairs
        )

    def forward(self, streams: list[Tensor]) -> Tensor:
        low, *higher = reversed(streams)
        first, *projects = self.projects
        y: Tensor = first(low)
        for x, project in zip(higher, projects, strict=True):
            y = F.interpolate(y, x.shape[-2:], mode="bilinear", align_corners=True)
            y = project(x + y)
        return y


def shuffle(x: Tensor) -> Tensor:
    """The channels of both halves in turn: (a1, a2, b1, b2) to (a1, b1, a2, b2)."""
    n, channels, height, width = x.shape
    halves = x.reshape(n, 2, channels // 2, height, width)
    return halves.transpose(1, 2).reshape(n, channels, height, width)


def _nearest(x: Tensor, size: torch.Size) -> Tensor:
    return x if x.shape[-2:] == size else F.interpolate(x, size, mode="nearest")


def _conv(
    inputs: int,
    outputs: int,
    kernel: int = 1,
    *,
    stride: int = 1,
    groups: int = 1,
    norm: bool = True,
    act: type[nn.Module] | None = nn.ReLU,
) -> nn.Sequential:
    """A convolution `conv`, with a bias where no batch norm `bn` follows, and an activation."""
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        conv=nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=not norm)
    )
    if norm:
        layers["bn"] = nn.BatchNorm2d(outputs)
    if act is not None:
        layers["activate"] = act()
    return nn.Sequential(layers)


def _separable(inputs: int, outputs: int, stride: int, relu: bool = True) -> nn.Sequential:
    """A depthwise 3x3 and a 1x1, both with batch norm, at most the second with ReLU."""
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, inputs, 3, stride, padding=1, groups=inputs, bias=False),
        nn.BatchNorm2d(inputs),
        nn.Conv2d(inputs, outputs, 1, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    return nn.Sequential(*layers, nn.ReLU()) if relu else nn.Sequential(*layers)


def _transition(before: list[int], after: list[int]) -> nn.ModuleList:
    """A stream whose channels change gets a separable convolution, the new one that of stride 2
    from the lowest stream there was."""
    layers: list[nn.Module] = [
        nn.Identity() if old == new else _separable(old, new, stride=1)
        for old, new in zip(before, after, strict=False)
    ]
    return nn.ModuleList([*layers, nn.Sequential(_separable(before[-1], after[-1], stride=2))])


def _fuse_layer(channels: list[int], target: int, source: int) -> nn.Module:
    """What brings stream `source` to the channels, and from above also the size, of `target`."""
    if source == target:
        return nn.Identity()
    if source > target:  # from low resolution; the caller upsamples
        return nn.Sequential(
            nn.Conv2d(channels[source], channels[target], 1, bias=False),
            nn.BatchNorm2d(channels[target]),
        )
    c, steps = channels[source], target - source
    return nn.Sequential(
        *(_separable(c, c, stride=2) for _ in range(steps - 1)),
        _separable(c, channels[target], stride=2, relu=False),
    )
