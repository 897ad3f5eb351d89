"""What a cluster does ahead of the trials, so that the machine of the command need not do it."""

from rich.console import Console

from datamodules import dataset_info
from experiments.comparison.data_job import DataJob
from experiments.comparison.elsewhere import engine_folder, trial_jobs
from experiments.comparison.plan import plan
from experiments.comparison.request import ComparisonRequest
from experiments.engines.engine import run_jobs
from experiments.engines.slurm import SlurmEngine
from experiments.trials.folder_lock import held


def read_ahead(request: ComparisonRequest, console: Console) -> None:
    """Have jobs check the data set and write its decoded copy, where it was not read as it is now.

    Trials wait for them in the queue, if all of them are new; others are looked at when the data
    are known.

    Raises:
        BusyError: another command waits for the jobs.
        Detached: everything is submitted, and nobody waits for it.
        ValueError: a request that is refused, or data that are.
    """
    trials = plan(request)
    recipe, root = trials[0].recipe, request.resources.data_root
    folder = engine_folder(trials[0], request)
    check, copy = (DataJob(what, recipe, root, folder) for what in ("check", "cache"))
    if request.engine.name != "slurm" or dataset_info(recipe.data) is None or check.settle():
        return
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
