"""A process with a time limit: how it ends, and that nothing of it is left."""

import sys
import time
from pathlib import Path

import psutil
import pytest

from experiments.trials.limited_process import run_limited, why_ended

# Starts a process of its own session and one of this, tells both, and waits; SIGINT is an end.
FAMILY = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(child.pid, flush=True)
try:
    time.sleep(60)
except KeyboardInterrupt:
    print("saved", flush=True)
"""


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_a_process_that_ends_by_itself(tmp_path: Path) -> None:
    log = tmp_path / "new" / "log.txt"
    code = "import os, sys; print(os.environ['WORD']); sys.exit(3)"
    assert run_limited(python(code), 60, log, environment={"WORD": "told"}) == 3
    assert log.read_text() == "told\n"
    assert why_ended(3, log, 60) == "told"
    killed = run_limited(python("import os; os.kill(os.getpid(), 9)"), 60, log)
    assert killed == -9
    assert why_ended(killed, log, 60) == "ended by SIGKILL (out of memory?)"
    assert why_ended(1, log, 60) == "exit status 1"


@pytest.mark.parametrize("patience", [0.0, 20.0])
def test_one_whose_time_is_over_ends_with_its_children(tmp_path: Path, patience: float) -> None:
    log, begun = tmp_path / "log.txt", time.monotonic()
    assert run_limited(python(FAMILY), 2, log, patience=patience) is None
    assert time.monotonic() - begun < 15
    pid, *said = log.read_text().split()
    assert said == (["saved"] if patience else [])
    deadline = time.monotonic() + 10
    while psutil.pid_exists(int(pid)) and time.monotonic() < deadline:
        if psutil.Process(int(pid)).status() == psutil.STATUS_ZOMBIE:
            break
        time.sleep(0.05)
    assert time.monotonic() < deadline
    assert why_ended(None, log, 2) == "its time of 2 s was over"


def test_an_interrupt_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class CalledOffError(Exception):
        pass

    import subprocess

    started: list[subprocess.Popen[bytes]] = []
    wait = subprocess.Popen.wait

    def interrupt(self: "subprocess.Popen[bytes]", timeout: float | None = None) -> int:
        if not started:
            started.append(self)
            raise CalledOffError
        return wait(self, timeout)

    monkeypatch.setattr(subprocess.Popen, "wait", interrupt)
    with pytest.raises(CalledOffError):
        run_limited(python("import time; time.sleep(60)"), 50, tmp_path / "log.txt")
    assert started[0].returncode == -9
