"""HRNet for segmentation (Wang et al., "Deep High-Resolution Representation Learning for Visual
Recognition", arXiv 1908.07919, section 3 and Fig. 2-4), named like the official code's modules.

Two stride-2 convolutions bring the input to 1/4, and a 1/4 stream is kept to the end. Each stage
adds a stream of half the resolution and twice the channels; every module ends by fusing each
stream into every other. The head of V2 upsamples all streams to 1/4 and concatenates them; that of
V1 sees the 1/4 stream alone, and the last fusion makes no other.

Differs from the paper, as the official code does: the low-to-high fusion applies its 1x1
convolution before the bilinear upsampling, not after (section 3.2). As a function both are equal
wherever batch norm uses fixed statistics; this order costs 3.6 % less for W48 at 1024x2048.

`width` is the 1/4 stream's channels. Given, it scales all channels, the stem's too, which the
paper's networks of every width leave at 64: `hrnetv2_w48:width=18` is not `hrnetv2_w18`.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Stages(NamedTuple):
    """Sizes of the four stages; stream i of stages 2-4 has `width * 2**i` channels."""

    width: int
    units: int = 4  # bottlenecks in stage 1
    unit_width: int = 64  # their inner channels; they put out four times as many
    modules: tuple[int, int, int] = (1, 4, 3)  # repeats of the module in stages 2, 3, 4
    blocks: int = 4  # residual units of each stream in a module
    stem: int = 64  # channels of the two convolutions before stage 1

    def scaled(self, width: int) -> "Stages":
        """The same structure with every number of channels in proportion to `width`."""
        if width < 1:
            raise ValueError(f"width is at least 1, got {width}: give channels, such as 18")
        stem, unit = (max(1, round(c * width / self.width)) for c in (self.stem, self.unit_width))
        return self._replace(width=width, stem=stem, unit_width=unit)


W18, W32, W40, W48 = Stages(18), Stages(32), Stages(40), Stages(48)
SMALL_V1, SMALL_V2 = Stages(16, 1, 32, (1, 1, 1), 2), Stages(18, 2, 64, (1, 3, 2), 2)
_IMAGENET = {  # timm's networks with ImageNet weights: the authors', but for the small ones'
    W18: "hrnet_w18",
    W32: "hrnet_w32",
    W40: "hrnet_w40",
    W48: "hrnet_w48",
    SMALL_V1: "hrnet_w18_small",
    SMALL_V2: "hrnet_w18_small_v2",
}


def hrnetv1_w18(num_classes: int, *, width: int = 18, align_corners: bool = False) -> nn.Module:
    """HRNetV1-W18: 9.32M parameters with 19 classes."""
    return SegmentationHRNet(W18.scaled(width), num_classes, align_corners, outputs=1)


def hrnetv1_w32(num_classes: int, *, width: int = 32, align_corners: bool = False) -> nn.Module:
    """HRNetV1-W32: 28.54M parameters with 19 classes."""
    return SegmentationHRNet(W32.scaled(width), num_classes, align_corners, outputs=1)


def hrnetv1_w48(num_classes: int, *, width: int = 48, align_corners: bool = False) -> nn.Module:
    """HRNetV1-W48: 63.60M parameters with 19 classes."""
    return SegmentationHRNet(W48.scaled(width), num_classes, align_corners, outputs=1)


def hrnetv2_w18(num_classes: int, *, width: int = 18, align_corners: bool = False) -> nn.Module:
    """HRNetV2-W18: 9.64M parameters with 19 classes."""
    return SegmentationHRNet(W18.scaled(width), num_classes, align_corners)


def hrnetv2_w32(num_classes: int, *, width: int = 32, align_corners: bool = False) -> nn.Module:
    """HRNetV2-W32: 29.55M parameters with 19 classes."""
    return SegmentationHRNet(W32.scaled(width), num_classes, align_corners)


def hrnetv2_w40(num_classes: int, *, width: int = 40, align_corners: bool = False) -> nn.Module:
    """HRNetV2-W40: 45.89M parameters with 19 classes (the paper's Table III prints 45.2M)."""
    return SegmentationHRNet(W40.scaled(width), num_classes, align_corners)


def hrnetv2_w48(num_classes: int, *, width: int = 48, align_corners: bool = False) -> nn.Module:
    """HRNetV2-W48, the paper's main network: 65.86M parameters with 19 classes (Table III)."""
    return SegmentationHRNet(W48.scaled(width), num_classes, align_corners)


def hrnetv2_w18_small_v1(
    num_classes: int, *, width: int = 16, align_corners: bool = False
) -> nn.Module:
    """The official W18-Small-v1, which is 16 channels wide despite its name: 1.54M parameters."""
    return SegmentationHRNet(SMALL_V1.scaled(width), num_classes, align_corners)


def hrnetv2_w18_small_v2(
    num_classes: int, *, width: int = 18, align_corners: bool = False
) -> nn.Module:
    """The official W18-Small-v2: 3.94M parameters."""
    return SegmentationHRNet(SMALL_V2.scaled(width), num_classes, align_corners)


class HRNet(nn.Module):
    """Four stages of parallel streams: image (N, 3, H, W) to maps at 1/4, 1/8, 1/16 and 1/32.

    Args:
        align_corners: of every interpolation; False as in the official `pytorch-v1.1` branch,
            True as in `HRNet-OCR`.
        outputs: streams that the last module puts out, the finest first.
    """

    imagenet: str | None

    def __init__(self, stages: Stages, align_corners: bool = False, outputs: int = 4) -> None:
        super().__init__()
        self.align_corners = align_corners
        self.imagenet = _IMAGENET.get(stages)
        channels = [stages.width * 2**i for i in range(4)]
        stem = stages.stem
        self.conv1 = nn.Conv2d(3, stem, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(stem)
        self.conv2 = nn.Conv2d(stem, stem, 3, stride=2, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(stem)
        out = stages.unit_width * Bottleneck.expansion
        self.layer1 = nn.Sequential(
            *(Bottleneck(out if i else stem, stages.unit_width) for i in range(stages.units))
        )
        self.transition1 = _transition([out], channels[:2])
        self.stage2 = _stage(channels[:2], stages.modules[0], stages.blocks, align_corners)
        self.transition2 = _transition(channels[:2], channels[:3])
        self.stage3 = _stage(channels[:3], stages.modules[1], stages.blocks, align_corners)
        self.transition3 = _transition(channels[:3], channels)
        self.stage4 = _stage(channels, stages.modules[2], stages.blocks, align_corners, outputs)
        self.out_channels = sum(channels[:outputs])

    def initialise(self) -> None:
        """He's for a trunk from scratch, as in the authors' classification code (fan out).

        Their segmentation code draws every convolution with std 0.001, which ImageNet weights
        then replace; only the classifier, which they do not replace, keeps it here. Under batch
        norm such small weights take first steps of thousands of times their own size.
        """
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward_features(self, image: Tensor) -> Tensor:
        """Image (N, 3, H, W) to the streams put out, at 1/4 and concatenated."""
        high, *low = self.streams(image)
        return torch.cat([high, *(self.resize(x, high.shape[-2:]) for x in low)], dim=1)

    def streams(self, image: Tensor) -> list[Tensor]:
        """Image (N, 3, H, W) to the streams put out, from 1/4 down."""
        x = F.relu(self.bn1(self.conv1(image)), inplace=True)  # 1/2
        x = F.relu(self.bn2(self.conv2(x)), inplace=True)  # 1/4
        streams = [self.layer1(x)]
        streams = self.stage2(_extend(self.transition1, streams))  # 1/4, 1/8
        streams = self.stage3(_extend(self.transition2, streams))  # 1/4 ... 1/16
        put_out: list[Tensor] = self.stage4(_extend(self.transition3, streams))  # 1/4 ... 1/32
        return put_out

    def resize(self, x: Tensor, size: torch.Size) -> Tensor:
        return F.interpolate(x, size, mode="bilinear", align_corners=self.align_corners)


class SegmentationHRNet(HRNet):
    """HRNet and its head of two 1x1 convolutions: V2 with all streams put out, V1 with one.

    The paper gives no head for V1 segmentation; it has V2's, on C channels instead of 15 C.
    """

    def __init__(
        self, stages: Stages, num_classes: int, align_corners: bool = False, outputs: int = 4
    ) -> None:
        super().__init__(stages, align_corners, outputs)
        self.last_layer = nn.Sequential(  # 270 channels for W18, 720 for W48
            nn.Conv2d(self.out_channels, self.out_channels, 1),
            nn.BatchNorm2d(self.out_channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(self.out_channels, num_classes, 1),
        )
        self.initialise()
        classifier = self.last_layer[-1]
        assert isinstance(classifier, nn.Conv2d)
        nn.init.normal_(classifier.weight, std=0.001)

    def forward(self, image: Tensor) -> Tensor:
        # Training keeps the published order, in which bf16 rounds otherwise; so does the meta
        # device, on which costs are counted.
        published = self.training or image.is_meta
        head = self.last_layer(self.forward_features(image)) if published else self._early(image)
        return self.resize(head, image.shape[-2:])

    def _early(self, image: Tensor) -> Tensor:
        """The head with its first convolution before the upsampling: the same function, as a 1x1
        convolution and weights that sum to 1 commute, for an eighth of W48's 63 GMACs there."""
        first, *rest = self.last_layer
        assert isinstance(first, nn.Conv2d)
        high, *low = self.streams(image)
        own, *others = torch.split(first.weight, [x.shape[1] for x in (high, *low)], dim=1)
        total = F.conv2d(high, own, first.bias)
        for x, weight in zip(low, others, strict=True):
            total += self.resize(F.conv2d(x, weight), total.shape[-2:])
        for layer in rest:
            total = layer(total)
        return total


class HighResolutionModule(nn.Module):
    """Residual units on each stream, then every stream receives the sum of all (Fig. 4).

    Args:
        outputs: streams that are fused, the finest first; None for all.
    """

    def __init__(
        self, channels: list[int], blocks: int, align_corners: bool, outputs: int | None = None
    ) -> None:
        super().__init__()
        self.align_corners = align_corners
        self.branches = nn.ModuleList(
            nn.Sequential(*(BasicBlock(c) for _ in range(blocks))) for c in channels
        )
        self.fuse_layers = nn.ModuleList(
            nn.ModuleList(_fuse_layer(channels, i, j) for j in range(len(channels)))
            for i in range(outputs or len(channels))
        )

    def forward(self, streams: list[Tensor]) -> list[Tensor]:
        streams = [branch(x) for branch, x in zip(self.branches, streams, strict=True)]
        fused = []
        for own, layers in zip(streams, self.fuse_layers, strict=False):
            assert isinstance(layers, nn.ModuleList)
            size = own.shape[-2:]
            pairs = zip(layers, streams, strict=True)
            first, second, *rest = (self._fit(layer(x), size) for layer, x in pairs)
            total = first + second  # of its own, so that the rest is added where it lies
            for term in rest:
                total += term
            fused.append(F.relu(total, inplace=True))
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


def _stage(
    channels: list[int], modules: int, blocks: int, align_corners: bool, outputs: int | None = None
) -> nn.Sequential:
    return nn.Sequential(
        *(HighResolutionModule(channels, blocks, align_corners) for _ in range(modules - 1)),
        HighResolutionModule(channels, blocks, align_corners, outputs),
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
