"""The engine of a request; its library is imported when it is asked for."""

from pathlib import Path

from experiments.engines.engine import Engine
from experiments.engines.job import Job
from experiments.engines.request import EngineRequest, JobSize


def open_engine(request: EngineRequest, size: JobSize, folder: Path) -> Engine[Job]:
    """An engine that runs jobs elsewhere.

    Args:
        size: what each job takes.
        folder: where it keeps what it has submitted; shared by all machines where they share one.

    Raises:
        ValueError: its library or its cluster is not there, or it knows no such setting.
    """
    if request.name == "slurm":
        from experiments.engines.slurm import SlurmEngine

        return SlurmEngine.open(request, size, folder)
    from experiments.engines.ray_engine import RayEngine

    return RayEngine.open(request, size, folder)
