"""HRNetV2 for segmentation (Wang et al., "Deep High-Resolution Representation Learning for Visual
Recognition", arXiv 1908.07919, section 3 and Fig. 2-4), named like the official code's modules.

Two stride-2 convolutions bring the input to 1/4, and a 1/4 stream is kept to the end. Each stage
adds a stream of half the resolution and twice the channels; every module ends by fusing each
stream into every other. The head upsamples all streams to 1/4 and concatenates them.

Differs from the paper, as the official code does: the low-to-high fusion applies its 1x1
convolution before the bilinear upsampling, not after (section 3.2). As a function both are equal
wherever batch norm uses fixed statistics; this order costs 3.6 % less for W48 at 1024x2048.
"""

from functools import reduce
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Stages(NamedTuple):
    """Sizes of the four stages; stream i of stages 2-4 has `width * 2**i` channels."""

    width: int
    stem_units: int = 4  # bottlenecks in stage 1
    stem_width: int = 64  # their inner channels; they put out four times as many
    modules: tuple[int, int, int] = (1, 4, 3)  # repeats of the module in stages 2, 3, 4
    blocks: int = 4  # residual units of each stream in a module


def hrnetv2_w18(num_classes: int, *, align_corners: bool = False) -> nn.Module:
    """HRNetV2-W18: 9.64M parameters with 19 classes."""
    return HRNetV2(Stages(18), num_classes, align_corners)


def hrnetv2_w32(num_classes: int, *, align_corners: bool = False) -> nn.Module:
    """HRNetV2-W32: 29.55M parameters with 19 classes."""
    return HRNetV2(Stages(32), num_classes, align_corners)


def hrnetv2_w40(num_classes: int, *, align_corners: bool = False) -> nn.Module:
    """HRNetV2-W40: 45.89M parameters with 19 classes (the paper's Table III prints 45.2M)."""
    return HRNetV2(Stages(40), num_classes, align_corners)


def hrnetv2_w48(num_classes: int, *, align_corners: bool = False) -> nn.Module:
    """HRNetV2-W48, the paper's main network: 65.86M parameters with 19 classes (Table III)."""
    return HRNetV2(Stages(48), num_classes, align_corners)


def hrnetv2_w18_small_v1(num_classes: int, *, align_corners: bool = False) -> nn.Module:
    """The official W18-Small-v1, which is 16 channels wide despite its name: 1.54M parameters."""
    return HRNetV2(Stages(16, 1, 32, (1, 1, 1), 2), num_classes, align_corners)


def hrnetv2_w18_small_v2(num_classes: int, *, align_corners: bool = False) -> nn.Module:
    """The official W18-Small-v2: 3.94M parameters."""
    return HRNetV2(Stages(18, 2, 64, (1, 3, 2), 2), num_classes, align_corners)


class HRNetV2(nn.Module):
    """Four stages of parallel streams and the V2 head.

    Args:
        align_corners: of every interpolation; False as in the official `pytorch-v1.1` branch,
            True as in `HRNet-OCR`.
    """

    def __init__(self, stages: Stages, num_classes: int, align_corners: bool = False) -> None:
        super().__init__()
        self.align_corners = align_corners
        channels = [stages.width * 2**i for i in range(4)]
        self.conv1 = nn.Conv2d(3, 64, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.conv2 = nn.Conv2d(64, 64, 3, stride=2, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(64)
        out = stages.stem_width * Bottleneck.expansion
        self.layer1 = nn.Sequential(
            *(Bottleneck(out if i else 64, stages.stem_width) for i in range(stages.stem_units))
        )
        self.transition1 = _transition([out], channels[:2])
        self.stage2 = _stage(channels[:2], stages.modules[0], stages.blocks, align_corners)
        self.transition2 = _transition(channels[:2], channels[:3])
        self.stage3 = _stage(channels[:3], stages.modules[1], stages.blocks, align_corners)
        self.transition3 = _transition(channels[:3], channels)
        self.stage4 = _stage(channels, stages.modules[2], stages.blocks, align_corners)
        self.last_layer = nn.Sequential(  # 15 C channels: 270 for W18, 720 for W48
            nn.Conv2d(sum(channels), sum(channels), 1),
            nn.BatchNorm2d(sum(channels)),
            nn.ReLU(inplace=True),
            nn.Conv2d(sum(channels), num_classes, 1),
        )
        self._initialise()

    def _initialise(self) -> None:
        """He's for a trunk from scratch, as in the authors' classification code (fan out).

        Their segmentation code draws every convolution with std 0.001, which ImageNet weights
        then replace; only the classifier, which they do not replace, keeps it here. Under batch
        norm such small weights take first steps of thousands of times their own size.
        """
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        classifier = self.last_layer[-1]
        assert isinstance(classifier, nn.Conv2d)
        nn.init.normal_(classifier.weight, std=0.001)

    def forward(self, image: Tensor) -> Tensor:
        size = image.shape[-2:]
        x = F.relu(self.bn1(self.conv1(image)), inplace=True)  # 1/2
        x = F.relu(self.bn2(self.conv2(x)), inplace=True)  # 1/4
        streams = [self.layer1(x)]
        streams = self.stage2(_extend(self.transition1, streams))  # 1/4, 1/8
        streams = self.stage3(_extend(self.transition2, streams))  # 1/4 ... 1/16
        streams = self.stage4(_extend(self.transition3, streams))  # 1/4 ... 1/32
        high = streams[0].shape[-2:]
        x = torch.cat([streams[0], *(self._resize(s, high) for s in streams[1:])], dim=1)
        return self._resize(self.last_layer(x), size)

    def _resize(self, x: Tensor, size: torch.Size) -> Tensor:
        return F.interpolate(x, size, mode="bilinear", align_corners=self.align_corners)


class HighResolutionModule(nn.Module):
    """Residual units on each stream, then every stream receives the sum of all (Fig. 4)."""

    def __init__(self, channels: list[int], blocks: int, align_corners: bool) -> None:
        super().__init__()
        self.align_corners = align_corners
        self.branches = nn.ModuleList(
            nn.Sequential(*(BasicBlock(c) for _ in range(blocks))) for c in channels
        )
        self.fuse_layers = nn.ModuleList(
            nn.ModuleList(_fuse_layer(channels, i, j) for j in range(len(channels)))
            for i in range(len(channels))
        )

    def forward(self, streams: list[Tensor]) -> list[Tensor]:
        streams = [branch(x) for branch, x in zip(self.branches, streams, strict=True)]
        fused = []
        for own, layers in zip(streams, self.fuse_layers, strict=True):
            assert isinstance(layers, nn.ModuleList)
            size = own.shape[-2:]
            terms = (self._fit(layer(x), size) for layer, x in zip(layers, streams, strict=True))
            fused.append(F.relu(reduce(torch.add, terms)))
        return fused

    def _fit(self, x: Tensor, size: torch.Size) -> Tensor:
        if x.shape[-2:] == size:
            return x
        return F.interpolate(x, size, mode="bilinear", align_corners=self.align_corners)


def _fuse_layer(channels: list[int], target: int, source: int) -> nn.Module:
    """What brings stream `source` to the channels, and from above also the size, of `target`."""
    if source == target:
        return nn.Identity()
    if source > target:  # from low resolution; the caller upsamples
        return nn.Sequential(
            nn.Conv2d(channels[source], channels[target], 1, bias=False),
            nn.BatchNorm2d(channels[target]),
        )
    steps: list[nn.Module] = []
    for step in range(source + 1, target + 1):  # only the last 3x3 changes channels, without ReLU
        last = step == target
        out = channels[target] if last else channels[source]
        steps.append(_conv_bn(channels[source], out, stride=2, relu=not last))
    return nn.Sequential(*steps)


def _transition(before: list[int], after: list[int]) -> nn.ModuleList:
    """Layers before a stage: a stream whose channels change gets a 3x3, a new one a stride-2 3x3
    from the lowest stream there was."""
    layers: list[nn.Module] = []
    for i, out in enumerate(after):
        if i >= len(before):
            layers.append(nn.Sequential(_conv_bn(before[-1], out, stride=2)))
        elif before[i] != out:
            layers.append(_conv_bn(before[i], out, stride=1))
        else:
            layers.append(nn.Identity())
    return nn.ModuleList(layers)


def _extend(transition: nn.ModuleList, streams: list[Tensor]) -> list[Tensor]:
    return [layer(streams[min(i, len(streams) - 1)]) for i, layer in enumerate(transition)]


def _stage(channels: list[int], modules: int, blocks: int, align_corners: bool) -> nn.Sequential:
    return nn.Sequential(
        *(HighResolutionModule(channels, blocks, align_corners) for _ in range(modules))
    )


def _conv_bn(inputs: int, outputs: int, stride: int, relu: bool = True) -> nn.Sequential:
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    return nn.Sequential(*layers, nn.ReLU(inplace=True)) if relu else nn.Sequential(*layers)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around an identity shortcut (He et al., arXiv 1512.03385, Fig. 5)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        return F.relu(self.bn2(self.conv2(y)) + x, inplace=True)


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 convolutions, no stride; the shortcut is a 1x1 where channels change."""

    expansion = 4

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        outputs = width * self.expansion
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample = (  # the official name, though nothing is downsampled here
            nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs))
            if inputs != outputs
            else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = F.relu(self.bn2(self.conv2(y)), inplace=True)
        return F.relu(self.bn3(self.conv3(y)) + self.downsample(x), inplace=True)
