"""What follows a search of `--tune` on a cluster that nobody waits for."""

from collections.abc import Sequence

from rich.console import Console

from experiments.comparison.request import ComparisonRequest
from experiments.comparison.tuning import studies_of
from experiments.engines.command_job import command_job
from experiments.engines.request import JobSize
from experiments.engines.slurm import SlurmEngine
from experiments.trials.folder_lock import held
from experiments.trials.trial import Trial


def go_on_later(trials: Sequence[Trial], request: ComparisonRequest, console: Console) -> None:
    """Have a job give the same command again, once the search that it has submitted has ended."""
    if not request.tune or request.engine.name != "slurm":
        return
    candidate = studies_of(trials, request.tune)[0].candidates[0]
    search = SlurmEngine.open(request.engine, JobSize(), candidate.comparison_folder / "slurm")
    if not (ids := search.live()):
        return
    folder = trials[0].comparison_folder / "slurm"
    engine = SlurmEngine.open(request.engine, JobSize(), folder)
    again = command_job("next step", ["experiments.compare", *request.command], folder)
    with held(folder, f"the queue of {trials[0].comparison_folder}"):
        engine.submit([again], f"afterany:{':'.join(ids)}")
        console.print(f"job {engine.id_of(again)} goes on with what the search chooses")
