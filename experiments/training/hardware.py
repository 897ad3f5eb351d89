"""What the machine of a trial is, how much of it a trial takes, and who starts its processes."""

import os
import sys

import lightning
import timm
import torch
from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment

from experiments.costs.device import hardware, has_bf16, this_device
from experiments.trials.environment import num_jobs
from experiments.trials.launch import here
from experiments.trials.result_types import Environment


def environment_now(started: Environment, processes: int) -> Environment:
    """Where a trial ran, to be compared and not to be refused."""
    device = this_device()
    gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else None
    return started.model_copy(
        update={
            "torch": str(torch.__version__),
            "lightning": lightning.__version__,
            "timm": timm.__version__,
            "device": gpu or f"{torch.get_num_threads()} CPU threads",
            "hardware": hardware(device),
            "threads": torch.get_num_threads(),
            "jobs": num_jobs(),
            "processes": processes,
        }
    )


def reading_processes(devices: int) -> int:
    """For each training process: as many as there are cores that no training takes.

    Where there are none, crops are made in step: a reader beside a network that has all cores
    costs more than it saves. A GPU has one at least, which works while the GPU does.
    """
    cores = (os.cpu_count() or 1) // (devices * num_jobs())
    if torch.cuda.is_available():
        return min(8, max(1, cores - 1))
    return min(8, max(0, cores - torch.get_num_threads()))


def cluster_environment() -> ClusterEnvironment:
    """What Lightning asks for the place of this process, which it does not find out itself."""
    if here().launcher == "torchrun":
        return TorchElasticEnvironment()
    if here().launcher == "srun":
        return SLURMEnvironment(auto_requeue=False)
    return LightningEnvironment()


def warn_emulated(precision: str) -> None:
    """Say that this machine only imitates the recipe's precision."""
    if precision == "bf16-mixed" and not has_bf16():
        print(
            "warning: this hardware only emulates bf16, which is slower than fp32; "
            "the numbers stay the recipe's (--set precision=32-true is another recipe)",
            file=sys.stderr,
        )
