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

Options try the paper's claims, each of which is about W48 on Cityscapes val from scratch, where the
network as published has 76.4 % mIoU (section 7):

- `fusion` (Table 12): fusions that cross stages alone, three of eight (`across`), 75.4; the last
  alone (`final`), 74.8. With `none`, which the paper does not have, streams meet in V2's head.
- `down` (section 7, after Table 12): `bilinear` instead of strided convolutions 74.2; `maxpool` is
  ours. Both work within fusions; that by which a stage gets its new stream stays strided. The paper
  names no layer that then changes the channels: here a 1x1 with batch norm.
- `merge` (ibid.): for the sum the paper tries the product, 66.0; `concat` is ours.
- `streams` (ibid., resolution maintenance): one at 1/4, of like parameters and operations, is said
  to be far worse, without a number; `--match` finds its width. Fewer than four end at 1/8 or 1/16.
- `order`: `upsample-first` is the paper's own of section 3.2 (above).
- `hrnetv1h` beside V1 and V2 (Fig. 10a, with ImageNet weights: W48 80.6, 80.7 and 81.1, W18 76.9,
  77.4 and 79.0; values read second-hand): whether V2 gains by what it sees or by how wide it is.
  "Appending a 1x1 convolution" to V1's map is read as one to V2's 15 C channels with batch norm and
  ReLU, as all others have: without them it would be one linear map with the head's first layer.
"""

from typing import Literal, TypedDict, Unpack

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.hrnet_module import AS_PUBLISHED, Exchange
from models.hrnet_trunk import SMALL_V1, SMALL_V2, W18, W32, W40, W48, HRNet, Stages


class Ablation(TypedDict, total=False):
    """The options of every network here; what they mean is said in `Exchange` and above."""

    fusion: Literal["all", "across", "final", "none"]
    down: Literal["strided", "maxpool", "bilinear"]
    merge: Literal["sum", "concat"]
    order: Literal["conv-first", "upsample-first"]
    streams: int


def hrnetv1_w18(
    num_classes: int, *, width: int = 18, align_corners: bool = False, **options: Unpack[Ablation]
) -> nn.Module:
    """HRNetV1-W18: 9.32M parameters with 19 classes."""
    stages, exchange = W18.scaled(width), Exchange(**options)
    return SegmentationHRNet(stages, num_classes, align_corners, outputs=1, exchange=exchange)


def hrnetv1_w32(
    num_classes: int, *, width: int = 32, align_corners: bool = False, **options: Unpack[Ablation]
) -> nn.Module:
    """HRNetV1-W32: 28.54M parameters with 19 classes."""
    stages, exchange = W32.scaled(width), Exchange(**options)
    return SegmentationHRNet(stages, num_classes, align_corners, outputs=1, exchange=exchange)


def hrnetv1_w48(
    num_classes: int, *, width: int = 48, align_corners: bool = False, **options: Unpack[Ablation]
) -> nn.Module:
    """HRNetV1-W48: 63.60M parameters with 19 classes."""
    stages, exchange = W48.scaled(width), Exchange(**options)
    return SegmentationHRNet(stages, num_classes, align_corners, outputs=1, exchange=exchange)


def hrnetv1h_w18(
    num_classes: int, *, width: int = 18, align_corners: bool = False, **options: Unpack[Ablation]
) -> nn.Module:
    """HRNetV1-W18, its map widened to V2's 270 channels: 9.40M parameters."""
    stages, exchange = W18.scaled(width), Exchange(**options)
    return SegmentationHRNet(
        stages, num_classes, align_corners, outputs=1, widened=True, exchange=exchange
    )


def hrnetv1h_w32(
    num_classes: int, *, width: int = 32, align_corners: bool = False, **options: Unpack[Ablation]
) -> nn.Module:
    """HRNetV1-W32, its map widened to V2's 480 channels: 28.79M parameters."""
    stages, exchange = W32.scaled(width), Exchange(**options)
    return SegmentationHRNet(
        stages, num_classes, align_corners, outputs=1, widened=True, exchange=exchange
    )


def hrnetv1h_w48(
    num_classes: int, *, width: int = 48, align_corners: bool = False, **options: Unpack[Ablation]
) -> nn.Module:
    """HRNetV1-W48, its map widened to V2's 720 channels: 64.17M parameters."""
    stages, exchange = W48.scaled(width), Exchange(**options)
    return SegmentationHRNet(
        stages, num_classes, align_corners, outputs=1, widened=True, exchange=exchange
    )


def hrnetv2_w18(
    num_classes: int, *, width: int = 18, align_corners: bool = False, **options: Unpack[Ablation]
) -> nn.Module:
    """HRNetV2-W18: 9.64M parameters with 19 classes."""
    stages, exchange = W18.scaled(width), Exchange(**options)
    return SegmentationHRNet(stages, num_classes, align_corners, exchange=exchange)


def hrnetv2_w32(
    num_classes: int, *, width: int = 32, align_corners: bool = False, **options: Unpack[Ablation]
) -> nn.Module:
    """HRNetV2-W32: 29.55M parameters with 19 classes."""
    stages, exchange = W32.scaled(width), Exchange(**options)
    return SegmentationHRNet(stages, num_classes, align_corners, exchange=exchange)


def hrnetv2_w40(
    num_classes: int, *, width: int = 40, align_corners: bool = False, **options: Unpack[Ablation]
) -> nn.Module:
    """HRNetV2-W40: 45.89M parameters with 19 classes (the paper's Table III prints 45.2M)."""
    stages, exchange = W40.scaled(width), Exchange(**options)
    return SegmentationHRNet(stages, num_classes, align_corners, exchange=exchange)


def hrnetv2_w48(
    num_classes: int, *, width: int = 48, align_corners: bool = False, **options: Unpack[Ablation]
) -> nn.Module:
    """HRNetV2-W48, the paper's main network: 65.86M parameters with 19 classes (Table III)."""
    stages, exchange = W48.scaled(width), Exchange(**options)
    return SegmentationHRNet(stages, num_classes, align_corners, exchange=exchange)


def hrnetv2_w18_small_v1(
    num_classes: int, *, width: int = 16, align_corners: bool = False, **options: Unpack[Ablation]
) -> nn.Module:
    """The official W18-Small-v1, which is 16 channels wide despite its name: 1.54M parameters."""
    stages, exchange = SMALL_V1.scaled(width), Exchange(**options)
    return SegmentationHRNet(stages, num_classes, align_corners, exchange=exchange)


def hrnetv2_w18_small_v2(
    num_classes: int, *, width: int = 18, align_corners: bool = False, **options: Unpack[Ablation]
) -> nn.Module:
    """The official W18-Small-v2: 3.94M parameters."""
    stages, exchange = SMALL_V2.scaled(width), Exchange(**options)
    return SegmentationHRNet(stages, num_classes, align_corners, exchange=exchange)


class SegmentationHRNet(HRNet):
    """HRNet and its head of two 1x1 convolutions: V2 with all streams put out, V1 with one.

    The paper gives no head for V1 segmentation; it has V2's, on C channels instead of 15 C.

    Args:
        widened: whether a 1x1 convolution brings V1's map to the width of V2's: V1h.
    """

    def __init__(
        self,
        stages: Stages,
        num_classes: int,
        align_corners: bool = False,
        outputs: int = 4,
        *,
        exchange: Exchange = AS_PUBLISHED,
        widened: bool = False,
    ) -> None:
        super().__init__(stages, align_corners, outputs, exchange)
        if widened and exchange.streams == 1:
            raise ValueError("streams=1 leaves V1h's map as wide as V2's: take a network hrnetv1")
        self.widen: nn.Module = nn.Identity()
        if widened:
            inputs, self.out_channels = self.out_channels, stages.width * (2**exchange.streams - 1)
            self.widen = nn.Sequential(
                nn.Conv2d(inputs, self.out_channels, 1, bias=False),
                nn.BatchNorm2d(self.out_channels),
                nn.ReLU(inplace=True),
            )
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

    def streams(self, image: Tensor) -> list[Tensor]:
        high, *low = super().streams(image)
        return [self.widen(high), *low]

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
