"""What runs on a node of Ray: the command of one job, where all see its folder or in one there.

Ray is not needed here. What the driver and its tasks say to each other are the values below.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from experiments.engines.copied_folder import CopiedFolder, Files, lay
from experiments.trials.code_hash import ROOT, module_hash
from experiments.trials.environment import trial_environment
from experiments.trials.temporary_files import own_temporary_files

_LOOK = 1.0  # seconds between two looks at a command that runs


@dataclass(frozen=True, kw_only=True)
class Work:
    """A job, as it is sent to a node.

    Attributes:
        arguments: of `python -m module`.
        names_out: the argument behind which `out` stands; another folder, where a node does not
            see that.
        folder: of the job, within `out`.
        code: hash of the source that its numbers come from; None where its command looks itself.
        probe: a file that is seen where `out` is.
        cwd: of the command where it is there; others start where the project is.
        variables: that a user has set for the command.
        sync: seconds between two copies of what a folder that others do not see holds.
    """

    module: str
    arguments: tuple[str, ...]
    names_out: str
    out: Path
    folder: Path
    code: str | None
    probe: Path
    cwd: Path
    variables: Mapping[str, str]
    sync: float


@dataclass(frozen=True)
class Share:
    """What a job takes of its node.

    Attributes:
        cores: of the processor.
        threads: of each of its processes.
        gpus: whether it takes any, which Ray then names to it.
    """

    cores: float
    threads: int
    gpus: bool


@dataclass(frozen=True)
class Ready:
    """The cluster is there and has room for a job; `remark` is what a user should know of it."""

    remark: str


@dataclass(frozen=True)
class Started:
    """The command runs."""

    host: str


@dataclass(frozen=True)
class Ended:
    """The command has ended, and all that it left is where it belongs."""

    status: int


@dataclass(frozen=True)
class Refused:
    """It has not been started, and would not be at another time."""

    reason: str


@dataclass(frozen=True)
class Unseen:
    """The node does not see the folder, and was not sent what it holds."""


@dataclass(frozen=True)
class Lost:
    """Its worker or its node has ended, and with it the command."""

    reason: str


Event = Started | Files | Ended | Refused | Unseen


def run_job(work: Work, share: Share, files: Files | None) -> Iterator[Event]:
    """Run the command of a job and say what becomes of it.

    Args:
        files: what its folder holds, for a node that does not see it.
    """
    if work.code is not None and module_hash(work.module) != work.code:
        yield Refused(
            f"the code on {socket.gethostname()} is not that of the command which sent it: have "
            "the same version on every node, and give the same command again"
        )
    elif work.probe.is_file():
        yield from _run(work, share, work.out, None)
    elif files is None:
        yield Unseen()
    else:
        with own_temporary_files(), tempfile.TemporaryDirectory() as out:
            folder = Path(out) / work.folder
            lay(folder, files)
            yield from _run(work, share, Path(out), CopiedFolder(folder))


def _run(work: Work, share: Share, out: Path, copied: CopiedFolder | None) -> Iterator[Event]:
    folder = out / work.folder
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "progress.json").unlink(missing_ok=True)
    arguments = [*work.arguments]
    if work.names_out in arguments:
        arguments[arguments.index(work.names_out) + 1] = str(out)
    with (folder / "log.txt").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", work.module, *arguments],
            cwd=work.cwd if work.cwd.is_dir() else ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=_environment(work, share),
            start_new_session=True,
        )
    try:
        yield Started(socket.gethostname())
        synced = time.monotonic()
        while (status := _wait(process)) is None:
            if copied is None:
                continue
            if time.monotonic() - synced > work.sync:
                yield copied.all_changed()
                synced = time.monotonic()
            elif (progress := copied.progress()) is not None:
                yield progress
    finally:
        _end_session(process)
    if copied is not None:
        yield from copied.in_chunks()
    yield Ended(status)


def _environment(work: Work, share: Share) -> dict[str, str]:
    """Of the node, as on one machine; Ray's own number of threads counts for nothing."""
    side_by_side = int((os.cpu_count() or 1) / max(1.0, share.cores))
    own = trial_environment(max(1, side_by_side), share.threads)
    path = os.pathsep.join(filter(None, (str(ROOT), own.get("PYTHONPATH"))))
    own |= {"OMP_NUM_THREADS": str(share.threads), "PYTHONPATH": path}
    if not share.gpus:
        own["CUDA_VISIBLE_DEVICES"] = ""
    return {**own, **work.variables}


def _wait(process: "subprocess.Popen[bytes]") -> int | None:
    try:
        return process.wait(_LOOK)
    except subprocess.TimeoutExpired:
        return None


def _end_session(process: "subprocess.Popen[bytes]") -> None:
    """Kill what is left of all that the command has started."""
    deadline = time.monotonic() + 1
    with contextlib.suppress(ProcessLookupError, PermissionError):
        while time.monotonic() < deadline:
            os.killpg(process.pid, signal.SIGKILL)
            process.poll()
            time.sleep(0.01)
    process.wait()
