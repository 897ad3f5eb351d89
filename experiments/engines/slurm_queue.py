"""What the queue of SLURM says, by its own commands; nothing here asks for accounting."""

import re
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

_TIMEOUT = 60  # seconds; a busy controller answers late
_MAX_ARRAY = 1001  # SLURM's own default


class QueuedJob(NamedTuple):
    """One job that the queue shows.

    Attributes:
        state: as PENDING or RUNNING.
        nodes: on which it runs; empty while it waits.
        reason: why it waits.
    """

    state: str
    nodes: str
    reason: str


def check_slurm() -> None:
    """
    Raises:
        ValueError: this machine belongs to no cluster, or the controller does not answer.
    """
    if shutil.which("sbatch") is None or shutil.which("squeue") is None:
        raise ValueError(
            "--engine slurm needs sbatch and squeue, and this machine has neither: give the "
            "command on a login node of a cluster, or leave --engine out"
        )
    try:
        _ask("sinfo", "--noheader", "--format=%P")
    except OSError as error:
        raise ValueError(
            f"SLURM does not answer ({error}): wait until it does, or leave --engine out"
        ) from None


def queued() -> dict[str, QueuedJob]:
    """Jobs of this user that the queue shows, by their id; of an array as `12_3`.

    Raises:
        OSError: the queue does not answer, which says nothing of any job.
    """
    lines = _ask("squeue", "--me", "--noheader", "--array", "--format=%i|%T|%N|%r").splitlines()
    found = {}
    for line in lines:
        id, state, nodes, reason = line.strip().split("|", 3)
        found[id] = QueuedJob(state, nodes, reason)
    return found


def cancel(ids: Sequence[str]) -> None:
    """End jobs; those that have ended are passed over.

    Raises:
        OSError: the queue does not answer.
    """
    for first in range(0, len(ids), 500):  # a command line takes so many and more
        _ask("scancel", "--quiet", *ids[first : first + 500])


def largest_array() -> int:
    """Jobs that one array may have."""
    try:
        found = re.search(r"MaxArraySize\s*=\s*(\d+)", _ask("scontrol", "show", "config"))
    except OSError:
        return _MAX_ARRAY
    return max(1, int(found[1])) if found else _MAX_ARRAY


def sees(path: Path, options: Sequence[str], seconds: int) -> bool | None:
    """Whether a node of the cluster sees a file; None if none was free to look.

    Args:
        options: of srun.
        seconds: to wait for a node.
    """
    look = f"test -e {shlex.quote(str(path.absolute()))} && echo there || echo absent"
    asked = ["srun", "--quiet", "--ntasks=1", f"--immediate={seconds}", "--time=1", *options]
    try:
        done = subprocess.run(
            [*asked, "sh", "-c", look], capture_output=True, text=True, timeout=seconds + 60,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return {"there": True, "absent": False}.get(done.stdout.strip())


def _ask(*command: str) -> str:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_TIMEOUT, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        raise OSError(f"{command[0]} has not answered for {_TIMEOUT} s") from None
    if done.returncode != 0:
        said = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        raise OSError(said if said.startswith(command[0]) else f"{command[0]}: {said}")
    return done.stdout
