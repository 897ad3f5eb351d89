"""Why a trial has failed: its kind, and one sentence.

The process that keeps the folder of a trial writes its failure as the result. Another rank, which
may fail alone and then end the others, leaves a small file beside it for whoever waits for them.
One that only lost the others leaves none: the cause is theirs.
"""

import contextlib
import time
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
    if lost_others(error):
        reason = "the other processes of this trial were lost, perhaps killed for want of memory"
        return Failure(kind="killed", reason=f"{reason}; log.txt has what was seen of it")
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


def lost_others(error: Exception) -> bool:
    """Whether it says no more than that other ranks do not answer."""
    import torch

    # Gloo raises a RuntimeError that only its text, with a path of its source, tells from others.
    if isinstance(error, RuntimeError) and "gloo" in str(error):
        return True
    return torch.distributed.is_available() and isinstance(error, torch.distributed.DistError)


def first_cause(folder: Path, error: Exception, seconds: float = 2.0) -> Failure:
    """The failure that came first on any rank, where this one has met `error`.

    Args:
        seconds: to wait for the word of another rank, whose end is noticed before it is said.
    """
    deadline = time.monotonic() + (seconds if lost_others(error) else 0)
    while not (left := left_failures(folder)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left[0] if left else failure_of(error)


def leave_failure(folder: Path, failure: Failure) -> None:
    """Leave the failure of this rank, which keeps no result."""
    write_record(folder / f"failure-rank{global_rank()}.json", failure)


def left_failures(folder: Path) -> list[Failure]:
    """Failures that ranks have left, the first one first."""
    found = []
    for path in _left(folder):
        with contextlib.suppress(ValueError):  # damaged: there is more than one way to the reason
            found.append(read_record(path, Failure))
    return [failure for failure in found if failure is not None]


def clear_failures(folder: Path) -> None:
    """Forget what earlier processes have left."""
    for path in _left(folder):
        path.unlink(missing_ok=True)


def _left(folder: Path) -> list[Path]:
    return sorted(folder.glob("failure-rank*.json"), key=lambda path: path.stat().st_mtime_ns)
