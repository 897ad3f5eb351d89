"""What a comparison is asked for, checked, and its trials."""

import argparse
import os

from datamodules import open_data
from experiments.trials.atomic_io import check_writable
from experiments.trials.data_check import data_hash
from experiments.trials.environment import is_main_node
from experiments.trials.overrides import load_recipe, parse_size
from experiments.trials.recipe import Recipe
from experiments.trials.trial import Trial, slug
from models import parse_model

DEFAULT_MODELS = "hrnet,deeplabv3p,unet"


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

    from experiments.costs.tables import print_match
    from experiments.costs.width_search import match_networks, parse_match

    if not args.match:
        raise ValueError("--at is the size for --match: give that too, as --match gmacs=2.7")
    if recipe.init != "random":
        raise ValueError(
            f"--match changes widths, for which there are no weights of init={recipe.init}: "
            "leave it out, or start from random weights with --set init=random"
        )
    classes = open_data(recipe.data, recipe.train_split, args.data_root).labels.num_classes
    size = parse_size(args.at, "--at") if args.at else recipe.crop
    budget = parse_match(args.match, size, classes, recipe.precision, threads=threads(args))
    if budget.measured:
        if args.num_nodes > 1:
            raise ValueError(
                f"each machine may measure another width: match gmacs or params over "
                f"{args.num_nodes} machines, or choose with one and name the widths"
            )
        data_hash(recipe, args.data_root)  # what it refuses is refused before minutes of measuring
        check_writable(args.out)
    rows = match_networks(models, budget, kept=args.out / slug(recipe.name) / "match.json")
    if is_main_node():
        print_match(rows, budget, Console(highlight=False))
    return [row.model for row in rows]


def threads(args: argparse.Namespace) -> int:
    processes: int = args.jobs * args.devices
    return max(1, (os.cpu_count() or 1) // processes)
