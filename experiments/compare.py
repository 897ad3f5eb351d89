"""The main command: runs the trials of a comparison and shows what came of them."""

import argparse
import sys
from pathlib import Path

from datamodules.registry import DATASETS
from experiments.comparison.request import DEFAULT_MODELS, ComparisonRequest
from experiments.recipes import RECIPES
from experiments.training.trial_request import Resources
from experiments.trials.command import process_of_trials
from experiments.trials.recipe import RecipeRequest
from models import families, model_options
from models.registry import MODELS


def main(argv: list[str] | None = None) -> int:
    """0 when every trial has a result, 1 when one failed, 2 for a wrong request, 130 if stopped
    by Ctrl-C, 143 by SIGTERM."""
    args = parser().parse_args(argv)
    if args.list:
        print(listing())
        return 0
    # `--help` and `--list` do without pydantic, rich and what else these bring.
    from rich.console import Console

    from experiments.comparison.comparison_runner import run_comparison
    from experiments.comparison.dry_run import print_plan
    from experiments.comparison.presentation import show
    from experiments.trials.trial import BusyError

    try:
        with process_of_trials(args.num_nodes):
            request = request_of(args)
            if args.dry_run:
                print_plan(request, Console())
                return 0
            console = Console(highlight=False)
            ended = run_comparison(request, console)
            show(ended, request, console)
            return int(bool(ended.notes))
    except (ValueError, BusyError, OSError) as error:
        print(error, file=sys.stderr)
        return 2


def request_of(args: argparse.Namespace) -> ComparisonRequest:
    """What the arguments ask for.

    Raises:
        ValueError: a text that is no list of seeds.
    """
    try:
        seeds = tuple(int(text) for text in args.seeds.split(","))
    except ValueError:
        raise ValueError(f"--seeds takes whole numbers as 0,1,2; got {args.seeds!r}") from None
    return ComparisonRequest(
        models=tuple(text.strip() for text in args.models.split(",") if text.strip()),
        recipe=RecipeRequest(args.recipe, tuple(args.changes), args.data),
        match=args.match,
        at=args.at,
        seeds=seeds,
        repeats=args.repeats,
        tune=args.tune,
        jobs=args.jobs,
        out=args.out,
        rerun=args.rerun,
        allow_mixed=args.allow_mixed,
        verify=args.verify,
        resources=Resources(
            data_root=args.data_root,
            devices=args.devices,
            num_nodes=args.num_nodes,
            wandb=args.wandb,
        ),
    )


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
        help="goes before WANDB_MODE (default: WANDB_MODE, else online with an account, else "
        "offline)")  # fmt: skip
    add("--rerun", choices=("failed", "stale", "all"), default="failed",
        help="what to do again: failed trials (default), also those made by other code or "
        "another recipe, or all")  # fmt: skip
    add("--verify", type=int, nargs="?", const=50, metavar="K", help="train the first K steps of "
        "every finished trial again (50 without a number) and compare the losses")  # fmt: skip
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


if __name__ == "__main__":
    sys.exit(main())
