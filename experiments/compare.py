"""The main command: runs the trials of a comparison and shows what came of them."""

import argparse
import sys
from pathlib import Path
from typing import Any

from datamodules.loading.cache import open_cached
from datamodules.registry import DATASETS
from experiments.comparison import launcher, tuning
from experiments.comparison.plan import DEFAULT_MODELS, plan
from experiments.comparison.presentation import dry_run, scored, show
from experiments.recipes import RECIPES
from experiments.trials.comparability import check_comparable
from experiments.trials.data_check import check_data, data_hash
from experiments.trials.environment import is_main_node
from experiments.trials.recipe import Recipe
from experiments.trials.results import TrialResult
from experiments.trials.trial import BusyError, Trial
from models import families, model_options
from models.registry import MODELS


def main(argv: list[str] | None = None) -> int:
    """0 when every trial has a result, 1 when one failed, 2 for a wrong request, 130 if stopped."""
    args = parser().parse_args(argv)
    if args.list:
        print(listing())
        return 0
    try:
        trials = plan(args)
        if args.dry_run:
            return dry_run(trials, args)
        return _compare(trials, args)
    except (ValueError, BusyError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstopped; nothing is lost: the same command goes on from here", file=sys.stderr)
        return 130


def _compare(trials: list[Trial], args: argparse.Namespace) -> int:
    from rich.console import Console

    console = Console(highlight=False)
    _check_data(trials[0].recipe, args.data_root, console)
    data = data_hash(trials[0].recipe, args.data_root)
    _check_scored(trials[0], data, args)
    untrained: dict[Trial, str] = {}
    if args.tune:
        tuned = tuning.tune(
            trials, args.tune, lambda some: launcher.run(some, args, console), console, args.rerun
        )
        untrained = {trial: reason for trial, reason in tuned.items() if reason is not None}
        trials = [one for pair in zip(trials, tuned, strict=True) for one in pair]
    for trial, reason in untrained.items():
        launcher.fail(trial, data, reason, args.rerun)
    cells = launcher.run([trial for trial in trials if trial not in untrained], args, console)
    notes = [f"{trial.name} failed: {reason}" for trial, reason in untrained.items()]
    notes += [
        f"{cell.trial.name} {cell.state}: {cell.note}" for cell in cells if cell.state != "done"
    ]
    if is_main_node():
        show(trials, notes, args, console, data, mirrored=bool(cells))
    return int(bool(notes))


def _check_data(recipe: Recipe, root: Path | None, console: Any) -> None:
    """Read the data set once, if it has not been read as it is now, and say what to know of it."""
    from experiments.reporting.progress_bar import shown_progress

    with shown_progress("images") as progress:
        found = check_data(recipe, root, progress)
    for name, split in found.splits.items():
        open_cached(recipe.data, name, root, split.fingerprint)  # a stale copy is refused here
    if is_main_node():
        for finding in found.findings:
            console.print(f"data: {finding}", style="yellow", markup=False)


def _check_scored(trial: Trial, data: str, args: argparse.Namespace) -> None:
    """Refuse predictions from elsewhere that no table can show with the trials, before these run.

    Raises:
        ValueError: as `check_comparable`.
    """
    if not args.allow_mixed:
        recipe = trial.recipe
        splits = check_data(recipe, args.data_root).splits
        prints = {name: split.fingerprint for name, split in splits.items()}
        about = {"name": recipe.data, "split": recipe.test_split, "fingerprints": prints}
        ours = {**trial.identity(data), "status": "done", "data": about}
        check_comparable([TrialResult(trial.result_path, ours), *scored(trial)])


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


if __name__ == "__main__":
    sys.exit(main())
