"""Compare segmentation networks: same recipe, same batches, same protocol, cost beside accuracy.

  python -m experiments.compare --models hrnet,deeplabv3p,unet

Every network and seed is a trial in a process of its own. What has finished is kept and skipped;
what was stopped goes on from its last checkpoint when the same command is given again.
"""

import argparse
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from datamodules.table import DATASETS
from experiments.recipes import RECIPES, Recipe, load_recipe
from experiments.store import Result, write_json
from experiments.trial import BusyError, State, Trial
from models import model_options, parse_model
from models.table import MODELS

DEFAULT_MODELS = "hrnet,deeplabv3p,unet"


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="python -m experiments.compare",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = p.add_argument
    add("--models", default=DEFAULT_MODELS, help="commas between (default: %(default)s)")
    add("--recipe", default="demo", help="name, or file.py:function (default: demo)")
    add("--set", action="append", default=[], dest="changes", metavar="FIELD=VALUE",
        help="change a field of the recipe, as lr=0.02; may be repeated")  # fmt: skip
    add("--data", help="another data set, as streets:height=192:width=256")
    add("--data-root", type=Path, metavar="DIR", help="folder that holds the data set")
    add("--seeds", default="0", help="as 0,1,2: a trial for each (default: 0)")
    add("--devices", type=int, default=1, metavar="N", help="processes a trial (default: 1)")
    add("--num-nodes", type=int, default=1, metavar="N", help="machines a trial (default: 1)")
    add("--jobs", type=int, default=1, metavar="N", help="trials at a time (default: 1)")
    add("--out", type=Path, default=Path("runs"), metavar="DIR", help="(default: runs)")
    add("--wandb", choices=("online", "offline", "off"),
        help="(default: online with an account, else offline)")  # fmt: skip
    add("--rerun", choices=("failed", "stale", "all"), default="failed",
        help="what to do again: failed trials (default), also those made by other code or "
        "another recipe, or all")  # fmt: skip
    add("--dry-run", action="store_true", help="print the plan and its cost, run nothing")
    add("--list", action="store_true", help="print models, recipes and data sets")
    return p


def main(argv: list[str] | None = None) -> int:
    """0 when every trial has a result, 1 when one failed, 2 for a wrong request, 130 if stopped."""
    args = parser().parse_args(argv)
    if args.list:
        print(listing())
        return 0
    try:
        trials = plan(args)
        if args.dry_run:
            return _dry_run(trials, args)
        return _compare(trials, args)
    except (ValueError, BusyError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstopped; nothing is lost: the same command goes on from here", file=sys.stderr)
        return 130


def listing() -> str:
    """Models with their options, recipes with their first line, data sets."""
    lines = ["models (options)"]
    for name in MODELS:
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
    if min(args.devices, args.num_nodes, args.jobs) < 1:
        raise ValueError("--devices, --num-nodes and --jobs are at least 1")
    for model in models:
        parse_model(model)
    twice = [m for m in models if models.count(m) > 1] + [s for s in seeds if seeds.count(s) > 1]
    if twice:
        raise ValueError(f"{twice[0]} is named twice: name each model and seed once")
    return [Trial(recipe, model, seed, args.out) for seed in seeds for model in models]


def _compare(trials: list[Trial], args: argparse.Namespace) -> int:
    from rich.console import Console

    from experiments.cells import Cell, run_cells

    console = Console()
    recipe = trials[0].recipe
    data = data_hash(recipe, args.data_root)
    _check_writable(args.out)
    leader = int(os.environ.get("NODE_RANK", "0")) == 0  # others only lend their processors
    cells = []
    for trial in trials:
        state = trial.state(data)
        if _redo(state, args.rerun):
            with trial.lock():
                trial.clear()
        elif state in (State.OTHER, State.STALE_START):
            raise ValueError(trial.explain(state))
        if state not in (State.DONE, State.STALE) or _redo(state, args.rerun):
            if leader:
                with trial.lock():  # names whoever holds it before anything starts
                    pass
            cells.append(Cell(trial, _command(trial, args)))
    done = len(trials) - len(cells)
    if done:
        console.print(f"{done} of {len(trials)} trials are done already and kept", highlight=False)
    if cells:
        threads = max(1, (os.cpu_count() or 1) // (args.jobs * args.devices))
        run_cells(cells, jobs=args.jobs, threads=threads, console=console)
    if not leader:
        return int(any(cell.state != "done" for cell in cells))
    held = [cell for cell in cells if cell.state == "held"]
    return _show(trials, args, console, new=bool(cells), data=data) or int(bool(held))


def _redo(state: State, rerun: str) -> bool:
    again = {
        "failed": (State.FAILED,),
        "stale": (State.FAILED, State.STALE, State.OTHER, State.STALE_START),
        "all": tuple(set(State) - {State.NEW, State.STARTED}),
    }
    return state in again[rerun]
