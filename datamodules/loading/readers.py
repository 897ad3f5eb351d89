"""What processes that read take of a machine, and what it lacks for them."""

import os
import resource
from pathlib import Path

# Measured with torch 2.14: a reader's queues take 20 kB of /dev/shm, and its pipes with the
# tensors of the batches that it has ready 13 file handles; both with something to spare.
_SHARED, _HANDLES, _HANDLES_LEFT = 2**15, 16, 16


def lack_for_readers(num_readers: int) -> str | None:
    """What this machine has too little of for so many processes; None where it has enough.

    Without room they do not fail: they wait for ever, or die of a bus error.
    """
    if num_readers == 0:
        return None
    if os.path.isdir("/dev/shm"):
        file_system = os.statvfs("/dev/shm")
        free = file_system.f_bavail * file_system.f_frsize
        if free < _SHARED * (num_readers + 2):
            return f"/dev/shm has {free} bytes free"
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    handles = Path("/proc/self/fd")
    taken = len(list(handles.iterdir())) if handles.is_dir() else 0
    few = limit - taken < _HANDLES * num_readers + _HANDLES_LEFT
    if few and limit != resource.RLIM_INFINITY:
        return f"{taken} of {limit} file handles are taken (ulimit -n)"
    return None
