"""Tasks sent to the queue of SLURM as arrays, by submitit: all of them, or none."""

import contextlib
import io
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.engines.request import JobSize
from experiments.engines.slurm_queue import cancel, largest_array, sees
from experiments.engines.slurm_settings import SlurmSettings
from experiments.trials.atomic_io import write_text

if TYPE_CHECKING:  # submitit is there only where it was asked for
    from submitit import SlurmExecutor

    from experiments.engines.slurm_task import SlurmTask

_JOBS = "jobs"  # folder of what submitit keeps: tasks, scripts and logs
_PLACES = ("partition", "account", "qos", "constraint", "reservation", "nodelist", "exclude")
_PROBE = 20  # seconds to wait for a node that looks; a full cluster has none, and jobs will tell


def submit(
    tasks: Sequence["SlurmTask"],
    settings: SlurmSettings,
    size: JobSize,
    folder: Path,
    after: str = "",
) -> list[str]:
    """Their ids, as the queue shows them.

    Args:
        folder: of the engine; what is new of it is taken away if nothing is sent.
        after: what has to have ended first, as `afterok:12`.

    Raises:
        ValueError: SLURM refuses them; none is left in the queue.
    """
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    ids, most = list[str](), largest_array()
    new = next((one for one in (folder, folder / _JOBS) if not one.exists()), None)
    try:
        for first in range(0, len(tasks), most):
            executor = _executor(settings, size, folder, after)
            # What sbatch complains of is said once, below.
            with contextlib.redirect_stderr(io.StringIO()), executor.batch():
                sent = [executor.submit(task) for task in tasks[first : first + most]]
            ids += [job.job_id for job in sent]
    except BaseException as error:
        cancel(ids)
        if new is not None:
            shutil.rmtree(new, ignore_errors=True)
        if isinstance(error, FailedJobError | FailedSubmissionError):
            raise ValueError(f"SLURM refuses the jobs: {_sentence(error)}") from None
        raise
    return ids


def check_shared(settings: SlurmSettings, folder: Path) -> None:
    """Have a node look for a file that this machine writes.

    Raises:
        ValueError: it does not see it.
    """
    new, probe = not folder.exists(), folder / "probe"
    write_text(probe, "")
    where = [f"--{k}={v}" for k, v in settings.options.items() if k in _PLACES]
    seen = sees(probe, where, _PROBE)
    probe.unlink()
    if new:
        folder.rmdir()
    if seen is False:
        raise ValueError(
            f"the nodes of the cluster do not see {folder.absolute()}: name an --out on a file "
            "system that they share with this machine"
        )


def script(num_tasks: int, settings: SlurmSettings, size: JobSize, folder: Path) -> str:
    """What sbatch is given for so many tasks, of the first array if there are several."""
    executor = _executor(settings, size, folder, "")
    if num_tasks > 1:
        executor.parameters["map_count"] = min(num_tasks, largest_array())
    return executor._make_submission_file_text(executor._submitit_command_str, "")


def _executor(settings: SlurmSettings, size: JobSize, folder: Path, after: str) -> "SlurmExecutor":
    from submitit import SlurmExecutor

    several = size.num_nodes > 1
    executor = SlurmExecutor(folder / _JOBS, max_num_timeout=settings.requeues + 1)
    executor.update_parameters(
        job_name="segmentation-lab",
        time=settings.minutes,
        nodes=size.num_nodes,
        # Of one machine Lightning starts the processes of a trial itself, of several srun does.
        ntasks_per_node=size.devices if several else 1,
        array_parallelism=settings.parallel or 1_000_000,
        stderr_to_stdout=True,
        setup=["export SUBMITIT_PREEMPT_SIGNAL=USR1"],  # which it waits for in the job
        dependency=after or None,
        additional_parameters={
            # sbatch takes `--exclusive` alone where it is told `exclusive=yes`.
            **{name: True if value == "yes" else value for name, value in settings.options.items()},
            "time": settings.time,
            "signal": f"USR1@{settings.signal}",
            "requeue": True,
            **({"kill-on-invalid-dep": "yes"} if after else {}),
        },
    )
    return executor


def _sentence(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = [line.removeprefix("sbatch: error: ") for line in lines] or ["it does not say why"]
    return "; ".join(said)
