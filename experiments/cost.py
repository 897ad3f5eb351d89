"""What a network costs: operations, counted on the meta device in a second, at any size.

`python -m experiments.cost` prints the papers' cost table beside ours, without training anything;
with `--measure` also seconds and memory on this machine. With `--match gmacs=2.7` it finds the
widths at which the networks cost that. With `--again RESULTS` it times the latency of finished
trials once more, one after the other, where they ran side by side.
"""

import argparse
import csv
import io
import math
import os
import random
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from experiments import match
from experiments.measure import (
    Request,
    autocast,
    measure_apart,
    remeasure,
    synchronise,
    this_device,
)
from experiments.published import ALIASES, published_cost
from experiments.recipe_text import parse_size
from experiments.recipes import PRECISIONS, Recipe
from experiments.store import read_results, write_json, write_text
from experiments.table import PAPER_COLUMNS, cost_table, measured_table
from experiments.trace import on_meta, record
from models import build_model, parse_model
from models.table import MODELS
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m experiments.cost",
        description="What networks cost, beside what was published; nothing is trained.",
    )
    add = parser.add_argument
    add("--models", default="all", help="commas between, or all (default)")
    add("--size", "--at", default="1024x2048", help="height x width (default: the papers' "
        "1024x2048)")  # fmt: skip
    add("--classes", type=int, default=PAPER_CLASSES, help="(default: Cityscapes' 19)")
    add("--out", type=Path, default=Path("runs/cost"), help="folder for cost.json, cost.csv, "
        "measured.json and match.json (default: runs/cost)")  # fmt: skip
    add("--measure", action="store_true", help="also time inference and a training step, and take "
        "peak memory; nothing else may run")  # fmt: skip
    add("--batch", type=int, default=1, help="images a measured pass (default: 1)")
    add("--precision", choices=PRECISIONS, default=PRECISIONS[0], help="(default: %(default)s)")
    add("--threads", type=int, default=os.cpu_count() or 1, help="on a CPU (default: all cores)")
    add("--match", metavar="KIND=VALUE", help="instead find for each network the width that costs "
        "nearest to gmacs=2.7 (1e9 multiply-adds a forward pass), params=9.6 (millions), "
        "latency=40 (ms a forward pass of one image here) or train-time=0.5 (s a step of --batch "
        "images here, two at least), and time a training step; nothing else may run")  # fmt: skip
    add("--again", type=Path, metavar="RESULTS", help="instead time the latency of these finished "
        "trials once more; nothing else may run")  # fmt: skip
    return parser


def main(argv: list[str] | None = None) -> int:
    """0 when all was counted, 1 when a network could not be measured, 2 for a wrong request."""
    args, console = _parser().parse_args(argv), Console(highlight=False)
    try:
        if args.again:
            return _again(args.again, args.threads)
        models, size = _once(args.models), parse_size(args.size)
        if min(args.classes, args.batch, args.threads) < 1:
            raise ValueError("--classes, --batch and --threads are at least 1")
        if args.match and args.measure:
            raise ValueError("--match times a training step as it is: leave --measure out")
        if args.match:
            return _match(models, size, args, console)
        profiles = [profile(model, args.classes, size) for model in models]
        write_profiles(profiles, args.out)
        console.print(cost_table(profiles, size, args.classes))
        for p in profiles:
            if p["why"]:
                console.print(f"{p['model']}: {p['why']}")
        console.print(f"wrote {args.out / 'cost.json'} and {args.out / 'cost.csv'}", soft_wrap=True)
        if not args.measure:
            return 0
        requests = [Request(m, args.classes, size, args.precision, args.batch) for m in models]
        measured = _measure(requests, args.threads, args.out / "measured.json")
        console.print(measured_table(measured))
    except KeyboardInterrupt:
        kept = "" if args.match else "; measured.json has what was measured"
        print(f"\nstopped{kept}", file=sys.stderr)
        return 130
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    return int(any("failed" in m for m in measured))


def _match(
    models: list[str], size: tuple[int, int], args: argparse.Namespace, console: Console
) -> int:
    """Print and keep the widths of --match; a step of training is timed on as many images for all,
    two at least, as some networks cannot train on one."""
    batch = max(2, args.batch)
    terms = match.parse_match(args.match, size, args.classes, args.precision, args.threads, batch)
    rows = match.plan(models, terms)
    if terms.kind != "train-time":
        common = (terms.num_classes, size, terms.precision, batch)
        requests = [Request(row["model"], *common) for row in rows]
        measured = _measure(requests, terms.threads, args.out / "measured.json")
        for row, times in zip(rows, measured, strict=True):
            row |= {"train_s": times["train_step_ms"] / 1000} if "failed" not in times else times
    write_json(args.out / "match.json", rows)
    match.show(rows, terms, console)
    console.print(f"wrote {args.out / 'match.json'}", soft_wrap=True)
    return int(any("failed" in row for row in rows))


def _measure(requests: list[Request], threads: int, path: Path) -> list[dict[str, Any]]:
    """A process a network, in shuffled order, so that drift, as a processor's heat, falls on none
    by its place in the list; the file is renewed after each."""
    found: dict[str, dict[str, Any]] = {}
    for request in random.sample(requests, len(requests)):
        found[request.model] = measure_apart(request, threads)
        write_json(path, [found[r.model] for r in requests if r.model in found])
        print(f"{request.model}: {found[request.model].get('failed', 'measured')}", flush=True)
    return [found[request.model] for request in requests]


def _again(folder: Path, threads: int) -> int:
    finished = [result for result in read_results(folder) if result.done and result["cost"]]
    if not finished:
        raise ValueError(f"no finished trial in {folder}: run a comparison first")
    for result in finished:
        before, now = remeasure(result, threads)
        print(f"{result['model']} seed {result['seed']}: {before:.1f} ms before, {now:.1f} now")
    return 0


def _once(text: str) -> list[str]:
    """The networks that `--models` names, all of them known, without aliases of one another."""
    models = list(MODELS) if text == "all" else [name.strip() for name in text.split(",")]
    for model in models:
        parse_model(model)
    return [m for m in dict.fromkeys(models) if ALIASES.get(m) not in models]


if __name__ == "__main__":
    sys.exit(main())
