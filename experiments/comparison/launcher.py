"""Runs what has not finished of a comparison's trials, each in a process of its own."""

import argparse
from typing import Any

from experiments.comparison.plan import threads
from experiments.comparison.scheduler import TrialProcess, run_cells
from experiments.trials.atomic_io import check_writable, write_json
from experiments.trials.data_check import data_hash
from experiments.trials.environment import is_main_node
from experiments.trials.hashing import short_hash
from experiments.trials.overrides import changes, load_recipe
from experiments.trials.trial import State, Trial


def run(trials: list[Trial], args: argparse.Namespace, console: Any) -> list[TrialProcess]:
    """Run what has not finished of trials of the same data; returns those that were run."""
    if not trials:
        return []
    data = data_hash(trials[0].recipe, args.data_root)
    if trials[0].recipe.init == "imagenet":
        _fetch_weights(trials, data, args.rerun)
    check_writable(args.out)
    todo = [trial for trial in trials if _prepare(trial, data, args.rerun)]
    if len(todo) < len(trials):
        kept = len(trials) - len(todo)
        console.print(f"{kept} of {len(trials)} trials are done already and kept")
    group = group_of(trials)
    cells = [
        TrialProcess(trial, trial.identity(data), _command(trial, args, group)) for trial in todo
    ]
    if cells:
        run_cells(cells, jobs=args.jobs, threads=threads(args), console=console)
    return cells


def group_of(trials: list[Trial]) -> str:
    """Names the comparison in W&B."""
    return short_hash(sorted(trial.id() for trial in trials))


def fail(trial: Trial, data: str, reason: str, rerun: str = "failed") -> None:
    """Leave a failed result of a trial that cannot be run, unless a finished one is kept.

    Raises:
        ValueError: as `Trial.prepare`.
    """
    with trial.lock():
        if trial.prepare(data, rerun):
            identity = trial.identity(data)
            write_json(trial.result_path, {**identity, "status": "failed", "reason": reason})


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
    if not is_main_node():
        return trial.state(data) not in (State.DONE, State.STALE)
    with trial.lock():  # names whoever holds it before anything starts
        return trial.prepare(data, rerun)


def _command(trial: Trial, args: argparse.Namespace, group: str) -> list[str]:
    command = ["--model", trial.model, "--recipe", args.recipe, "--seed", str(trial.seed)]
    asked = load_recipe(args.recipe, args.changes, args.data)
    own = changes(asked, trial.recipe)  # what tuning changes
    for change in (*args.changes, *own):
        command += ["--set", change]
    for flag, value in {
        "--name": trial.recipe.name if own else None,
        "--repeat": trial.repeat or None,
        "--data": args.data,
        "--data-root": args.data_root,
        "--devices": args.devices,
        "--num-nodes": args.num_nodes,
        "--out": trial.out,
        "--wandb": args.wandb,
        "--group": group,
    }.items():
        if value is not None:
            command += [flag, str(value)]
    return command
