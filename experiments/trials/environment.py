"""How processes are started and end with each other, and what this one may use."""

import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Iterator
from typing import Literal

from experiments.trials.launch import PARENT, here, without_places

WandbMode = Literal["online", "offline", "off"]

_JOBS = "COMPARE_JOBS"  # set for every process that `compare` starts

# glibc keeps what activations leave free instead of mapping it anew every step: 5 to 9 % of a step
# on a CPU, at the same peak.
ALLOCATOR = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**40)}

# Threads of OpenMP spin while they wait, which makes two busy processes up to ten times slower
# instead of twice; without any spinning one alone takes twice as long.
SPIN_BRIEFLY = {"GOMP_SPINCOUNT": "10000"}


def is_main_node() -> bool:
    """Whether this machine keeps the folders of trials; others lend their processors to it."""
    return here().node == 0


def global_rank() -> int:
    """The rank of this process in its trial; 0 for the one that a user or `compare` starts."""
    return here().rank


def num_jobs() -> int:
    """Trials that run side by side on this machine."""
    return int(os.environ.get(_JOBS, "1"))


def threads_per_process(num_processes: int) -> int:
    """Cores of this machine that each of several processes may use."""
    return max(1, (os.cpu_count() or 1) // num_processes)


def trial_environment(num_jobs: int, threads: int) -> dict[str, str]:
    """Variables of a trial's process; a user's own number of threads stays, a launcher's do not."""
    return {
        "OMP_NUM_THREADS": str(threads),
        **ALLOCATOR,
        **without_places(os.environ, here().num_nodes),
        PARENT: str(os.getpid()),
        _JOBS: str(num_jobs),
        "PYTHONUNBUFFERED": "1",
    }


def spin_briefly() -> None:
    """Have waiting threads of OpenMP give way; to be said before torch is imported."""
    for name, value in SPIN_BRIEFLY.items():
        os.environ.setdefault(name, value)


@contextlib.contextmanager
def starts_ranks() -> Iterator[None]:
    """Have the ranks that Lightning starts know this process for their parent."""
    before = os.environ.get(PARENT)
    os.environ[PARENT] = str(os.getpid())
    try:
        yield
    finally:
        os.environ.pop(PARENT) if before is None else os.environ.update({PARENT: before})


def die_with_parent() -> None:
    """End with the process that started this one, where that was one of ours; on Linux at once.

    Raises:
        SystemExit: it has ended already, before this one could ask for that.
    """
    if PARENT not in os.environ or os.environ[PARENT] == str(os.getpid()):
        return
    if sys.platform == "linux":  # of the thread that started this one: the main one of its process
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # 1 is PR_SET_PDEATHSIG
    if os.environ[PARENT] != str(os.getppid()):
        sys.exit(f"the process {os.environ[PARENT]} that started this one has ended: start it anew")
