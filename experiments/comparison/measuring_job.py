"""All networks of a comparison timed by one job of a cluster that has a node for itself."""

from dataclasses import replace

from rich.console import Console

from experiments.comparison.collected import EndedComparison
from experiments.comparison.request import ComparisonRequest
from experiments.engines.command_job import command_job
from experiments.engines.engine import run_jobs
from experiments.engines.request import JobSize
from experiments.engines.slurm import SlurmEngine
from experiments.trials.folder_lock import held
from experiments.trials.results import finished


def measure_on_one(ended: EndedComparison, request: ComparisonRequest, console: Console) -> bool:
    """Have the latency of all finished trials taken again, one after the other.

    Returns:
        Whether results were renewed; not if that was done before.

    Raises:
        BusyError: another command waits for the comparison's jobs.
        Detached: the job is submitted, and nobody waits for it.
        ValueError: SLURM refuses the job, or a network cannot be measured there.
    """
    timed = [result.cost for result in finished(ended.results) if result.cost]
    if request.measure_on is None or not timed or all(cost.hardware for cost in timed):
        return False
    out = ended.trials[0].comparison_folder
    told = dict(request.engine.settings) | {"exclusive": "yes"} | dict(request.measure_on)
    asked = replace(request.engine, settings=tuple(told.items()))
    engine = SlurmEngine.open(asked, JobSize(), out / "slurm")
    job = command_job("times", ["experiments.cost", "--again", str(out)], out / "slurm")
    with held(out / "slurm", f"the queue of {out}"):
        run_jobs(engine, [job], console, request.engine.detach)
    if job.complaint:
        raise ValueError(f"{job.complaint}; see {job.log}")
    return True
