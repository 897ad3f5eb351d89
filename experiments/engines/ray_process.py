"""The driver's process, as the engine has it: started, heard, and ended."""

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from multiprocessing import Pipe
from pathlib import Path

from experiments.engines.ray_settings import RaySettings
from experiments.engines.ray_task import Ended, Lost, Ready, Refused, Started, Work
from experiments.trials.launch import PARENT

LOG = "ray.log"  # of what Ray and the driver print
_CONNECT = 120.0  # seconds until an answer; nodes alone have 60 for theirs
_END = 15.0  # seconds in which tasks have to have ended


class Driver:
    """A process of `ray_driver`, which dies with this one and all its tasks with it.

    Attributes:
        probe: a file by which nodes know whether they see the folder.
    """

    def __init__(self, settings: RaySettings, folder: Path) -> None:
        self._log = folder / LOG
        self._made = [path for path in (self._log, folder, *folder.parents) if not path.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        self.probe = leave_probe(folder)
        self._settings, self._begun = settings, time.monotonic()
        self._answer: Ready | Refused | None = None
        self._connection, theirs = Pipe()
        with theirs, self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "experiments.engines.ray_driver", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, PARENT: str(os.getpid())},
                start_new_session=True,  # a Ctrl-C reaches the command alone, which ends it
            )
        self._connection.send((settings, self.probe))

    def answer(self) -> Ready | Refused | None:
        """Whether the cluster takes jobs; None until that is known."""
        if self._answer is None:
            try:
                if self._connection.poll():
                    self._answer = self._connection.recv()
                elif time.monotonic() - self._begun > _CONNECT:
                    self._answer = Refused(
                        f"no cluster of Ray answers in {_CONNECT:.0f} s (address="
                        f"{self._settings.address}): start one by `ray start --head`, or name "
                        "another by --engine-set address=host:port"
                    )
            except (EOFError, OSError):
                self._answer = Refused(f"Ray has ended at once ({self._last_line()})")
        return self._answer

    def news(self) -> Iterator[tuple[int, Started | Ended | Refused | Lost]]:
        """What has become of jobs since the last call, by their keys."""
        try:
            while self._connection.poll():
                yield self._connection.recv()
        except (EOFError, OSError):
            self._process.wait(_END)

    def send(self, key: int, work: Work) -> None:
        """Have a job run; one that meets the end of the process is lost with it."""
        with contextlib.suppress(OSError):
            self._connection.send((key, work))

    def lives(self) -> bool:
        return self._process.poll() is None

    def close(self) -> None:
        """End it and its tasks."""
        self._connection.close()
        try:
            self._process.wait(_END)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self.probe.unlink(missing_ok=True)

    def forget(self) -> None:
        """Take away what it has made of files and folders, where nothing else has come there."""
        for path in self._made:
            with contextlib.suppress(OSError):
                path.unlink() if path == self._log else path.rmdir()

    def _last_line(self) -> str:
        said = self._log.read_text(errors="replace").strip().splitlines()
        return said[-1] if said else f"see {self._log}"


def leave_probe(folder: Path) -> Path:
    """A file that is nowhere else."""
    handle, name = tempfile.mkstemp(prefix=".ray-probe-", dir=folder)
    os.close(handle)
    return Path(name).absolute()
