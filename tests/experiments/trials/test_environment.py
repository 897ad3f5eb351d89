"""A trial's process ends with the one that started it, from its first moment on."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from experiments.trials.environment import starts_ranks, trial_environment
from experiments.trials.launch import PARENT
from tests.commands import ROOT

RUN = [sys.executable, "-m", "experiments.run", "--model", "unet:width=4", "--recipe", "smoke"]


def test_it_does_not_begin_where_its_starter_has_ended() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    done = subprocess.run(
        RUN, cwd=ROOT, env={**os.environ, PARENT: str(gone.pid)}, capture_output=True, text=True
    )
    assert done.returncode == 1
    said = f"the process {gone.pid} that started this one has ended: start it anew\n"
    assert (done.stdout, done.stderr) == ("", said)


@pytest.mark.parametrize("after", [0.0, 0.1, 0.4])
def test_it_ends_whenever_its_starter_is_killed(tmp_path: Path, after: float) -> None:
    """Also before it could ask the system for that, while Python starts and imports."""
    script = (
        "import subprocess, sys, os, time\n"
        "from experiments.trials.environment import trial_environment\n"
        f"command = {RUN!r} + ['--out', sys.argv[1], '--set', 'steps=100000', '--wandb', 'off']\n"
        "child = subprocess.Popen(command, env=trial_environment(1, 1), start_new_session=True)\n"
        f"print(child.pid, flush=True); time.sleep({after}); os.kill(os.getpid(), 9)\n"
    )
    out = tmp_path / "runs"
    starter = subprocess.Popen(
        [sys.executable, "-c", script, str(out)],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert starter.stdout is not None
    pid = int(starter.stdout.readline())  # the starter stays a zombie, as where nobody asks for it
    deadline = time.monotonic() + 60
    while _lives(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _lives(pid)
    assert not list(out.rglob("*.ckpt"))
    starter.communicate()


def _lives(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def test_what_a_trial_is_given_names_no_place_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    given = trial_environment(2, 8)
    assert "RANK" not in given
    assert (given[PARENT], given["OMP_NUM_THREADS"]) == (str(os.getpid()), "3")


def test_ranks_know_their_starter_as_long_as_it_starts_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(PARENT, "7")
    with starts_ranks():
        assert os.environ[PARENT] == str(os.getpid())
    assert os.environ[PARENT] == "7"
    monkeypatch.delenv(PARENT)
    with starts_ranks():
        pass
    assert PARENT not in os.environ
