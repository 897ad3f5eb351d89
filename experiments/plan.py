"""What a comparison is asked for: its arguments, checked, and its trials."""

import argparse
import os
import tempfile
from pathlib import Path

from datamodules import open_data
from datamodules.table import DATASETS
from experiments.recipe_text import load_recipe, parse_size
from experiments.recipes import RECIPES, Recipe
from experiments.trial import Trial, data_hash, leads, slug
from models import families, model_options, parse_model
from models.table import MODELS

DEFAULT_MODELS = "hrnet,deeplabv3p,unet"
DESCRIPTION = """\
Compare segmentation networks: same recipe, batches and protocol, with costs.

  python -m experiments.compare --models hrnet,deeplabv3p,unet

Every network and seed is a trial in a process of its own. What has finished is
kept and skipped; what was stopped goes on from its last checkpoint when the
same command is given again.
"""


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="python -m experiments.compare",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = p.add_argument
    add("--models", default=DEFAULT_MODELS, help="commas between (default: %(default)s)")
    add("--recipe", default="demo", help="name, or file.py:function (default: demo)")
    add("--set", action="append", default=[], dest="changes", metavar="FIELD=VALUE",
        help="change a field of the recipe, as lr=0.02; may be repeated")  # fmt: skip
    add("--data", help="another data set, as streets:height=192:width=256")
    add("--data-root", type=Path, metavar="DIR", help="folder that holds the data set")
    add("--match", metavar="KIND=VALUE", help="give each network the width that costs nearest to "
        "gmacs=2.7 (1e9 multiply-adds a forward pass), params=9.6 (millions), latency=40 (ms a "
        "forward pass of one image here) or train-time=0.5 (s a training step of two images "
        "here)")  # fmt: skip
    add("--at", metavar="HEIGHTxWIDTH", help="the image that --match counts or times (default: "
        "the recipe's crop, on which training runs)")  # fmt: skip
    add("--seeds", default="0", help="as 0,1,2: a trial for each (default: 0)")
    add("--repeats", type=int, default=1, metavar="N", help="runs of each trial with the same "
        "seeds, which shows the noise of the machine (default: 1)")  # fmt: skip
    add("--tune", type=int, metavar="N", help="train each network also with its own learning rate "
        "and weight decay, the best of N short trials on the training set alone")  # fmt: skip
    add("--devices", type=int, default=1, metavar="N", help="processes a trial (default: 1)")
    add("--num-nodes", type=int, default=1, metavar="N", help="machines a trial (default: 1)")
    add("--jobs", type=int, default=1, metavar="N", help="trials at a time (default: 1)")
    add("--out", type=Path, default=Path("runs"), metavar="DIR", help="(default: runs)")
    add("--wandb", choices=("online", "offline", "off"),
        help="(default: online with an account, else offline)")  # fmt: skip
    add("--rerun", choices=("failed", "stale", "all"), default="failed",
        help="what to do again: failed trials (default), also those made by other code or "
        "another recipe, or all")  # fmt: skip
    add("--allow-mixed", action="store_true", help="show results of other recipes, data or "
        "protocols in tables of their own")  # fmt: skip
    add("--dry-run", action="store_true", help="print the plan and its cost, run nothing")
    add("--list", action="store_true", help="print models, recipes and data sets")
    return p


def listing() -> str:
    """Models with their options, recipes with their first line, data sets."""
    lines = ["models (options)"]
    for name in (*MODELS, *families()):
        options = ", ".join(f"{key}: {kind}" for key, kind in model_options(name).items())
        lines.append(f"  {name:22} {options}")
    lines.append("recipes")
    for name, function in RECIPES.items():
        lines.append(f"  {name:22} {(function.__doc__ or '').splitlines()[0]}")
    lines.append("data sets")
    lines += [f"  {name}" for name in DATASETS]
    return "\n".join(lines)


def plan(args: argparse.Namespace) -> list[Trial]:
    """Every trial of the request, checked before any work.

    Raises:
        ValueError: an unknown name or a value that does not fit, in one sentence.
    """
    recipe = load_recipe(args.recipe, args.changes, args.data)
    models = [text.strip() for text in args.models.split(",") if text.strip()]
    try:
        seeds = [int(text) for text in args.seeds.split(",")]
    except ValueError:
        raise ValueError(f"--seeds takes whole numbers as 0,1,2; got {args.seeds!r}") from None
    if not models:
        raise ValueError(f"--models names no network; try --models {DEFAULT_MODELS}")
    if min(args.devices, args.num_nodes, args.jobs, args.repeats) < 1:
        raise ValueError("--devices, --num-nodes, --jobs and --repeats are at least 1")
    if args.tune is not None:
        _check_tuning(recipe, args)
    for model in models:
        parse_model(model)
    if recipe.init == "imagenet":
        from models.imagenet import imagenet_networks

        imagenet_networks(models)  # refuses those without
    twice = [m for m in models if models.count(m) > 1] + [s for s in seeds if seeds.count(s) > 1]
    if twice:
        raise ValueError(f"{twice[0]} is named twice: name each model and seed once")
    if args.match or args.at:
        models = _matched(models, recipe, args)
    return [
        Trial(recipe, model, seed, args.out, repeat)
        for seed in seeds
        for repeat in range(args.repeats)
        for model in models
    ]


def _check_tuning(recipe: Recipe, args: argparse.Namespace) -> None:
    if args.tune < 2:
        raise ValueError(
            f"--tune is {args.tune}: the recipe's own values and one more are needed, so give at "
            "least 2"
        )
    if args.num_nodes > 1:
        raise ValueError("--tune chooses by results that one machine keeps: leave --num-nodes out")
    if recipe.tuned is not None:
        raise ValueError(f"recipe {recipe.name} is tuned already: leave --tune out")


def _matched(models: list[str], recipe: Recipe, args: argparse.Namespace) -> list[str]:
    """The networks at the widths that --match chooses for them, which it prints."""
    from rich.console import Console

    from experiments import match

    if not args.match:
        raise ValueError("--at is the size for --match: give that too, as --match gmacs=2.7")
    if recipe.init != "random":
        raise ValueError(
            f"--match changes widths, for which there are no weights of init={recipe.init}: "
            "leave it out, or start from random weights with --set init=random"
        )
    classes = open_data(recipe.data, recipe.train_split, args.data_root).labels.num_classes
    size = parse_size(args.at, "--at") if args.at else recipe.crop
    terms = match.parse_match(args.match, size, classes, recipe.precision, threads=threads(args))
    if terms.measured:
        if args.num_nodes > 1:
            raise ValueError(
                f"each machine may measure another width: match gmacs or params over "
                f"{args.num_nodes} machines, or choose with one and name the widths"
            )
        data_hash(recipe, args.data_root)  # what it refuses is refused before minutes of measuring
        check_writable(args.out)
    rows = match.plan(models, terms, kept=args.out / slug(recipe.name) / "match.json")
    if leads():
        match.show(rows, terms, Console(highlight=False))
    return [row["model"] for row in rows]


def threads(args: argparse.Namespace) -> int:
    processes: int = args.jobs * args.devices
    return max(1, (os.cpu_count() or 1) // processes)


def check_writable(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise ValueError(
            f"cannot write to {out.absolute()} ({error.strerror}): name another folder with --out"
        ) from None
