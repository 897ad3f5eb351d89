"""Temporary files of a process lie in a folder of their own, which is gone when the process is."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from experiments.trials.temporary_files import own_temporary_files, remove_dead
from tests.commands import ROOT

SCRIPT = """
import multiprocessing, os, sys, tempfile
from multiprocessing.util import get_temp_dir
from experiments.trials.temporary_files import own_temporary_files
with own_temporary_files():
    tempfile.mkdtemp(), get_temp_dir()
    child = None
    if sys.argv[1] == 'fork':
        child = os.fork()
    if child != 0:
        print(os.environ['TMPDIR'], flush=True)
    if sys.argv[1] != 'end':
        sys.stdin.read()
"""


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where temporary files are kept; its path is as short as a socket needs."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="t") as name:
        monkeypatch.setenv("TMPDIR", name)
        monkeypatch.setattr(tempfile, "tempdir", None)
        yield Path(name)


def started(how: str) -> "tuple[subprocess.Popen[str], Path]":
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, how],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def test_it_is_removed_after_use_and_the_old_one_is_back(system: Path) -> None:
    with own_temporary_files():
        folder = Path(tempfile.gettempdir())
        assert folder.parent == system and os.environ["TMPDIR"] == str(folder)
        (folder / "wandb-media" / "x").mkdir(parents=True)
        with own_temporary_files():  # as a trial in a comparison: beside it
            assert Path(tempfile.gettempdir()).parent == system
    assert os.environ["TMPDIR"] == tempfile.gettempdir() == str(system)
    assert not list(system.iterdir())


def test_multiprocessing_has_removed_its_part_before(system: Path) -> None:
    process, folder = started("end")
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    assert folder.parent == system and not list(system.iterdir())


def test_a_dead_one_is_removed_by_the_next_and_a_live_one_is_not(system: Path) -> None:
    first, dead = started("wait")
    second, alive = started("wait")
    assert dead.is_dir() and dead != alive
    first.send_signal(signal.SIGKILL)
    first.communicate()
    assert dead.is_dir()
    stranger = system / "seglab"
    stranger.mkdir()
    (system / "seglab-file").write_text("of somebody")
    (system / "seglab-link").symlink_to(stranger)
    remove_dead()
    left = {stranger, alive, system / "seglab-file", system / "seglab-link"}
    assert set(system.iterdir()) == left
    second.communicate()
    assert second.returncode == 0 and set(system.iterdir()) == left - {alive}


def test_one_that_a_forked_process_uses_is_not_dead(system: Path) -> None:
    process, folder = started("fork")
    process.send_signal(signal.SIGKILL)
    process.wait()
    remove_dead()
    assert folder.is_dir()
    process.communicate()  # its stdin is closed, which ends the other
    remove_dead()
    assert not folder.exists()


def test_sockets_fit_where_the_system_keeps_files_far_away(
    system: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    far = system / ("d" * 90)
    far.mkdir()
    monkeypatch.setenv("TMPDIR", str(far))
    monkeypatch.setattr(tempfile, "tempdir", None)
    with own_temporary_files(), socket.socket(socket.AF_UNIX) as made:
        folder = Path(tempfile.gettempdir(), "long-12345678")
        folder.mkdir()
        made.bind(str(folder / "listener-12345678"))
    assert folder.parent.parent == Path("/tmp") and not folder.parent.exists()
