"""A folder is held by one process, whichever machine it runs on, and by nobody who is dead."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from experiments.trials.folder_lock import BusyError, held
from tests.commands import ROOT

HOLDS = """
import os, socket, sys, time
from pathlib import Path
if sys.argv[2]:
    socket.gethostname = lambda: sys.argv[2]
from experiments.trials.folder_lock import held
with held(Path(sys.argv[1]), "theirs", 2.0):
    print("holds", flush=True)
    time.sleep(float(sys.argv[3]))
print("let go", flush=True)
"""


@contextmanager
def holder(
    folder: Path, host: str = "", seconds: float = 600, **variables: str
) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", HOLDS, str(folder), host, str(seconds)]
    process = subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, **variables}, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None and process.stderr is not None
    try:
        assert process.stdout.readline() == "holds\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


def test_job_host_and_start_are_named(tmp_path: Path) -> None:
    with holder(tmp_path, SLURM_ARRAY_JOB_ID="12", SLURM_ARRAY_TASK_ID="3") as process:
        says = rf"^ours is held by process {process.pid} on \S+ in job 12_3 since 20"
        begun = time.monotonic()
        with pytest.raises(BusyError, match=says), held(tmp_path, "ours", 2.0):
            pass
        assert time.monotonic() - begun < 1  # on one machine nobody waits to know it


def test_the_dead_hold_nothing(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        process.kill()
        process.wait()
        begun = time.monotonic()
        with held(tmp_path, "ours", 2.0):
            assert time.monotonic() - begun < 1
    assert not (tmp_path / "lease").exists() and not (tmp_path / "holder.json").exists()


def test_who_is_stopped_still_holds_on_its_machine(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        os.kill(process.pid, 19)  # SIGSTOP
        time.sleep(3)
        with pytest.raises(BusyError), held(tmp_path, "ours", 2.0):
            pass


def test_on_another_machine_a_touched_lease_holds(tmp_path: Path) -> None:
    with holder(tmp_path, "elsewhere") as process:
        says = f"held by process {process.pid} on elsewhere"
        with pytest.raises(BusyError, match=says), held(tmp_path, "ours", 2.0):
            pass
        assert process.poll() is None


def test_who_was_dead_to_another_machine_ends_before_it_writes_more(tmp_path: Path) -> None:
    with holder(tmp_path, "elsewhere") as process:
        os.kill(process.pid, 19)  # as where the network is away
        with held(tmp_path, "ours", 2.0):
            assert json.loads((tmp_path / "holder.json").read_text())["pid"] == os.getpid()
            os.kill(process.pid, 18)  # SIGCONT
            said, complained = process.communicate(timeout=30)
            assert process.returncode == 3
            assert "let go" not in said and "theirs was taken over by another" in complained
            assert json.loads((tmp_path / "holder.json").read_text())["pid"] == os.getpid()


def test_an_empty_lease_as_of_a_full_disk_is_over_in_time(tmp_path: Path) -> None:
    (tmp_path / "lease").touch()
    with held(tmp_path, "ours", 1.0):
        pass
