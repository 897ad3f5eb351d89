"""VGG16 (Simonyan & Zisserman, arXiv 1409.1556, Table 1, column D): what its descendants share.

The thirteen convolutions are timm's, as one sequence with timm's names (`0.weight` here is
`features.0.weight` there), so that ImageNet weights of vgg16 and vgg16_bn fit at width 64. Each
convolution has a bias, also before a batch norm, as in these weights and in the papers' counts.
"""

from collections.abc import Iterable

import torch
from timm.models.vgg import VGG
from torch import Tensor, nn

_BLOCKS = ((1, 2), (2, 2), (4, 3), (8, 3), (8, 3))  # channels in units of width, and convolutions
_NORMS: dict[str, type[nn.Module] | None] = {"none": None, "batch": nn.BatchNorm2d}

Switches = list[tuple[Tensor, torch.Size]]  # where each maximum was, and in a map of what size


def vgg16(width: int, norm: str, pools: Iterable[nn.Module], dilation: int = 1) -> nn.Sequential:
    """The five blocks, each followed by one of the `pools`; `dilation` is that of the last block.

    Raises:
        ValueError: a width below 1, or a norm other than none or batch.
    """
    if width < 1:
        raise ValueError(f"width is at least 1, got {width}: give channels, such as 64")
    if norm not in _NORMS:
        raise ValueError(f"norm is none or batch, got {norm!r}: choose one of them")
    layers: list[int | str] = []
    for scale, count in _BLOCKS:
        layers += [scale * width] * count + ["M"]
    # One hidden channel for timm's classifier, which is dropped: in full it takes 480 MB.
    trunk = VGG(layers, num_classes=0, mlp_ratio=1 / 4096, norm_layer=_NORMS[norm]).features
    assert isinstance(trunk, nn.Sequential)
    places = [i for i, layer in enumerate(trunk) if isinstance(layer, nn.MaxPool2d)]
    for place, pool in zip(places, pools, strict=True):
        trunk[place] = pool
    convs = [layer for layer in trunk if isinstance(layer, nn.Conv2d)]
    for conv in convs[-_BLOCKS[-1][1] :]:
        conv.dilation = conv.padding = (dilation, dilation)
    mark(trunk, "features", width, norm)
    return trunk


def mark(part: nn.Module, name: str, width: int, norm: str) -> None:
    """Say that ImageNet weights fill this part, those of the module `name` of timm's VGG16.

    Its fully connected layers are convolutions there: `pre_logits.fc1`, 7x7, and `pre_logits.fc2`.
    """
    if width == 64:
        network = "vgg16_bn" if norm == "batch" else "vgg16"
        part.imagenet = f"{network}/{name}"  # type: ignore[assignment]


def activated(conv: nn.Conv2d | nn.ConvTranspose2d, norm: str) -> nn.Sequential:
    """The convolution, batch norm if that is the norm, and ReLU."""
    norms = [nn.BatchNorm2d(conv.out_channels)] if norm == "batch" else []
    return nn.Sequential(conv, *norms, nn.ReLU(inplace=True))


def initialise(network: nn.Module) -> None:
    """He initialisation (arXiv 1502.01852): without a norm, torch's own start learns nothing."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            assert module.bias is not None
            nn.init.zeros_(module.bias)


def switching_pools() -> list[nn.Module]:
    """Five poolings that also tell where each maximum was; odd sizes are rounded up."""
    return [nn.MaxPool2d(2, ceil_mode=True, return_indices=True) for _ in _BLOCKS]


def encode(trunk: nn.Sequential, x: Tensor) -> tuple[Tensor, Switches]:
    """The map at 1/32 and the switches of each of its `switching_pools`, the finest first."""
    switches: Switches = []
    for layer in trunk:
        if isinstance(layer, nn.MaxPool2d):
            size = x.shape[-2:]
            x, indices = layer(x)
            switches.append((indices, size))
        else:
            x = layer(x)
    return x, switches


def decode(decoder: nn.ModuleList, x: Tensor, switches: Switches) -> Tensor:
    """The map at the image's size from that at 1/32: unpool, then a block, level by level."""
    for block, (indices, size) in zip(decoder, reversed(switches), strict=True):
        x = block(unpool(x, indices, size))  # 1/16 ... 1/1
    return x


def mirror(width: int, levels: Iterable[tuple[int, ...]]) -> nn.ModuleList:
    """The blocks of `decode`: 3x3 convolutions, their outputs in units of width, deepest first."""
    blocks, inputs = nn.ModuleList(), _BLOCKS[-1][0] * width
    for level in levels:
        block = nn.Sequential()
        for outputs in (scale * width for scale in level):
            block.append(activated(nn.Conv2d(inputs, outputs, 3, padding=1), "batch"))
            inputs = outputs
        blocks.append(block)
    return blocks


def unpool(x: Tensor, indices: Tensor, size: torch.Size) -> Tensor:
    """Each value back where it was the maximum, zeros elsewhere: (N, C, h, w) to (N, C, *size).

    F.max_unpool2d as a scatter, which exports and is deterministic on a GPU.
    """
    flat = x.new_zeros(*x.shape[:2], size.numel())
    return flat.scatter(2, indices.flatten(2), x.flatten(2)).view(*x.shape[:2], *size)
