"""The data set read by jobs of a cluster, ahead of the trials that wait for them."""

from collections.abc import Sequence
from functools import partial

from rich.console import Console

from datamodules.validation.check import is_checked
from experiments.comparison.elsewhere import trial_jobs
from experiments.comparison.request import ComparisonRequest
from experiments.engines.command_job import command_job
from experiments.engines.engine import run_jobs
from experiments.engines.slurm import SlurmEngine
from experiments.trials.folder_lock import held
from experiments.trials.trial import Trial


def read_ahead(trials: Sequence[Trial], request: ComparisonRequest, console: Console) -> None:
    """Have jobs check the data set and write its decoded copy, where it was not read as it is now.

    Trials wait for them in the queue, if all of them are new; others are looked at when the data
    are known.

    Raises:
        BusyError: another command waits for the jobs.
        Detached: everything is submitted, and nobody waits for it.
        ValueError: data that are refused, or jobs.
    """
    recipe, root = trials[0].recipe, request.resources.data_root
    splits = list(dict.fromkeys((recipe.train_split, recipe.val_split, recipe.test_split)))
    looked = partial(is_checked, recipe.data, root, splits)
    if request.engine.name != "slurm" or looked():
        return
    folder = trials[0].comparison_folder / request.engine.name
    asked = [recipe.data, *(["--data-root", str(root)] if root else [])]
    asked += [word for split in splits for word in ("--split", split)]
    check = command_job("data check", ["experiments.data", "check", *asked], folder)
    check.is_done = looked
    copy = command_job("data copy", ["experiments.data", "cache", *asked], folder)
    engine = SlurmEngine.open(request.engine, request.job_size, folder)
    behind = trial_jobs(trials, None, request)
    with held(folder, f"the queue of {trials[0].comparison_folder}"):
        if status := engine.failed(check):  # nobody waited for it
            check.end(status)
        else:
            engine.submit([check])
            first = engine.id_of(check)
            engine.submit([copy], f"afterok:{first}")
            if not (request.tune or any(trial.folder.exists() for trial in trials)):
                engine.submit(behind, f"afterok:{first},afterany:{engine.id_of(copy)}")
            console.print(f"job {first} checks the data set; what follows waits for it")
            run_jobs(engine, [check], console, request.engine.detach)
        if check.complaint:
            engine.forget([check, copy, *behind])
            raise ValueError(f"{check.complaint}; see {check.log}")
