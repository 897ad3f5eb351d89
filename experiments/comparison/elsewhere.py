"""Runs what has not finished of a comparison's trials on a cluster, each as a job of its own."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from experiments.comparison.request import ComparisonRequest
from experiments.comparison.trial_job import TrialJob
from experiments.comparison.weights import fetch_weights
from experiments.engines.engine import run_jobs
from experiments.engines.opened import open_engine
from experiments.training.trial_request import request_of
from experiments.trials.folder_lock import held
from experiments.trials.trial import Action, Trial, action, group_of


def run(
    trials: Sequence[Trial], data: str, request: ComparisonRequest, console: Console
) -> list[TrialJob]:
    """Run what has not finished of trials of the same data; returns those that were run.

    What is done with a trial's folder waits until it is submitted: it may be running.

    Args:
        data: the hash of their data.

    Raises:
        BusyError: another command waits for their jobs.
        Detached: they are submitted, and nobody waits for them.
        ValueError: as of `launcher.run`, or the engine refuses them.
    """
    if not trials:
        return []
    if trials[0].recipe.init == "imagenet":
        fetch_weights(trials, data, request.rerun)
    actions = [(trial, action(trial.state(data), request.rerun)) for trial in trials]
    for trial, todo in actions:
        if todo is Action.REFUSE:
            trial.prepare(data, request.rerun)  # which says why
    jobs = trial_jobs([t for t, todo in actions if todo is not Action.KEEP], data, request)
    if len(jobs) < len(trials):
        console.print(f"{len(trials) - len(jobs)} of {len(trials)} trials are done and kept")
    if jobs:
        folder = engine_folder(trials[0], request)
        engine = open_engine(request.engine, request.job_size, folder)
        with held(folder, f"the queue of {trials[0].comparison_folder}"):
            run_jobs(engine, jobs, console, request.engine.detach)
    return jobs


def trial_jobs(
    trials: Sequence[Trial], data: str | None, request: ComparisonRequest
) -> list[TrialJob]:
    """Trials as jobs of another engine; `data` is None where nobody knows their hash yet."""
    resources = replace(request.resources, group=group_of(trials))
    jobs = []
    for trial in trials:
        identity = trial.identity(data)
        asked = replace(request_of(trial, resources), code=identity.hashes.code)
        jobs.append(TrialJob(trial, identity, request.rerun, arguments=asked.arguments()))
    return jobs


def engine_folder(trial: Trial, request: ComparisonRequest) -> Path:
    """Where an engine keeps what it has submitted of a comparison."""
    return trial.comparison_folder / request.engine.name
