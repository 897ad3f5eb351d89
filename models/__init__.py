"""Networks by name, with their options: `build_model("unet:width=9", num_classes=11)`.

A name with slashes is a family's and hands it the parts behind the first: `smp/fpn/resnet34`.

Every network maps a float image (N, 3, H, W), RGB normalised by the ImageNet mean and standard
deviation, to logits (N, K, H, W) of the input's own size, for any H and W from `MIN_SIDE` up.
"""

import ast
import importlib.util
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from models.registry import BACKBONES, FAMILIES, MODELS, nearest

if TYPE_CHECKING:
    from torch import nn

Option = bool | int | float | str


def builder(name: str) -> str:
    """Where a network is made, as `module:function`.

    Raises:
        ValueError: no network has this name.
    """
    if name in MODELS:
        return MODELS[name]
    family, *parts = name.split("/")
    if family not in FAMILIES:
        raise ValueError(f"unknown model {name!r}; {nearest(name, [*MODELS, *families()])}")
    form = next(form for form in families() if form.startswith(f"{family}/"))
    if len(parts) != form.count("/") or not all(parts):
        raise ValueError(f"unknown model {name!r}: name one as {form}")
    return FAMILIES[family]


def known_models() -> dict[str, dict[str, str]]:
    """Every network and family that can be named, with its options and their types."""
    return {name: model_options(name) for name in (*MODELS, *families())}


def families() -> list[str]:
    """How networks of families are named, as `smp/<architecture>/<encoder>`."""
    forms = []
    for family, entry in FAMILIES.items():
        _, *parts = (argument.arg for argument in _signature(entry).args)
        forms.append("/".join([family, *(f"<{part}>" for part in parts)]))
    return forms


def build_backbone(
    name: str, weights: Path | str | None = None, *, align_corners: bool = False
) -> "nn.Module":
    """Build features without a head: `hrnetv1_w32`, `hrnetv2_w32` or `hrnetv2p_w32`, at any width.

    The stem keeps the paper's 64 channels whatever the width; the small networks are not here.

    Args:
        weights: as of `build_model`, as the authors' `hrnetv2_w48_imagenet_pretrained.pth`.

    Returns:
        A module from an image (N, 3, H, W) to its maps by name, the finest first; its `channels`
        and `strides` say what they are. V2p's is a backbone for torchvision's detectors.

    Raises:
        ValueError: no backbone has this name, or a weights file that does not fit.
    """
    family, _, width = name.rpartition("_w")
    if family not in BACKBONES or not width.isdecimal() or int(width) < 1:
        known = nearest(name, [f"{family}_w32" for family in BACKBONES])
        raise ValueError(f"unknown backbone {name!r}; {known}, and other widths")
    module, function = BACKBONES[family].split(":")
    backbone: nn.Module = getattr(importlib.import_module(module), function)(
        int(width), align_corners=align_corners
    )
    if weights is not None:
        from models.weights import load_weights

        load_weights(backbone, Path(weights))
    return backbone


@cache
def model_options(name: str) -> dict[str, str]:
    """Option names of a network and their types, read from its builder's source without running it.

    A Literal is given as its values, `sum|concat`. Networks of one file may share some options:
    `**options: Unpack[Name]` with a TypedDict of that file.

    Raises:
        ValueError: no network has this name.
    """
    entry = builder(name)
    signature = _signature(entry)
    options = {argument.arg: _kind(argument.annotation) for argument in signature.kwonlyargs}
    shared = signature.kwarg.annotation if signature.kwarg else None
    if isinstance(shared, ast.Subscript):
        module, name = entry.split(":")[0], ast.unparse(shared.slice)
        fields = _definition(f"{module}:{name}").body
        found = (field for field in fields if isinstance(field, ast.AnnAssign))
        options |= {ast.unparse(field.target): _kind(field.annotation) for field in found}
    return options


def _kind(annotation: ast.expr | None) -> str:
    if isinstance(annotation, ast.Subscript) and ast.unparse(annotation.value) == "Literal":
        return "|".join(ast.literal_eval(annotation.slice))
    return ast.unparse(annotation) if annotation else "str"


def _signature(entry: str) -> ast.arguments:
    function = _definition(entry)
    assert isinstance(function, ast.FunctionDef)
    return function.args


@cache
def _definition(entry: str) -> ast.FunctionDef | ast.ClassDef:
    """The function or class `module:name`, as it is written."""
    module, name = entry.split(":")
    spec = importlib.util.find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    for node in ast.parse(Path(spec.origin).read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name:
            return node
    raise AssertionError(f"{module} has no {name}")


def parse_model(text: str) -> tuple[str, dict[str, Option]]:
    """Split `name:option=value:option=value` into the name and its typed options.

    Raises:
        ValueError: an unknown name or option, or a value of another type.
    """
    name, *parts = text.strip().split(":")
    known = model_options(name)
    options: dict[str, Option] = {}
    for part in parts:
        key, equals, value = part.partition("=")
        if not equals or key not in known:
            raise ValueError(f"{name} has no option {part!r} (key=value); {nearest(key, known)}")
        options[key] = _typed(f"{name}:{key}", value, known[key])
    return name, options


def _typed(what: str, value: str, kind: str) -> Option:
    if "|" in kind and value not in (values := kind.split("|")):
        *first, last = values
        known = f"{', '.join(first)} or {last}"
        raise ValueError(f"{what} is {known}, got {value!r}: choose one of them")
    try:
        if kind == "bool":
            return {"true": True, "false": False}[value.lower()]
        return int(value) if kind == "int" else float(value) if kind == "float" else value
    except (KeyError, ValueError):
        raise ValueError(f"{what} takes a value of type {kind}, got {value!r}") from None


def build_model(
    name: str, num_classes: int, weights: Path | str | None = None, **options: Option
) -> "nn.Module":
    """Build the network `name`, which may carry its options (`unet:width=9`).

    Args:
        weights: a file of tensors to fill it with: our checkpoints, HRNet's authors', any state
            dict; `model.load_report` then says what was loaded (see `models/weights.py`).

    Raises:
        ValueError: an unknown name or option, or a weights file that does not fit.
    """
    name, parsed = parse_model(name)
    known = model_options(name)
    for key in options:
        if key not in known:
            raise ValueError(f"{name} has no option {key!r}; {nearest(key, known)}")
    module, function = builder(name).split(":")
    model: nn.Module = getattr(importlib.import_module(module), function)(
        num_classes, *name.split("/")[1:], **{**parsed, **options}
    )
    if weights is not None:
        from models.weights import load_weights

        load_weights(model, Path(weights))
    return model
