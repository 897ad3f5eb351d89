"""Starts the real commands as forks of one process that has imported what a training needs.

A fork trains its first step when a fresh process still imports torch, so that a test may start and
kill many. In all else it is one: it has a process id, an environment and files of its own, runs the
module as `python -m` does, and starts other ranks and readers as every trial does.
"""

import contextlib
import json
import os
import runpy
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Self

import psutil

from tests.commands import ROOT, SETTINGS


class Fork:
    """A process that a `Forks` has started."""

    def __init__(self, pid: int, statuses: Path) -> None:
        self.pid, self._statuses = pid, statuses

    def running(self) -> bool:
        """Until its parent has reaped it: only then its last thread has ended and holds no lock."""
        return bool(psutil.pid_exists(self.pid))

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        self.wait(60)

    def wait(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while self.running():
            assert time.monotonic() < deadline, f"{self.pid} has not ended"
            time.sleep(0.01)

    def status(self, seconds: float) -> int:
        """Its exit status, once it has ended."""
        path, deadline = self._statuses / str(self.pid), time.monotonic() + seconds
        while not path.is_file():  # it is written once the process is reaped
            assert time.monotonic() < deadline, f"{self.pid} has not ended"
            time.sleep(0.01)
        return int(path.read_text())


class Forks:
    """The process that all are forks of, while the block lasts."""

    def __enter__(self) -> Self:
        self._statuses = Path(tempfile.mkdtemp())
        self._parent = subprocess.Popen(
            [sys.executable, "-m", "tests.forks", str(self._statuses)],
            cwd=ROOT,
            env={**os.environ, **SETTINGS},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._parent.communicate()  # it ends with its input
        shutil.rmtree(self._statuses)

    def start(self, module: str, *args: object, output: Path) -> Fork:
        """`python -m module args`, which prints to `output`."""
        assert self._parent.stdin is not None and self._parent.stdout is not None
        line = json.dumps([str(output), module, *map(str, args)])
        print(line, file=self._parent.stdin, flush=True)
        return Fork(int(self._parent.stdout.readline()), self._statuses)


def main() -> None:
    """A fork for each line of the input, whose process id is a line of the output."""
    import experiments.training.training_run  # noqa: F401  # what takes its time

    signal.signal(signal.SIGCHLD, _reap)
    for line in sys.stdin:
        output, module, *args = json.loads(line)
        pid = os.fork()
        if pid:
            print(pid, flush=True)
            continue
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for stream in (1, 2):
            os.dup2(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
        sys.argv = [module, *args]
        runpy.run_module(module, run_name="__main__", alter_sys=True)


def _reap(*_: object) -> None:
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            path = Path(sys.argv[1]) / str(ended[0])
            draft = path.with_suffix(".draft")
            draft.write_text(str(os.waitstatus_to_exitcode(ended[1])))
            draft.rename(path)


if __name__ == "__main__":
    main()
