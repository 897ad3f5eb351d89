"""Networks of segmentation-models-pytorch (smp): `smp/fpn/resnet34`, `smp/unet/tu-convnext_tiny`.

Any of its architectures on any of its own encoders or, as `tu-NAME`, of timm's, with its defaults,
random weights and no auxiliary head.

Differs from smp: it takes images of any size from 33x33 up, where smp asks for multiples of the
encoder's stride, DPT for twice that, and PAN for at least 128x128. They are padded with zeros, the
mean colour, on the right and below, and the logits are cropped back; the cost of this is counted.
And parts that never run, as the last stages under PSPNet, are left out. What runs without effect
on the logits, as a stage too many of mobilenet_v2 there, stays as in smp, but does not train.
"""

import difflib
import itertools
import traceback
import warnings
from functools import cache
from textwrap import shorten
from typing import Any, NamedTuple

import timm
import torch
from segmentation_models_pytorch import MODEL_ARCHITECTURES_MAPPING as ARCHITECTURES
from segmentation_models_pytorch.encoders import get_encoder_names
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from models.registry import MIN_SIDE, nearest


def smp(num_classes: int, architecture: str, encoder: str) -> nn.Module:
    """`architecture` of smp on `encoder`, one of smp's own or, as `tu-NAME`, of timm's.

    Raises:
        ValueError: an unknown name, or two that smp cannot join for images of any size.
    """
    if architecture not in ARCHITECTURES:
        raise ValueError(
            f"unknown architecture {architecture!r} of smp; {nearest(architecture, ARCHITECTURES)}"
        )
    own, timms = get_encoder_names(), [f"tu-{name}" for name in timm.list_models()]
    if encoder not in own and encoder.split(".")[0] not in timms:  # timm's may carry a tag
        close = difflib.get_close_matches(encoder, own + timms, n=1, cutoff=0.4)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise ValueError(
            f"unknown encoder {encoder!r} of smp; {hint}Known: {len(own)} of smp's own, as "
            f"resnet34 or mit_b0, and timm's {len(timms)} as tu-NAME, see timm.list_models()"
        )
    return SMP(num_classes, architecture, encoder)


class SMP(nn.Module):
    """A network of smp, as `model`, for images of any size.

    Attributes:
        encoder_name: smp's, of `model.encoder`.
        min_train_batch: 2 where a batch norm sees one value a channel and image, else 1.
    """

    def __init__(self, num_classes: int, architecture: str, encoder: str) -> None:
        super().__init__()
        self.encoder_name = encoder
        plan = _plan(architecture, encoder)
        self._step, self._least = plan.step, plan.least
        self.min_train_batch = plan.min_train_batch
        self.model = _build(architecture, encoder, num_classes, plan.options)
        _leave_out(self.model, plan.idle, plan.without_effect)
        if plan.imagenet is not None:
            self.model.get_submodule(plan.imagenet).imagenet = encoder.removeprefix("tu-")

    def forward(self, image: Tensor) -> Tensor:
        height, width = image.shape[-2:]
        below, right = (max(-side % self._step, self._least - side) for side in (height, width))
        logits: Tensor = self.model(F.pad(image, (0, right, 0, below)))
        return logits[..., :height, :width]


class _Plan(NamedTuple):
    """What a network on the meta device, where it holds nothing, shows about all its copies.

    Attributes:
        options: of the timm encoder.
        step, least: pixels; height and width are multiples of the one and not below the other.
        idle: modules that never run.
        without_effect: parameters that have no gradient although they are used.
        imagenet: the module whose tensors are those of the timm network of the encoder's name,
            which then stands there for `models.imagenet`.
    """

    options: dict[str, bool]
    step: int
    least: int
    min_train_batch: int
    idle: list[str]
    without_effect: list[str]
    imagenet: str | None


@cache
def _plan(architecture: str, encoder: str) -> _Plan:
    failure: Exception | None = None
    for options in ({}, {"dynamic_img_size": True}):  # what timm's ViT and Swin need for any size
        try:
            with torch.random.fork_rng(devices=[]), torch.device("meta"), torch.enable_grad():
                return _try(architecture, encoder, options)
        except Exception as error:  # whatever smp, timm and torch raise for what they do not serve
            if failure is None or "unexpected keyword" not in str(error):
                failure = error
    assert failure is not None
    reason = str(failure) or f"{traceback.extract_tb(failure.__traceback__)[-1].line}"  # an assert
    reason = reason.rstrip(".!").replace(". ", "; ")
    other = "tu-vit_small_patch16_224" if architecture == "dpt" else "resnet34"
    raise ValueError(
        f"smp/{architecture}/{encoder} cannot be made for images of any size "
        f"({shorten(reason, 150, placeholder=' ...')}): name another encoder, as {other}"
    )


def _try(architecture: str, encoder: str, options: dict[str, bool]) -> _Plan:
    model = _build(architecture, encoder, 2, options)
    ran: set[nn.Module] = set()
    for module in model.modules():
        module.register_forward_hook(lambda module, *_: ran.add(module))
    step, least, min_train_batch, logits = _sizes(model)
    logits.sum().backward()  # type: ignore[no-untyped-call]
    unused = {p for p in model.parameters() if p.grad is None}
    idle: list[str] = []
    for name, module in model.named_modules():
        own = set(module.parameters())
        inside = name.startswith(tuple(f"{above}." for above in idle))
        if own and own <= unused and ran.isdisjoint(module.modules()) and not inside:
            idle.append(name)
    _leave_out(model, idle, [])
    without_effect = [name for name, p in model.named_parameters() if p in unused]
    _run(model.eval(), 1, least, least)
    imagenet = _same_as_timm(model, encoder.removeprefix("tu-"))
    return _Plan(options, step, least, min_train_batch, idle, without_effect, imagenet)


def _sizes(model: Any) -> tuple[int, int, int, Tensor]:
    """Step, least side and least batch with which it trains, and logits of such a pass."""
    stride, failures = model.encoder.output_stride, []
    for step, side, images in itertools.product((stride, 2 * stride), (MIN_SIDE, 128), (1, 2)):
        least = -(-side // step) * step
        try:
            _run(model, images, least, least)
            return step, least, images, _run(model, 2, least + step, least + 3 * step)
        except Exception as error:
            failures.append(error)
    raise failures[1]  # of the least size with a batch of two


def _run(model: Any, images: int, height: int, width: int) -> Tensor:
    logits: Tensor = model(torch.empty(images, 3, height, width))
    if logits.shape[-2:] != (height, width):
        raise ValueError(f"{height}x{width} images have {tuple(logits.shape[-2:])} logits")
    return logits


def _same_as_timm(model: nn.Module, name: str) -> str | None:
    if name.split(".")[0] not in timm.list_models():
        return None
    theirs = _shapes(timm.create_model(name))
    for path in ("encoder", "encoder.model", "encoder.model.model"):  # smp's and timm's wrappers
        part = dict(model.named_modules()).get(path)
        if part is not None and _shapes(part).items() <= theirs.items():
            return path
    return None


def _shapes(network: nn.Module) -> dict[str, torch.Size]:
    # timm's feature networks write `stem_0` for `stem.0`.
    return {name.replace("_", "."): t.shape for name, t in network.state_dict().items()}


def _leave_out(model: nn.Module, idle: list[str], without_effect: list[str]) -> None:
    for name in idle:
        parent, _, child = name.rpartition(".")
        setattr(model.get_submodule(parent), child, nn.Identity())
    for name in without_effect:
        model.get_parameter(name).requires_grad_(False)


class _NumbersOnCpu(TorchFunctionMode):
    """Lets encoders read numbers out of a linspace while they are built on the meta device."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        device = {"device": "cpu"} if func is torch.linspace else {}
        return func(*args, **{**(kwargs or {}), **device})


def _build(architecture: str, encoder: str, num_classes: int, options: dict[str, bool]) -> Any:
    with warnings.catch_warnings(), _NumbersOnCpu():
        # The one asks for another name of the encoder, the other for DPT without a layer.
        warnings.filterwarnings("ignore", "`timm-` encoders are deprecated")
        warnings.filterwarnings("ignore", "Encoder does not have prefix tokens")
        return ARCHITECTURES[architecture](
            encoder, encoder_weights=None, classes=num_classes, **options
        )
