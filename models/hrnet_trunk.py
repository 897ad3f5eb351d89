"""HRNet up to its head: the stem, four stages of parallel streams, and what starts a new stream
(arXiv 1908.07919, section 3.1 and Table 14)."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.hrnet_module import AS_PUBLISHED, Exchange, HighResolutionModule, conv_bn


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


class HRNet(nn.Module):
    """Four stages of parallel streams: image (N, 3, H, W) to maps at 1/4, 1/8, 1/16 and 1/32.

    Args:
        align_corners: of every interpolation; False as in the official `pytorch-v1.1` branch,
            True as in `HRNet-OCR`.
        outputs: streams that the last module puts out, the finest first, of those there are.
        exchange: how many streams there are and how they are fused.

    Raises:
        ValueError: an exchange that is none, or that contradicts itself, the stages or `outputs`.
    """

    imagenet: str | None

    def __init__(
        self,
        stages: Stages,
        align_corners: bool = False,
        outputs: int = 4,
        exchange: Exchange = AS_PUBLISHED,
    ) -> None:
        super().__init__()
        exchange.check(stages.modules, outputs)
        self.align_corners = align_corners
        self.imagenet = _IMAGENET.get(stages) if exchange.keeps_weights else None
        channels = [stages.width * 2**i for i in range(exchange.streams)]
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
        self.stage2 = _stage(channels[:2], 2, stages, align_corners, exchange)
        self.transition2 = _transition(channels[:2], channels[:3])
        self.stage3 = _stage(channels[:3], 3, stages, align_corners, exchange)
        self.transition3 = _transition(channels[:3], channels)
        self.stage4 = _stage(channels, 4, stages, align_corners, exchange, outputs)
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


def _transition(before: list[int], after: list[int]) -> nn.ModuleList:
    """Layers before a stage: a stream whose channels change gets a 3x3, a new one a stride-2 3x3
    from the lowest stream there was."""
    layers: list[nn.Module] = []
    for i, out in enumerate(after):
        if i >= len(before):
            layers.append(nn.Sequential(conv_bn(before[-1], out, stride=2)))
        elif before[i] != out:
            layers.append(conv_bn(before[i], out, stride=1))
        else:
            layers.append(nn.Identity())
    return nn.ModuleList(layers)


def _extend(transition: nn.ModuleList, streams: list[Tensor]) -> list[Tensor]:
    return [layer(streams[min(i, len(streams) - 1)]) for i, layer in enumerate(transition)]


def _stage(
    channels: list[int],
    number: int,
    stages: Stages,
    align_corners: bool,
    exchange: Exchange,
    outputs: int = 4,
) -> nn.Sequential:
    """Stage `number`, 2 to 4, of which the last module puts out as many streams as there are."""
    modules, count = [], stages.modules[number - 2]
    for place in range(1, count + 1):
        last = place == count
        how = exchange if exchange.fuses(number, last) else None
        put_out = min(outputs, len(channels)) if last else None
        modules.append(HighResolutionModule(channels, stages.blocks, align_corners, put_out, how))
    return nn.Sequential(*modules)


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
