"""Comparisons by the real command on a real SLURM of two nodes, beside the same ones here."""

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from experiments.trials.result_types import FinishedTrial
from experiments.trials.results import read_results
from tests.commands import ROOT, run, start
from tests.experiments import here
from tests.slurm import Slurm, cluster, lacking

pytestmark = [
    pytest.mark.skipif(
        bool(lacking()), reason=f"SLURM is not installed here: {', '.join(lacking())} lacking"
    ),
    pytest.mark.slow,
]
ENGINE = ("--engine", "slurm", "--engine-set", "time=00:10:00,signal=30,patience=2")


@pytest.fixture(scope="module")
def slurm() -> Iterator[Slurm]:
    with cluster() as started:
        yield started


def bits(out: Path) -> dict[tuple[str, int], tuple[object, ...]]:
    """What no engine and no interruption may change, of every trial."""
    return {
        (result.model, result.seed): (
            result.confusion, result.metrics, result.curve, result.hashes, result.per_image_sha256
        )
        for result in read_results(out)
        if isinstance(result, FinishedTrial)
    }  # fmt: skip


def until(condition: Callable[[], object], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_the_same_bits_as_here(slurm: Slurm, tmp_path: Path) -> None:
    """Detached, watched, left with Ctrl-C and collected; beside a second command that is told who
    waits already."""
    trials = ["--recipe", "smoke", "--models", "unet:width=4,segnet:width=4,resunet:width=4",
              "--seeds", "0,1", "--wandb", "off"]  # fmt: skip
    there = [*trials, "--out", tmp_path / "there", *ENGINE]
    status, text = run("experiments.compare", *there, "--detach", **slurm.environment)
    assert status == 0, text
    assert "6 jobs go on; to end: scancel" in text and "the same command later" in text
    assert len(slurm.states()) == 6
    log = tmp_path / "first.txt"
    first = start("experiments.compare", *there, output=log, **slurm.environment)
    until(lambda: "running job" in log.read_text())
    status, text = run("experiments.compare", *there, **slurm.environment)
    assert status == 2
    assert f"the queue of {tmp_path / 'there' / 'smoke'} is held by process {first.pid} on" in text
    first.send_signal(signal.SIGINT)
    assert first.wait(60) == 130
    assert "nothing is lost: the same command goes on" in log.read_text()
    status, text = run("experiments.compare", *there, **slurm.environment)
    assert status == 0, text
    assert (tmp_path / "there" / "smoke" / "report.html").is_file()
    assert {node for node in ("n1", "n2") if f"on {node}" in text + log.read_text()} == {"n1", "n2"}
    status, text = here.compare(*trials, "--out", tmp_path / "here")
    assert status == 0, text
    ours, theirs = bits(tmp_path / "here"), bits(tmp_path / "there")
    assert len(ours) == 6
    assert ours == theirs


def test_whatever_befalls_a_trial_on_its_way(slurm: Slurm, tmp_path: Path) -> None:
    """One trial, by one command that is given once: told to save before its first state, preempted
    in each quarter of its steps, told hard and cancelled between these, and at last the daemon of
    its node dies. In the end the bits of a trial that nothing befell."""
    steps = 400
    trial = ["--recipe", "smoke", "--models", "unet:width=4", "--wandb", "off",
             "--set", f"steps={steps}", "--set", "val_every=100"]  # fmt: skip
    out, log = tmp_path / "there", tmp_path / "log.txt"
    command = start(
        "experiments.compare", *trial, "--out", out, *ENGINE,
        "--engine-set", "requeues=20,retries=5,nodelist=n1", output=log, **slurm.environment,
    )  # fmt: skip

    def step() -> int:
        try:
            (path,) = out.glob("*/*/*/progress.json")
            return int(json.loads(path.read_text())["step"])
        except (ValueError, OSError):
            return -1

    def running() -> list[str]:
        return [id for id, state in slurm.states().items() if state == "RUNNING"]

    def reaches(number: int) -> None:
        def there() -> bool:
            slurm.hurry()
            assert command.poll() is None, log.read_text()
            return bool(running()) and step() >= number

        slurm.wait(there, 180)

    def leaves() -> None:
        slurm.wait(lambda: not running(), 60)

    def told(number: str) -> None:
        slurm.ask("scancel", f"--signal={number}", *running())
        leaves()

    def preempted() -> None:
        slurm.ask("srun", "-p", "urgent", "-w", "n1", "--exclusive", "true")
        leaves()

    def cancelled() -> None:
        slurm.ask("scancel", *running())
        leaves()

    # A step takes 0.04 s, a look at the queue 0.2 s: nothing waits for the last 80 steps.
    events: list[tuple[int, Callable[[], None]]] = [
        (1, lambda: told("USR1")),
        (10, preempted),
        (110, preempted),
        (160, lambda: told("TERM")),
        (210, preempted),
        (260, cancelled),
        (310, preempted),
    ]
    for number, befalls in events:
        reaches(number)
        befalls()
    reaches(steps - 80)
    slurm.kill_node("n1")  # what runs there works on, and its result is all that counts
    with contextlib.suppress(subprocess.TimeoutExpired):  # where it had hardly begun
        command.wait(15)
    slurm.start_node("n1")

    def ended() -> bool:
        slurm.hurry()
        return command.poll() is not None

    slurm.wait(ended, 240)
    assert command.returncode == 0, log.read_text()
    status, text = here.compare(*trial, "--out", tmp_path / "here")
    assert status == 0, text
    assert bits(out) == bits(tmp_path / "here")


def test_tasks_of_srun_are_the_ranks_of_one_trial(slurm: Slurm, tmp_path: Path) -> None:
    """Two nodes with a task each give the bits of two processes of one node, which a job script of
    one task starts as well: variables of the queue do not make one process of two."""
    trial = ["--recipe", "smoke", "--wandb", "off", "--set", "steps=4"]
    job = tmp_path / "job.sh"
    command = ["-m", "experiments.run", "--model", "unet:width=4", *trial,
               "--devices", "2", "--out", str(tmp_path / "one")]  # fmt: skip
    job.write_text(f"#!/bin/sh\n{shlex.join([sys.executable, *command])}\n")
    said = slurm.ask("sbatch", "--wait", "--ntasks=1", f"--output={tmp_path / 'said'}",
                     f"--chdir={ROOT}", str(job), seconds=240)  # fmt: skip
    assert said.startswith("Submitted"), (tmp_path / "said").read_text()
    status, text = run(
        "experiments.compare", "--models", "unet:width=4", *trial, "--num-nodes", 2,
        "--out", tmp_path / "two", *ENGINE,
        # The names of these nodes lead nowhere; those of a cluster do.
        "--engine-set", "export=ALL,,MASTER_ADDR=127.0.0.1", **slurm.environment,
    )  # fmt: skip
    assert status == 0, text
    (one,), (two,) = (list(read_results(tmp_path / name)) for name in ("one", "two"))
    assert isinstance(one, FinishedTrial) and isinstance(two, FinishedTrial)
    assert one.environment.processes == two.environment.processes == 2
    assert bits(tmp_path / "one") == bits(tmp_path / "two")


def test_a_disk_that_is_full_on_a_node(slurm: Slurm, tmp_path: Path) -> None:
    """It fails the trial in one sentence; once there is room, the same command ends it."""
    if os.getuid():
        pytest.skip("only root may mount")
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", disk], check=True)
    trial = ["--recipe", "smoke", "--models", "unet:width=4", "--wandb", "off"]
    there = [*trial, "--out", disk / "there", *ENGINE]
    try:
        status, text = run("experiments.compare", *there, **slurm.environment)
        assert status == 1, text
        assert "Traceback" not in text and "o space left on device" in " ".join(text.split())
        subprocess.run(["mount", "-o", "remount,size=99m", disk], check=True)
        status, text = run("experiments.compare", *there, **slurm.environment)
        assert status == 0, text
        found = bits(disk / "there")
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)
    assert here.compare(*trial, "--out", tmp_path / "here")[0] == 0
    assert found == bits(tmp_path / "here")
