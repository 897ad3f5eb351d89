"""Compare segmentation networks: same recipe, batches and protocol, with costs.

  python -m experiments.compare --models hrnet,deeplabv3p,unet

Every network and seed is a trial in a process of its own. What has finished is
kept and skipped; what was stopped goes on from its last checkpoint when the
same command is given again.
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datamodules import open_data
from datamodules.cache import open_fast
from datamodules.table import DATASETS
from experiments.recipe_text import load_recipe, parse_size
from experiments.recipes import RECIPES, Recipe, short_hash
from experiments.score import position_prior
from experiments.store import PRIOR, read_result, read_results, write_json
from experiments.trial import (
    BusyError,
    State,
    Trial,
    check_data,
    data_hash,
    leads,
    slug,
    stale_results,
)
from models import families, model_options, parse_model
from models.table import MODELS

if TYPE_CHECKING:
    from experiments.cells import Cell

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
    add("--match", metavar="KIND=VALUE", help="give each network the width that costs nearest to "
        "gmacs=2.7 (1e9 multiply-adds a forward pass), params=9.6 (millions), latency=40 (ms a "
        "forward pass of one image here) or train-time=0.5 (s a training step of two images "
        "here)")  # fmt: skip
    add("--at", metavar="HEIGHTxWIDTH", help="the image that --match counts or times (default: "
        "the recipe's crop, on which training runs)")  # fmt: skip
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
    if min(args.devices, args.num_nodes, args.jobs) < 1:
        raise ValueError("--devices, --num-nodes and --jobs are at least 1")
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
    return [Trial(recipe, model, seed, args.out) for seed in seeds for model in models]


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
    terms = match.parse_match(args.match, size, classes, recipe.precision, threads=_threads(args))
    if terms.measured:
        if args.num_nodes > 1:
            raise ValueError(
                f"each machine may measure another width: match gmacs or params over "
                f"{args.num_nodes} machines, or choose with one and name the widths"
            )
        data_hash(recipe, args.data_root)  # what it refuses is refused before minutes of measuring
        _check_writable(args.out)
    rows = match.plan(models, terms, kept=args.out / slug(recipe.name) / "match.json")
    if leads():
        match.show(rows, terms, Console(highlight=False))
    return [row["model"] for row in rows]


def _threads(args: argparse.Namespace) -> int:
    processes: int = args.jobs * args.devices
    return max(1, (os.cpu_count() or 1) // processes)


def _compare(trials: list[Trial], args: argparse.Namespace) -> int:
    from rich.console import Console

    from experiments.cells import Cell, run_cells

    console = Console(highlight=False)
    recipe = trials[0].recipe
    args.group = short_hash([trial.id() for trial in trials])
    _check_data(recipe, args.data_root, console)
    data = data_hash(recipe, args.data_root)
    if recipe.init == "imagenet":
        _fetch_weights(trials, data, args.rerun)
    _check_writable(args.out)
    todo = [trial for trial in trials if _prepare(trial, data, args.rerun)]
    if len(todo) < len(trials):
        kept = len(trials) - len(todo)
        console.print(f"{kept} of {len(trials)} trials are done already and kept")
    cells = [Cell(trial, trial.identity(data), _command(trial, args)) for trial in todo]
    if cells:
        run_cells(cells, jobs=args.jobs, threads=_threads(args), console=console)
    failed = any(cell.state != "done" for cell in cells)
    if leads():
        _show(trials, cells, args, console, data)
    return int(failed)


def _check_data(recipe: Recipe, root: Path | None, console: Any) -> None:
    """Read the data set once, if it has not been read as it is now, and say what to know of it."""
    from experiments.data import shown_progress

    with shown_progress("images") as progress:
        found = check_data(recipe, root, progress)
    for name, split in found.splits.items():
        open_fast(recipe.data, name, root, split.fingerprint)  # a stale copy is refused here
    if leads():
        for finding in found.findings:
            console.print(f"data: {finding}", style="yellow", markup=False)


def _fetch_weights(trials: list[Trial], data: str, rerun: str) -> None:
    """Have the files of ImageNet weights here before any cell starts that needs them."""
    from models.imagenet import fetch, imagenet_networks

    kept = (State.DONE, State.STALE) if rerun == "failed" else ()
    goes_on = (State.STARTED, State.FAILED) if rerun != "all" else ()
    models = dict.fromkeys(
        trial.model
        for trial in trials
        if (state := trial.state(data)) not in kept
        and not (state in goes_on and any(trial.folder.glob("checkpoints/*.ckpt")))
    )
    lacking = []
    for network in imagenet_networks(models):
        try:
            fetch(network)
        except ValueError as error:
            lacking.append(str(error))
    if lacking:
        raise ValueError("; ".join(lacking))


def _prepare(trial: Trial, data: str, rerun: str) -> bool:
    if not leads():
        return trial.state(data) not in (State.DONE, State.STALE)
    with trial.lock():  # names whoever holds it before anything starts
        return trial.prepare(data, rerun)


def _check_writable(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise ValueError(
            f"cannot write to {out.absolute()} ({error.strerror}): name another folder with --out"
        ) from None


def _command(trial: Trial, args: argparse.Namespace) -> list[str]:
    command = ["--model", trial.model, "--recipe", args.recipe, "--seed", str(trial.seed)]
    for change in args.changes:
        command += ["--set", change]
    for flag, value in {
        "--data": args.data,
        "--data-root": args.data_root,
        "--devices": args.devices,
        "--num-nodes": args.num_nodes,
        "--out": args.out,
        "--wandb": args.wandb,
        "--group": args.group,
    }.items():
        if value is not None:
            command += [flag, str(value)]
    return command


def _show(
    trials: list[Trial], cells: "list[Cell]", args: argparse.Namespace, console: Any, data: str
) -> None:
    """Tables on the terminal, report.html, and the comparison's own W&B run."""
    from experiments import report, table
    from experiments.panel import make_panel

    recipe = trials[0].recipe
    found = [read_result(trial.result_path) for trial in trials]
    results = [result for result in found if result is not None]
    scored = args.out / slug(recipe.name) / "scored"  # predictions from elsewhere
    results += read_results(scored) if scored.is_dir() else []
    stale = stale_results(results)
    for part in table.tables(results, stale):
        console.print(part)
    if stale:
        console.print("* made by other code than is here now; --rerun stale does it again")
    for cell in cells:
        if cell.state != "done":
            console.print(f"{cell.name} {cell.state}: {cell.note}", markup=False)
    if not any(result.done for result in results):
        return
    prior = _prior(recipe, args, data)
    console.print(f"position prior (no image needed): mIoU {100 * prior['miou']:.1f} %")
    page = args.out / slug(recipe.name) / "report.html"
    panel = make_panel(results, args.data_root)
    report.write_report(results, page, stale=stale, prior=prior, panel=panel)
    console.print(f"report: {page}", soft_wrap=True, highlight=False)
    if cells and args.wandb != "off":
        from experiments import mirror

        mirror.comparison(results, args.out, args.wandb, args.group)


def _prior(recipe: Recipe, args: argparse.Namespace, data: str) -> dict[str, Any]:
    """Scores of the most frequent training class at each position; kept for the next call."""
    path = args.out / slug(recipe.name) / PRIOR
    if path.is_file():
        kept: dict[str, Any] = json.loads(path.read_text())
        if kept["data"] == data:
            return kept
    splits = (recipe.train_split, recipe.test_split)
    train, test = (open_data(recipe.data, split, args.data_root) for split in splits)
    prior = {**position_prior(train, test).metrics(), "data": data}
    write_json(path, prior)
    return prior


def _dry_run(trials: list[Trial], args: argparse.Namespace) -> int:
    """What would run, and what it would cost by one timed step of each network here."""
    from rich.console import Console

    from experiments import cost, table

    data = data_hash(trials[0].recipe, args.data_root)
    console, recipe = Console(), trials[0].recipe
    console.print("counting operations and timing one training step of each network ...")
    classes = open_data(recipe.data, recipe.train_split, args.data_root).labels.num_classes
    estimates = {m: cost.estimate(m, recipe, classes) for m in {t.model: 0 for t in trials}}
    states = [(trial, trial.state(data)) for trial in trials]
    console.print(table.plan_table([(t, s.value, estimates[t.model]) for t, s in states]))
    left = sum(
        estimates[t.model]["train_hours"] for t, s in states if s not in (State.DONE, State.STALE)
    )
    console.print(f"about {left / args.jobs:.2g} h of training left, {args.jobs} at a time")
    return 0


if __name__ == "__main__":
    sys.exit(main())
