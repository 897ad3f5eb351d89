"""Runs what has not finished of a comparison's trials, each in a process of its own."""

from collections.abc import Sequence
from dataclasses import replace

from rich.console import Console

from experiments.comparison.request import ComparisonRequest
from experiments.comparison.scheduler import run_processes
from experiments.comparison.trial_process import TrialProcess
from experiments.comparison.weights import fetch_weights
from experiments.training.trial_request import request_of
from experiments.trials.atomic_io import check_writable
from experiments.trials.environment import is_main_node
from experiments.trials.trial import Action, Rerun, Trial, action, group_of


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
        TrialProcess(
            trial, trial.identity(data), arguments=request_of(trial, resources).arguments()
        )
        for trial in todo
    ]
    if processes:
        run_processes(processes, request.places(), resources.data_root, console)
    return processes


def _prepare(trial: Trial, data: str, rerun: Rerun) -> bool:
    if not is_main_node():
        return action(trial.state(data), rerun) is not Action.KEEP
    with trial.lock():  # names whoever holds it before anything starts
        return trial.prepare(data, rerun)
