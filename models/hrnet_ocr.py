"""HRNetV2 with object-contextual representations (Yuan et al., "Object-Contextual Representations
for Semantic Segmentation", arXiv 1909.11065, section 3), named like HRNet's authors' OCR branch.

HRNetV2's streams are upsampled to 1/4 and concatenated. An auxiliary head, HRNetV2's own, gives
logits of each class, whose softmax over the pixels is a soft object region; the mean of the pixels'
features, weighted by it, represents the object. Each pixel then attends to the objects, and what it
gets is concatenated with its features and classified. The auxiliary logits are part of inference;
only their loss, 0.4 beside the main one's 1.0, is training's alone.

Differs from the paper, as the official code does: the attention's products are scaled by one over
the root of the keys' channels, and the value's transform is a 1x1 convolution to the keys' channels
and one back. Heads keep PyTorch's initialisation as there; the trunk has the one of
`models/hrnet_trunk.py`, as weights from ImageNet replace it in the papers. Interpolation aligns
corners by default, as in that branch.

`width` scales the object representations too, which the official code leaves at 512 channels, and
256 of keys, at every width of the trunk.

W48 with 19 classes has 70,372,678 parameters and at 1024x2048 1206.37 "GFLOPs" in the unit of the
HRNet paper's Table III, MACs / 2^30 of convolutions, where it prints 70.3M and 1206.3 (and 81.6 %
mIoU). The attention's three matrix products, which its counter does not see, are 2.38 more.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn

from models.hrnet_trunk import W18, W32, W48, HRNet, Stages

_OBJECT, _KEY = 512, 256  # channels of features and objects, and of what attention compares


def hrnetv2_w18_ocr(num_classes: int, *, width: int = 18, align_corners: bool = True) -> nn.Module:
    """HRNetV2-W18 + OCR: 12.08M parameters with 19 classes."""
    return HRNetOCR(W18, width, num_classes, align_corners)


def hrnetv2_w32_ocr(num_classes: int, *, width: int = 32, align_corners: bool = True) -> nn.Module:
    """HRNetV2-W32 + OCR: 32.95M parameters with 19 classes."""
    return HRNetOCR(W32, width, num_classes, align_corners)


def hrnetv2_w48_ocr(num_classes: int, *, width: int = 48, align_corners: bool = True) -> nn.Module:
    """HRNetV2-W48 + OCR: 70.37M parameters with 19 classes (Table III of the HRNet paper)."""
    return HRNetOCR(W48, width, num_classes, align_corners)


class HRNetOCR(HRNet):
    """HRNetV2 of `stages`, scaled to `width`, and the heads of OCR in proportion."""

    auxiliary: tuple[str, ...] = ()  # no head is training's alone
    also_named: ClassVar = {"last_layer.": "aux_head."}  # in files of the plain network

    def __init__(self, stages: Stages, width: int, num_classes: int, align_corners: bool) -> None:
        super().__init__(stages.scaled(width), align_corners)
        self.initialise()
        inputs = self.out_channels  # 720 for W48
        channels, keys = (max(1, round(c * width / stages.width)) for c in (_OBJECT, _KEY))
        self.conv3x3_ocr = nn.Sequential(
            nn.Conv2d(inputs, channels, 3, padding=1),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
        )
        self.ocr_distri_head = ObjectContext(channels, keys)
        self.cls_head = nn.Conv2d(channels, num_classes, 1)
        self.aux_head = nn.Sequential(
            nn.Conv2d(inputs, inputs, 1),
            nn.BatchNorm2d(inputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(inputs, num_classes, 1),
        )

    def forward(self, image: Tensor) -> Tensor:
        logits, _ = self._logits(image)
        return self.resize(logits, image.shape[-2:])

    def add_training_heads(self) -> None:
        """There are none: inference needs the auxiliary head."""

    def training_heads(self, image: Tensor) -> dict[str, Tensor]:
        """`out` as of `forward`, and `aux`, the regions' logits, both (N, K, H, W).

        Without a loss on `aux` the bias of its last convolution learns nothing: the softmax over
        the pixels takes no notice of it.
        """
        names, size = ("out", "aux"), image.shape[-2:]
        return {
            name: self.resize(x, size) for name, x in zip(names, self._logits(image), strict=True)
        }

    def _logits(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Of the classes and of the soft regions, both (N, K, H / 4, W / 4)."""
        x = self.forward_features(image)
        regions = self.aux_head(x)
        pixels = self.conv3x3_ocr(x)
        augmented = self.ocr_distri_head(pixels, gather(pixels, regions))
        return self.cls_head(augmented), regions


def gather(pixels: Tensor, regions: Tensor) -> Tensor:
    """Features (N, C, H, W) and logits of K regions (N, K, H, W) to K objects (N, C, K, 1)."""
    shares = regions.flatten(2).softmax(dim=-1)  # over the pixels
    return torch.bmm(pixels.flatten(2), shares.to(pixels.dtype).transpose(1, 2)).unsqueeze(-1)


class ObjectContext(nn.Module):
    """Pixels (N, C, H, W) and objects (N, C, K, 1) to pixels that know the objects' context."""

    def __init__(self, channels: int, keys: int) -> None:
        super().__init__()
        self.object_context_block = ObjectAttention(channels, keys)
        self.conv_bn_dropout = nn.Sequential(
            nn.Conv2d(2 * channels, channels, 1, bias=False), _norm(channels), nn.Dropout2d(0.05)
        )

    def forward(self, pixels: Tensor, objects: Tensor) -> Tensor:
        context = self.object_context_block(pixels, objects)
        augmented: Tensor = self.conv_bn_dropout(torch.cat([context, pixels], dim=1))
        return augmented


class ObjectAttention(nn.Module):
    """To each pixel the mean of the objects' values, weighted by how near their keys are to it."""

    def __init__(self, channels: int, keys: int) -> None:
        super().__init__()
        self.scale = keys**-0.5
        self.f_pixel = nn.Sequential(*_unit(channels, keys), *_unit(keys, keys))
        self.f_object = nn.Sequential(*_unit(channels, keys), *_unit(keys, keys))
        self.f_down = nn.Sequential(*_unit(channels, keys))
        self.f_up = nn.Sequential(*_unit(keys, channels))

    def forward(self, pixels: Tensor, objects: Tensor) -> Tensor:
        query = self.f_pixel(pixels).flatten(2).transpose(1, 2)  # (N, H W, keys)
        key = self.f_object(objects).flatten(2)  # (N, keys, K)
        value = self.f_down(objects).flatten(2).transpose(1, 2)  # (N, K, keys)
        near = (self.scale * torch.bmm(query, key)).softmax(dim=-1)  # over the objects
        context = torch.bmm(near.to(value.dtype), value).transpose(1, 2)
        n, keys, _ = context.shape
        lifted: Tensor = self.f_up(context.reshape(n, keys, *pixels.shape[-2:]))
        return lifted


def _unit(inputs: int, outputs: int) -> tuple[nn.Module, nn.Module]:
    return nn.Conv2d(inputs, outputs, 1, bias=False), _norm(outputs)


def _norm(channels: int) -> nn.Sequential:
    """Batch norm and ReLU, one module as in the official code."""
    return nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(inplace=True))
