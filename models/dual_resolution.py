"""What DDRNet and PIDNet share: residual layers, DAPPM, the head and the initialisation.

Modules are named as in both official codes, so that their checkpoints fit.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_POOLS = ((5, 2), (9, 4), (17, 8))  # kernels and strides of the averages, on a map at 1/64


def conv_bn(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
    )


def bn_relu_conv(inputs: int, outputs: int, kernel: int, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.BatchNorm2d(inputs),
        nn.ReLU(inplace=True),
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, groups=groups, bias=False),
    )


def stem(width: int) -> nn.Sequential:
    """Two 3x3 of stride 2, with a bias before their batch norms as in both codes: to 1/4."""
    layers: list[nn.Module] = []
    for inputs in (3, width):
        conv = nn.Conv2d(inputs, width, 3, stride=2, padding=1)
        layers += [conv, nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut; `relu` tells whether the sum is rectified."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1, relu: bool = True) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = _shortcut(inputs, outputs, stride)
        self.relu = relu

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = self.bn2(self.conv2(y)) + self.downsample(x)
        return F.relu(y, inplace=True) if self.relu else y


class Bottleneck(nn.Module):
    """1x1, 3x3, and 1x1 to twice the width, around a shortcut; the sum is not rectified."""

    def __init__(self, inputs: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 2 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(2 * width)
        self.downsample = _shortcut(inputs, 2 * width, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = F.relu(self.bn2(self.conv2(y)), inplace=True)
        total: Tensor = self.bn3(self.conv3(y)) + self.downsample(x)
        return total


def _shortcut(inputs: int, outputs: int, stride: int) -> nn.Module:
    same = inputs == outputs and stride == 1
    return nn.Identity() if same else conv_bn(inputs, outputs, 1, stride)


def layer(inputs: int, outputs: int, blocks: int, stride: int = 1) -> nn.Sequential:
    """`blocks` BasicBlocks, of which the last is not rectified, as what is fused is not."""
    return nn.Sequential(
        BasicBlock(inputs, outputs, stride, relu=blocks > 1),
        *(BasicBlock(outputs, outputs, relu=i < blocks - 1) for i in range(1, blocks)),
    )


class Pyramid(nn.Module):
    """The map and its averages over three windows and over the whole, each reduced by a 1x1.

    What is done with them differs; they end concatenated in a 1x1, beside that of the map itself.
    """

    def __init__(self, inputs: int, branch: int, outputs: int) -> None:
        super().__init__()
        self.scale0 = bn_relu_conv(inputs, branch, 1)
        pools: list[nn.Module] = [nn.AvgPool2d(k, s, padding=k // 2) for k, s in _POOLS]
        for i, pool in enumerate([*pools, nn.AdaptiveAvgPool2d(1)], start=1):
            self.add_module(f"scale{i}", nn.Sequential(pool, *bn_relu_conv(inputs, branch, 1)))
        self.compression = bn_relu_conv(5 * branch, outputs, 1)
        self.shortcut = bn_relu_conv(inputs, outputs, 1)

    def averages(self, x: Tensor) -> list[Tensor]:
        """The four averages, reduced and as large as the map, the smallest window first."""
        size = x.shape[-2:]
        scales = (getattr(self, f"scale{i}") for i in range(1, 5))
        return [F.interpolate(scale(x), size, mode="bilinear") for scale in scales]

    def compress(self, x: Tensor, maps: list[Tensor]) -> Tensor:
        y: Tensor = self.compression(torch.cat(maps, dim=1)) + self.shortcut(x)
        return y


class DAPPM(Pyramid):
    """Deep aggregation pyramid pooling (arXiv 2101.06085): a 3x3 on the sum of each average
    and what the one before it gave. (N, C, H, W) to (N, outputs, H, W)."""

    def __init__(self, inputs: int, branch: int, outputs: int) -> None:
        super().__init__(inputs, branch, outputs)
        for i in range(1, 5):
            self.add_module(f"process{i}", bn_relu_conv(branch, branch, 3))

    def forward(self, x: Tensor) -> Tensor:
        maps = [self.scale0(x)]
        for i, average in enumerate(self.averages(x), start=1):
            maps.append(getattr(self, f"process{i}")(average + maps[-1]))
        return self.compress(x, maps)


class Head(nn.Module):
    """Batch norm, ReLU, 3x3, batch norm, ReLU and a 1x1 with bias."""

    def __init__(self, inputs: int, width: int, outputs: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(F.relu(self.bn1(x), inplace=True))
        y: Tensor = self.conv2(F.relu(self.bn2(x), inplace=True))
        return y


def initialise(part: nn.Module) -> None:
    """He's (fan out), as in both codes; biases keep PyTorch's."""
    for module in part.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def check_width(width: int) -> None:
    """Refuse a width below 1 in one sentence."""
    if width < 1:
        raise ValueError(f"width is at least 1, got {width}: give channels, such as 32")


def scale(channels: int, width: int, published: int) -> int:
    """Channels in proportion to `width`, where the published network's is `published`."""
    return max(1, round(channels * width / published))
