"""Why a trial has failed: its kind, and one sentence.

The process that keeps the folder of a trial writes its failure as the result. Another rank, which
may fail alone and then end the others, leaves a small file beside it for whoever waits for them.
"""

from pathlib import Path

from datamodules.labels import DataError
from experiments.trials.environment import global_rank
from experiments.trials.result_types import Failure, FailureKind
from experiments.trials.results import read_record, write_record


def failure_of(error: Exception) -> Failure:
    """What an error of training, prediction or scoring amounts to."""
    kind = _kind(error)
    text = str(error)
    if "Original Traceback" in text:  # of a process that reads: the error is its last line
        text = text.strip().splitlines()[-1].partition(": ")[2]
    text = " ".join(text.split()) or type(error).__name__
    if kind == "diverged":
        return Failure(kind=kind, reason=f"did not train under this recipe: {text}")
    known = isinstance(error, ValueError | OSError)
    return Failure(kind=kind, reason=text if known else f"{type(error).__name__}: {text}")


def _kind(error: Exception) -> FailureKind:
    # It is imported by now where it matters; a comparison waits without torch.
    import torch

    from lightning_modules.segmentation import NonFiniteLossError

    if isinstance(error, NonFiniteLossError):
        return "diverged"
    # On a processor torch raises a RuntimeError that only its text tells from others.
    no_memory = "DefaultCPUAllocator: can't allocate" in str(error)
    if no_memory or isinstance(error, torch.OutOfMemoryError | MemoryError):
        return "out of memory"
    return "data" if isinstance(error, DataError) else "other"


def leave_failure(folder: Path, failure: Failure) -> None:
    """Leave the failure of this rank, which keeps no result."""
    write_record(folder / f"failure-rank{global_rank()}.json", failure)


def left_failures(folder: Path) -> list[Failure]:
    """Failures that ranks have left, in their order."""
    read = (read_record(path, Failure) for path in _left(folder))
    return [failure for failure in read if failure is not None]


def clear_failures(folder: Path) -> None:
    """Forget what earlier processes have left."""
    for path in _left(folder):
        path.unlink(missing_ok=True)


def _left(folder: Path) -> list[Path]:
    return sorted(folder.glob("failure-rank*.json"))
