"""DeepLabv3+ (Chen et al., arXiv 1802.02611, Fig. 2 and section 3) on an ImageNet trunk of timm.

Modified Xception (section 3.2) with dilation in place of its last strides, atrous spatial pyramid
pooling on the deepest map, and a decoder that concatenates a 1/4 map reduced to 48 channels.
Layer sizes and the batch norm + ReLU between depthwise and pointwise convolutions are those of the
authors' code; with them Xception-71 and 19 classes count 43.48M parameters, as in the HRNet
paper's Table III, and Xception-65 41.05M.

Differs from the paper: nothing known in the network; trunks other than Xception are options, and
so is a width other than 64, with which every number of channels is scaled by width / 64.

Options try the decoder's parts (section 4.1). `skip=false`: it does not see the 1/4 map, and its
3x3 convolutions have the pyramid's channels alone; the paper asks in Tables 1 and 2 how to reduce
and refine that map, and in Table 3 what all of the decoder is worth. `up=transposed`: both
interpolations become transposed convolutions of one filter a channel, which start bilinear, as FCN
learns them (arXiv 1411.4038, section 3.3); they are cut to size at the right and below, where
bilinear ones stretch. The paper has no table of it.
"""

import math
from typing import Literal, TypedDict, Unpack

import timm
import torch
from timm.models import FeatureInfo
from torch import Tensor, nn
from torch.nn import functional as F

from models.resnet import subsample_narrow
from models.upsampling import transposed

_RATES = {16: (6, 12, 18), 8: (12, 24, 36)}  # section 3.1 of the paper: doubled at stride 8
_WIDTH = 64  # of the paper's networks, see `deeplabv3p`
_IMAGE = 3  # its channels, which no width scales
_LOW = 4  # the stride of the map that the decoder sees, and of its logits
_ADVICE = "name a convolutional timm network, such as xception71, mobilenetv2_100 or resnet50"


class Decoder(TypedDict, total=False):
    """Options of every network here: whether the decoder sees the 1/4 map, and how maps go up."""

    skip: bool
    up: Literal["bilinear", "transposed"]


def deeplabv3p(
    num_classes: int,
    *,
    trunk: str = "xception71",
    output_stride: int = 16,
    width: int = 64,
    **decoder: Unpack[Decoder],
) -> nn.Module:
    """DeepLabv3+; `trunk` is any timm network that gives features and takes an output stride.

    Args:
        width: channels of Xception's second convolution, 64 in the paper; all others follow, in
            the head and with any trunk.

    Raises:
        ValueError: a trunk that timm does not have or cannot dilate, a stride not 8 or 16, a width
            below 1 or of a trunk that is not made of convolutions and batch norms alone, or an up
            that is neither bilinear nor transposed.
    """
    return DeepLabV3Plus(num_classes, trunk, output_stride, width, **decoder)


def deeplabv3p_x65(
    num_classes: int, *, output_stride: int = 16, width: int = 64, **decoder: Unpack[Decoder]
) -> nn.Module:
    """DeepLabv3+ with Xception-65, the smaller of the paper's: 41.05M parameters."""
    return DeepLabV3Plus(num_classes, "xception65", output_stride, width, **decoder)


def deeplabv3p_os8(
    num_classes: int, *, trunk: str = "xception71", width: int = 64, **decoder: Unpack[Decoder]
) -> nn.Module:
    """DeepLabv3+ at output stride 8: the same parameters and names, about three times the work."""
    return DeepLabV3Plus(num_classes, trunk, 8, width, **decoder)


class DeepLabV3Plus(nn.Module):
    min_train_batch = 2  # the image pooling's batch norm sees one value a channel and image

    def __init__(
        self,
        num_classes: int,
        trunk: str,
        output_stride: int,
        width: int,
        skip: bool = True,
        up: str = "bilinear",
    ) -> None:
        super().__init__()
        if up not in ("bilinear", "transposed"):
            raise ValueError(f"up is bilinear or transposed, got {up!r}: choose one of them")
        if output_stride not in _RATES:
            raise ValueError(f"output_stride is 8 or 16, got {output_stride}: choose one of them")
        if width < 1:
            raise ValueError(f"width is at least 1, got {width}: 64 is the paper's")
        self.trunk, self.low = _build_trunk(trunk, output_stride)
        channels = _info(self.trunk).channels()
        if width != _WIDTH:
            _check_scales(trunk, output_stride, width)
            _scale(self.trunk, trunk, width)
            subsample_narrow(self.trunk)
        else:
            self.trunk.imagenet = trunk  # type: ignore[assignment]  # its ImageNet weights fit
        deep, low, head, reduced = (
            _scaled(c, width) for c in (channels[-1], channels[self.low], 256, 48)
        )
        self.aspp = ASPP(deep, _RATES[output_stride], head)
        self.reduce = _conv_bn_relu(low, reduced, 1) if skip else None
        seen = reduced + head if skip else head
        self.decoder = nn.Sequential(_separable(seen, head), _separable(head, head))
        self.classifier = nn.Conv2d(head, num_classes, 1)
        for module in self.modules():
            if type(module) is nn.Conv2d and module.groups > 1 and module.dilation != (1, 1):
                module.__class__ = _DilatedDepthwise
        self.up: nn.Module | None = None
        self.up_logits: nn.Module | None = None
        if up == "transposed":
            self.up = transposed(head, output_stride // _LOW)
            self.up_logits = transposed(num_classes, _LOW)

    def forward(self, image: Tensor) -> Tensor:
        features = self.trunk(image)  # the deepest at 1/output_stride
        low = features[self.low]  # 1/4
        x = _enlarged(self.aspp(features[-1]), low.shape[-2:], self.up)
        if self.reduce is not None:
            x = torch.cat([x, self.reduce(low)], dim=1)
        logits = self.classifier(self.decoder(x))  # 1/4
        return _enlarged(logits, image.shape[-2:], self.up_logits)


def _enlarged(x: Tensor, size: torch.Size, up: nn.Module | None) -> Tensor:
    if up is None:
        return F.interpolate(x, size, mode="bilinear")
    y: Tensor = up(x)  # each cell stays over the pixels that it saw
    return y[..., : size[0], : size[1]]


class _DilatedDepthwise(nn.Conv2d):
    """A dilated depthwise convolution, in the precision of its weights also under autocast.

    In bf16 its backward pass falls into a reference loop on CPUs: five times slower than fp32,
    a third of a training step with the MobileNetV2 trunk.
    """

    def forward(self, input: Tensor) -> Tensor:
        if not torch.amp.is_autocast_available(input.device.type):  # meta, to count operations
            return super().forward(input)
        with torch.autocast(input.device.type, enabled=False):
            return super().forward(input.to(self.weight.dtype))


class ASPP(nn.Module):
    """Atrous spatial pyramid pooling: a 1x1, three dilated separable 3x3 and the image's mean."""

    def __init__(self, inputs: int, rates: tuple[int, int, int], outputs: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            [
                _conv_bn_relu(inputs, outputs, 1),
                *(_separable(inputs, outputs, dilation=rate) for rate in rates),
            ]
        )
        self.pool = _conv_bn_relu(inputs, outputs, 1)
        self.project = _conv_bn_relu(outputs * 5, outputs, 1)
        self.dropout = nn.Dropout(0.1)  # as in the authors' code

    def forward(self, x: Tensor) -> Tensor:
        pooled: Tensor = self.pool(x.mean(dim=(2, 3), keepdim=True))
        branches = [branch(x) for branch in self.branches]
        y = torch.cat([*branches, pooled.expand(-1, -1, *x.shape[-2:])], dim=1)
        z: Tensor = self.dropout(self.project(y))
        return z


def _build_trunk(name: str, output_stride: int) -> tuple[nn.Module, int]:
    """A timm feature network, and which of its maps is the one of stride 4."""
    # timm's Xception built at stride 8 drops a 728 -> 728 shortcut, so that weights of stride 16
    # do not fit; built at 16 and dilated afterwards both strides have the same tensors.
    dilate_later = name.startswith("xception") and output_stride == 8
    built_stride = 16 if dilate_later else output_stride
    try:
        trunk: nn.Module = timm.create_model(name, features_only=True, output_stride=built_stride)
    except Exception as error:  # whatever timm raises for a network that cannot do this
        reason = str(error) or f"timm's {type(error).__name__}"
        raise ValueError(f"trunk {name!r} cannot serve ({reason}): {_ADVICE}") from None
    strides = _info(trunk).reduction()
    if _LOW not in strides or strides[-1] != built_stride:
        raise ValueError(
            f"trunk {name!r} has maps of stride {strides}, and DeepLabv3+ needs one of 4 and "
            f"the last of {output_stride}: {_ADVICE}"
        )
    if dilate_later:
        _halve_stride(trunk)
    return trunk, strides.index(_LOW)


def _scaled(channels: int, width: int) -> int:
    return max(1, round(channels * width / _WIDTH))


def _scale(trunk: nn.Module, name: str, width: int) -> None:
    """Scale every number of channels but the image's, as timm does not for most networks.

    New weights are normal, as large as timm's were for their number of inputs; batch norms keep
    the one value that timm gives all channels.
    """
    for module in trunk.modules():
        if isinstance(module, nn.Conv2d) and module.groups in (1, module.in_channels):
            old = module.weight.detach()
            if module.groups > 1:  # depthwise
                module.groups = _scaled(module.groups, width)
            if module.in_channels != _IMAGE:
                module.in_channels = _scaled(module.in_channels, width)
            module.out_channels = _scaled(module.out_channels, width)
            new = torch.randn(
                module.out_channels, module.in_channels // module.groups, *module.kernel_size
            )
            size = old.std() * math.sqrt(old[0].numel() / new[0].numel())
            module.weight = nn.Parameter(new * size)
            if module.bias is not None:
                module.bias = nn.Parameter(torch.zeros(module.out_channels))
        elif isinstance(module, nn.BatchNorm2d):
            module.num_features = _scaled(module.num_features, width)
            for values in (*module.parameters(), *module.buffers()):
                if values.ndim:  # the count of batches has none
                    values.data = values.data[:1].repeat(module.num_features)
        elif next(module.parameters(recurse=False), None) is not None:
            kind = "grouped convolution" if isinstance(module, nn.Conv2d) else type(module).__name__
            raise ValueError(
                f"trunk {name!r} has a {kind}, and only convolutions, plain or depthwise, and "
                "batch norms can be scaled: leave its width at 64"
            )


def _check_scales(name: str, output_stride: int, width: int) -> None:
    """Run the scaled trunk on the meta device: some count on channels that add up or divide."""
    with torch.device("meta"):
        trunk, _ = _build_trunk(name, output_stride)
        _scale(trunk, name, width)
        try:
            trunk.eval()(torch.empty(1, _IMAGE, 64, 64))
        except Exception as error:  # whatever a layer raises about channels that do not fit
            reason = str(error).split("\n")[0]
            raise ValueError(
                f"trunk {name!r} cannot be scaled to width {width} ({reason}): "
                "leave its width at 64"
            ) from None


def _info(trunk: nn.Module) -> FeatureInfo:
    info = trunk.feature_info
    assert isinstance(info, FeatureInfo)
    return info


def _halve_stride(trunk: nn.Module) -> None:
    """Remove the last stride of a trunk and double every later dilation; no tensor changes."""
    convs = [m for m in trunk.modules() if isinstance(m, nn.Conv2d)]
    last = max(i for i, conv in enumerate(convs) if conv.stride == (2, 2))
    for i, conv in enumerate(convs):
        if i > last and conv.kernel_size != (1, 1):
            conv.dilation = (conv.dilation[0] * 2, conv.dilation[1] * 2)
            assert not isinstance(conv.padding, str)
            conv.padding = (conv.padding[0] * 2, conv.padding[1] * 2)
    shortcut = max(i for i, c in enumerate(convs[:last]) if c.stride == (2, 2))
    for conv in (convs[shortcut], convs[last]):  # both sides of the residual unit
        conv.stride = (1, 1)


def _conv_bn_relu(
    inputs: int, outputs: int, kernel: int, dilation: int = 1, groups: int = 1
) -> nn.Sequential:
    padding = dilation * (kernel // 2)
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, 1, padding, dilation, groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def _separable(inputs: int, outputs: int, dilation: int = 1) -> nn.Sequential:
    """A 3x3 depthwise and a 1x1 convolution, batch norm and ReLU after both."""
    return nn.Sequential(
        _conv_bn_relu(inputs, inputs, 3, dilation, groups=inputs),
        _conv_bn_relu(inputs, outputs, 1),
    )
