"""Runs what has not finished of a comparison's trials, each in a process of its own."""

from collections.abc import Sequence
from dataclasses import replace

from rich.console import Console

from experiments.comparison.request import ComparisonRequest, Rerun
from experiments.comparison.scheduler import run_processes
from experiments.comparison.trial_process import TrialProcess
from experiments.training.trial_request import request_of
from experiments.trials.atomic_io import check_writable
from experiments.trials.environment import is_main_node
from experiments.trials.trial import Action, Trial, action, comparison_id


def run(
    trials: Sequence[Trial], data: str, request: ComparisonRequest, console: Console
) -> list[TrialProcess]:
    """Run what has not finished of trials of the same data; returns those that were run.

    Args:
        data: the hash of their data.

    Raises:
        BusyError: another process holds a trial.
        ValueError: a folder that cannot be written or holds another trial, weights that are not
            there, or GPUs that cannot hold the trials.
    """
    if not trials:
        return []
    if trials[0].recipe.init == "imagenet":
        fetch_weights(trials, data, request.rerun)
    check_writable(request.out)
    todo = [trial for trial in trials if _prepare(trial, data, request.rerun)]
    if len(todo) < len(trials):
        kept = len(trials) - len(todo)
        console.print(f"{kept} of {len(trials)} trials are done already and kept")
    resources = replace(request.resources, group=group_of(trials))
    processes = [
        TrialProcess(trial, trial.identity(data), request_of(trial, resources).arguments())
        for trial in todo
    ]
    if processes:
        run_processes(processes, request.places(), resources.data_root, console)
    return processes


def group_of(trials: Sequence[Trial]) -> str:
    """Names the comparison in W&B."""
    return comparison_id(trial.identity().id for trial in trials)


def _prepare(trial: Trial, data: str, rerun: Rerun) -> bool:
    if not is_main_node():
        return action(trial.state(data), rerun) is not Action.KEEP
    with trial.lock():  # names whoever holds it before anything starts
        return trial.prepare(data, rerun)


def fetch_weights(trials: Sequence[Trial], data: str, rerun: Rerun) -> None:
    """Have here what the trials that will start anew need.

    Args:
        data: hash of their data.
        rerun: as of `Trial.prepare`.

    Raises:
        ValueError: what is lacking, and where it belongs.
    """
    from models.imagenet import fetch, imagenet_networks  # it brings torch

    models = dict.fromkeys(trial.model for trial in trials if _starts_anew(trial, data, rerun))
    lacking = []
    for network in imagenet_networks(models):
        try:
            fetch(network)
        except ValueError as error:
            lacking.append(str(error))
    if lacking:
        raise ValueError("; ".join(lacking))


def _starts_anew(trial: Trial, data: str, rerun: Rerun) -> bool:
    todo = action(trial.state(data), rerun)
    goes_on = todo is Action.RUN and any(trial.folder.glob("checkpoints/*.ckpt"))
    return todo is not Action.KEEP and not goes_on
