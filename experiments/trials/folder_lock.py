"""One process at a time works in a folder, also where processes of several machines share it.

`flock` may be missing on network file systems, or count on one machine alone. A lease is a file
that its holder touches: whoever sees it untouched for a minute takes it over, and a holder that
lives on without it, as one that was stopped for that long, ends. On the same machine a dead holder
is known by its process.
"""

import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import LeaseCompromise, SoftFileLease, Timeout

from datamodules.json_file import DamagedError, as_object, read_json

LEASE, HOLDER = "lease", "holder.json"  # files of a folder that is held
_SECONDS = 60.0  # without a touch, until a lease is over; it is touched six times as often
_CUT_SHORT = 5.0  # seconds; filelock takes a lease that says nothing for a dead one's sooner
_HELD = 3  # exit status of a process that finds its folder held


class BusyError(BlockingIOError):
    """Another process holds the folder; the message names it."""


@contextmanager
def held(folder: Path, name: str, seconds: float = _SECONDS) -> Iterator[None]:
    """Hold a folder, which is made; the holder's death lets go of it, however it comes.

    Args:
        name: of what is held, for messages.
        seconds: of the lease, the same for all who want the folder.

    Raises:
        BusyError: another process holds it. Of one on another machine, which nobody can look at
            from here, that is known after the time of a lease.
    """
    folder.mkdir(parents=True, exist_ok=True)
    holder = folder / HOLDER
    lease = SoftFileLease(
        folder / LEASE,
        lease_duration=seconds,
        heartbeat_interval=seconds / 6,
        on_compromise=lambda lost: _end(name, lost),
    )
    try:
        _acquire(lease, seconds)
    except Timeout:
        raise BusyError(f"{name} is held by {_describe(holder)}") from None
    try:
        me = {"job": this_job(), "pid": os.getpid(), "host": socket.gethostname()}
        holder.write_text(json.dumps({**me, "start": time.time()}))
        yield
    finally:
        holder.unlink(missing_ok=True)
        lease.release()


def _acquire(lease: SoftFileLease, seconds: float) -> None:
    try:
        lease.acquire(timeout=0)
    except Timeout:
        owner = lease.owner
        if owner is None:  # it was cut short while it was written, or is being written
            _acquire_nameless(lease, seconds)
        elif owner.hostname.partition("?")[0] == socket.gethostname():  # who lives there is known
            raise
        else:
            lease.acquire(timeout=1.2 * seconds, poll_interval=seconds / 60)


def _acquire_nameless(lease: SoftFileLease, seconds: float) -> None:
    """A file that names nobody: filelock takes a damaged one for a dead holder's, and an empty one,
    as a full disk leaves it, never."""
    try:
        lease.acquire(timeout=_CUT_SHORT)
    except Timeout:
        path = Path(lease.lock_file)
        before = _touched(path)
        time.sleep(1.2 * seconds)
        if _touched(path) != before or path.stat().st_size:
            raise
        lease.force_break()
        lease.acquire(timeout=0)


def _touched(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None


def _end(name: str, lost: LeaseCompromise) -> None:
    """What this process would write from now on, another may write as well."""
    print(f"{name} was taken over by another process ({lost.reason})", file=sys.stderr, flush=True)
    os._exit(_HELD)


def this_job() -> str | None:
    """The job of a cluster that this process belongs to, as its queue shows it."""
    array, task = (os.environ.get(f"SLURM_ARRAY_{part}_ID") for part in ("JOB", "TASK"))
    return f"{array}_{task}" if array and task else os.environ.get("SLURM_JOB_ID")


def _describe(holder: Path) -> str:
    """Who holds it, as far as it has said so: it may be about to, and files get damaged."""
    try:
        held = as_object(read_json(holder, ""), str(holder), "")
    except (OSError, DamagedError):
        return "another process"
    job, pid, host, start = (held.get(field) for field in ("job", "pid", "host", "start"))
    if type(pid) is not int or not isinstance(host, str) or not isinstance(start, int | float):
        return "another process"
    who = f"process {pid} on {host}" + (f" in job {job}" if isinstance(job, str) else "")
    try:
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(start))
    except (ValueError, OverflowError, OSError):  # NaN, or a year that no clock knows
        return who
    return f"{who} since {since}"
