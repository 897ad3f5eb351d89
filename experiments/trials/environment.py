"""This process among others: its node, its rank, and how processes are started."""

import ctypes
import os
import signal
import sys
from typing import Literal

WandbMode = Literal["online", "offline", "off"]

_PARENT, _JOBS = "COMPARE_PID", "COMPARE_JOBS"  # set for every process that `compare` starts

# glibc keeps what activations leave free instead of mapping it anew every step: 5 to 9 % of a step
# on a CPU, at the same peak.
ALLOCATOR = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**40)}


def is_main_node() -> bool:
    """Whether this machine keeps the folders of trials; others lend their processors to it."""
    return int(os.environ.get("NODE_RANK", "0")) == 0


def global_rank() -> int:
    """The rank that Lightning or torchrun gave this process; 0 for the one a user starts."""
    node, local = int(os.environ.get("NODE_RANK", "0")), int(os.environ.get("LOCAL_RANK", "0"))
    return int(os.environ.get("RANK", node + local))


def num_jobs() -> int:
    """Trials that run side by side on this machine."""
    return int(os.environ.get(_JOBS, "1"))


def threads_per_process(num_processes: int) -> int:
    """Cores of this machine that each of several processes may use."""
    return max(1, (os.cpu_count() or 1) // num_processes)


def trial_environment(num_jobs: int, threads: int) -> dict[str, str]:
    """Variables of a trial's process; a user's own number of threads stays."""
    return {
        "OMP_NUM_THREADS": str(threads),
        **ALLOCATOR,
        **os.environ,
        _PARENT: str(os.getpid()),
        _JOBS: str(num_jobs),
        "PYTHONUNBUFFERED": "1",
    }


def spin_briefly() -> None:
    """Have waiting threads of OpenMP give way; to be said before torch is imported.

    They spin while they wait, which makes two busy processes up to ten times slower instead of
    twice; without any spinning one alone takes twice as long.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")


def die_with_parent() -> None:
    """On Linux, end with the process that started this one, where that was one of ours."""
    ours = _PARENT in os.environ or "LOCAL_RANK" in os.environ
    if ours and sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # 1 is PR_SET_PDEATHSIG
