"""HRNet's module: residual units on parallel streams, then an exchange between all of them
(arXiv 1908.07919, section 3.2, Fig. 3), and the options by which the paper's claims are tried.

Options that leave the network as it is are refused, so that one network has one name.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_CHOICES = {
    "fusion": ("all", "across", "final", "none"),
    "down": ("strided", "maxpool", "bilinear"),
    "merge": ("sum", "concat"),
    "order": ("conv-first", "upsample-first"),
}


class Exchange(NamedTuple):
    """How many streams there are, and how they exchange what they know; by default as published.

    Attributes:
        fusion: which modules end with a fusion: all, the last of each stage (across), the very last
            (final), or none.
        down: what halves a map for a lower stream, once a level: a 3x3 convolution of stride 2, or
            a 3x3 max-pooling or a bilinear halving and, after the last, a 1x1 convolution.
        merge: each stream gets the sum of all, or their concatenation and a 1x1 convolution back.
        order: whether a lower stream's 1x1 convolution comes before its upsampling or after.
        streams: 1 to 4, at 1/4 to 1/32.
    """

    fusion: str = "all"
    down: str = "strided"
    merge: str = "sum"
    order: str = "conv-first"
    streams: int = 4

    def check(self, modules: tuple[int, ...], outputs: int) -> None:
        """Refuse values that are none, and those that change nothing beside the others.

        Args:
            modules: how many each stage has.
            outputs: streams that the head sees.

        Raises:
            ValueError: in one sentence.
        """
        for name, known in _CHOICES.items():
            if getattr(self, name) not in known:
                *first, last = known
                raise ValueError(
                    f"{name} is {', '.join(first)} or {last}, got {getattr(self, name)!r}: "
                    "choose one of them"
                )
        if not 1 <= self.streams <= 4:
            raise ValueError(f"streams is 1 to 4, got {self.streams}: 4 are the paper's")
        if self.streams == 1:
            self._refuse("streams=1 leaves nothing to exchange", *_CHOICES)
        if self.fusion == "none":
            self._refuse("fusion=none leaves nothing to exchange", "down", "merge", "order")
            if outputs < self.streams:
                raise ValueError(
                    "fusion=none keeps the lower streams from the only one that the head of V1 "
                    "sees: take a network hrnetv2, or another fusion"
                )
        if self.fusion == "final" and outputs == 1:
            self._refuse("fusion=final under the head of V1 only goes up", "down")
        if self.fusion == "across" and max(modules) == 1:
            self._refuse("stages of one module have no fusion within them", "fusion")

    def _refuse(self, why: str, *names: str) -> None:
        idle = [name for name in names if getattr(self, name) != _CHOICES[name][0]]
        if idle:
            said = " and ".join(f"{name}={getattr(self, name)}" for name in idle)
            raise ValueError(f"{why}, so that {said} would change nothing: leave it out")

    def fuses(self, stage: int, last: bool) -> bool:
        """Whether a module of stage 2, 3 or 4 ends with a fusion; `last` is the stage's last."""
        if self.fusion in ("across", "final"):
            return last and (self.fusion == "across" or stage == 4)
        return self.fusion == "all"

    @property
    def keeps_weights(self) -> bool:
        """Whether weights of the published network are this one's: of options, order alone."""
        return self._replace(order=AS_PUBLISHED.order) == AS_PUBLISHED


AS_PUBLISHED = Exchange()


class HighResolutionModule(nn.Module):
    """Residual units on each stream, then every stream receives the sum of all (Fig. 4).

    Args:
        outputs: streams that are put out, the finest first; None for all.
        exchange: how streams are fused; None where they stay apart.
    """

    def __init__(
        self,
        channels: list[int],
        blocks: int,
        align_corners: bool,
        outputs: int | None = None,
        exchange: Exchange | None = AS_PUBLISHED,
    ) -> None:
        super().__init__()
        self.align_corners = align_corners
        self.upsample_first = exchange is not None and exchange.order == "upsample-first"
        self.branches = nn.ModuleList(
            nn.Sequential(*(BasicBlock(c) for _ in range(blocks))) for c in channels
        )
        self.fuse_layers, self.merge_layers = nn.ModuleList(), nn.ModuleList()
        if exchange is None or len(channels) == 1:
            return
        for i in range(outputs or len(channels)):
            self.fuse_layers.append(
                nn.ModuleList(
                    _fuse_layer(channels, i, j, exchange.down, align_corners)
                    for j in range(len(channels))
                )
            )
            if exchange.merge == "concat":
                self.merge_layers.append(_conv1x1(len(channels) * channels[i], channels[i]))

    def forward(self, streams: list[Tensor]) -> list[Tensor]:
        streams = [branch(x) for branch, x in zip(self.branches, streams, strict=True)]
        if not self.fuse_layers:
            return streams
        fused = []
        for target, layers in enumerate(self.fuse_layers):
            assert isinstance(layers, nn.ModuleList)
            size = streams[target].shape[-2:]
            terms = [
                self._brought(layer, x, size, up=source > target)
                for source, (layer, x) in enumerate(zip(layers, streams, strict=True))
            ]
            if self.merge_layers:
                total = self.merge_layers[target](torch.cat(terms, dim=1))
            else:
                first, second, *rest = terms
                total = first + second  # of its own, so that the rest is added where it lies
                for term in rest:
                    total += term
            fused.append(F.relu(total, inplace=True))
        return fused

    def _brought(self, layer: nn.Module, x: Tensor, size: torch.Size, up: bool) -> Tensor:
        """A stream at the size and with the channels of another."""
        if up and self.upsample_first:
            brought: Tensor = layer(self._fit(x, size))
            return brought
        return self._fit(layer(x), size)

    def _fit(self, x: Tensor, size: torch.Size) -> Tensor:
        if x.shape[-2:] == size:
            return x
        return F.interpolate(x, size, mode="bilinear", align_corners=self.align_corners)


def _fuse_layer(
    channels: list[int], target: int, source: int, down: str, align_corners: bool
) -> nn.Module:
    """What brings stream `source` to the channels, and from above also the size, of `target`."""
    if source == target:
        return nn.Identity()
    if source > target:  # from low resolution; the caller upsamples
        return _conv1x1(channels[source], channels[target])
    if down != "strided":
        pool = nn.MaxPool2d(3, 2, padding=1) if down == "maxpool" else Halving(align_corners)
        pools = [pool] * (target - source)
        return nn.Sequential(*pools, *_conv1x1(channels[source], channels[target]))
    steps: list[nn.Module] = []
    for step in range(source + 1, target + 1):  # only the last 3x3 changes channels, without ReLU
        last = step == target
        out = channels[target] if last else channels[source]
        steps.append(conv_bn(channels[source], out, stride=2, relu=not last))
    return nn.Sequential(*steps)


class Halving(nn.Module):
    """Bilinear interpolation to half the size, rounded up: of even sizes the mean of each 2x2."""

    def __init__(self, align_corners: bool) -> None:
        super().__init__()
        self.align_corners = align_corners

    def forward(self, x: Tensor) -> Tensor:
        size = [(side + 1) // 2 for side in x.shape[-2:]]
        return F.interpolate(x, size, mode="bilinear", align_corners=self.align_corners)


def _conv1x1(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs))


def conv_bn(inputs: int, outputs: int, stride: int, relu: bool = True) -> nn.Sequential:
    """A 3x3 convolution without bias, batch norm, and ReLU if it is asked for."""
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
