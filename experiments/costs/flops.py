"""What a network costs in operations, counted on the meta device in a second, at any size."""

import csv
import io
import math
import time
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from experiments.costs.benchmark import autocast, synchronise, this_device
from experiments.costs.layer_trace import on_meta, record
from experiments.trials.atomic_io import write_json, write_text
from experiments.trials.recipe import Recipe
from experiments.trials.reference import ALIASES, PAPER_COLUMNS, published_cost
from models import build_model
from models.weights import trunk

PAPER_SIZE, PAPER_CLASSES = (1024, 2048), 19  # of the HRNet paper's Table III
DEEPEST = 32  # of any network here; coarser maps are summaries: image pooling, pyramid bins
WHY = {  # differences from published figures, as far as they are explained
    "hrnetv2_w40": "the authors' own code with 40 channels counts as here; the paper prints less "
    "in both columns, which no whole number of channels gives",
    "hrnetv2_w18": "nothing is printed at this size and for these classes",
    "hrnetv2_w32": "nothing is printed at this size and for these classes",
    **dict.fromkeys(
        ("hrnetv1_w18", "hrnetv1_w32", "hrnetv1_w48"),
        "the paper compares V1's accuracy (Fig. 10) and prints no cost",
    ),
    "deeplabv3p": "the published GFLOPs are those of stride 8, see deeplabv3p_os8; the parameters "
    "do not depend on the stride",
    "deeplabv3p_os8": "4.9 % below the published 1444.6 GFLOPs of DeepLabv3+, where the parameters "
    "agree; that figure fits no stride, and is probably not from that paper's own counter",
    "deeplabv3p_x65": "its paper prints no parameters, nor operations at this size",
    "unet": "its paper prints neither; these are its Fig. 1 with padding and batch norm",
    "segnet": "no printed figure known; with the 11 classes of its authors' file 29.45M",
    "deconvnet": "no printed figure known; with its paper's 21 classes 251.81M",
    "dilatednet": "no printed figure known; its front end with its paper's 21 classes is 134.37M, "
    "and the DeepLabv1 paper prints 134.3M for one with the same layers",
    "deeplabv1": "with its paper's 21 classes 20.51M, and 20.5M are printed there",
    "resunet": "this project's own, no paper's",
    "pspnet": "the row names no layers; 7x7 stem: 65.58M, 1896.9; auxiliary head counted: 68.07M, "
    "2021.8; pooled branches counted at 1/8: 65.71M, 2078; no form tried gives both figures",
    "unetpp": "the row names no layers; encoder channels in the nodes, as in "
    "segmentation-models-pytorch: 67.98M, 1856.7; the UNet++ authors' row widths: 53.34M, 1362.8; "
    "no form tried gives both figures",
}


def analyse(model: str, num_classes: int, size: tuple[int, int]) -> dict[str, Any]:
    """What one forward pass at (height, width) takes, without memory or time.

    Convolutions and matrix products are counted, one multiply-add as one; normalisation,
    activations, pooling and interpolation are not. Parameters are active where their module ran;
    the trunk has those before the head: an encoder, VGG16's convolutions, all of HRNet but its end.
    `layers` are in the order in which they ran, their stride as a power of two: 360 rows to 12 are
    1/32.
    """
    network, image = on_meta(partial(build_model, model, num_classes), 3, size)
    active: dict[nn.Parameter, None] = {}
    for module in network.modules():
        module.register_forward_hook(
            lambda module, *_: active.update(dict.fromkeys(module.parameters(recurse=False)))
        )
    with FlopCounterMode(display=False) as counter:
        layers = record(network, image)
    sizes = {name: p.numel() for name, p in network.named_parameters()}
    return {
        "params": sum(sizes.values()),
        "params_active": sum(p.numel() for p in active),
        "params_trunk": sum(sizes[name] for name in trunk(sizes)),
        "gmacs": counter.get_total_flops() / 2 / 1e9,
        "layers": [
            {
                "stride": 2 ** round(math.log2(math.prod(size) / layer.cells) / 2),
                "channels": layer.channels,
                "macs": layer.macs,
            }
            for layer in layers
        ],
    }


def count(model: str, num_classes: int, size: tuple[int, int]) -> dict[str, int | float]:
    """Parameters and multiply-adds of one forward pass at (height, width)."""
    traced = analyse(model, num_classes, size)
    return {"params": traced["params"], "gmacs": traced["gmacs"]}


def paper_row(model: str) -> dict[str, int | float]:
    """Parameters and "GFLOPs" in the HRNet paper's unit, MACs / 2**30, at its size and classes."""
    counted = count(model, PAPER_CLASSES, PAPER_SIZE)
    return {
        "params_paper": counted["params"],
        "paper_gflops_1024x2048": counted["gmacs"] * 1e9 / 2**30,
    }


def estimate(model: str, recipe: Recipe, num_classes: int) -> dict[str, float]:
    """Parameters, GMACs of a crop, and hours of training by one timed step here.

    The step is forward and backward on two images of the recipe's crop, after one to warm up.
    """
    device = this_device()
    network = build_model(model, num_classes).to(device)
    image = torch.zeros(2, 3, *recipe.crop, device=device)
    image = image.to(memory_format=torch.channels_last)
    seconds = 0.0
    for _ in range(2):
        synchronise(device)
        before = time.perf_counter()
        with autocast(device, recipe.precision):
            loss = network(image).float().mean()
        loss.backward()
        synchronise(device)
        seconds = time.perf_counter() - before
    return {
        **count(model, num_classes, recipe.crop),
        "train_hours": seconds / 2 * recipe.batch * recipe.steps / 3600,
    }


def profile(model: str, num_classes: int, size: tuple[int, int]) -> dict[str, Any]:
    """`analyse` with what follows from it, and the published figures if they are for this size."""
    traced = analyse(model, num_classes, size)
    comparable = (size, num_classes) == (PAPER_SIZE, PAPER_CLASSES)
    ours = dict(
        zip(PAPER_COLUMNS, (traced["params"] / 1e6, traced["gmacs"] * 1e9 / 2**30), strict=True)
    )
    theirs = {k: v for k, v in published_cost(model).items() if k in ours} if comparable else {}
    strides = [layer["stride"] for layer in traced["layers"]]
    return {
        "model": model,
        **traced,
        "gflops": 2 * traced["gmacs"],
        "paper_gflops": traced["gmacs"] * 1e9 / 2**30,
        "deepest_stride": max(s for s in strides if s <= DEEPEST),
        "classifier_stride": strides[-1],
        "published": theirs,
        "difference_percent": {k: 100 * (ours[k] / v - 1) for k, v in theirs.items()},
        "why": WHY.get(ALIASES.get(model, model)) if comparable else None,
    }


def write_profiles(profiles: list[dict[str, Any]], folder: Path) -> None:
    """`cost.json` with every layer, and `cost.csv` with a row a network."""
    write_json(folder / "cost.json", profiles)
    flat = [
        {
            **{k: v for k, v in p.items() if not isinstance(v, dict | list)},
            **{f"published_{k}": v for k, v in p["published"].items()},
            **{f"difference_percent_{k}": v for k, v in p["difference_percent"].items()},
        }
        for p in profiles
    ]
    columns = list(dict.fromkeys(key for row in flat for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    write_text(folder / "cost.csv", text.getvalue())
