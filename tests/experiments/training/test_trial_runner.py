"""One trial as a process: how it ends, and what it says of how it failed."""

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from datamodules.labels import DataError
from experiments import run as run_command
from experiments.recipes import smoke
from experiments.training import requested_trial, training_run, trial_runner
from experiments.training.failures import (
    clear_failures,
    failure_of,
    first_cause,
    leave_failure,
    left_failures,
    lost_others,
)
from experiments.training.trial_request import Resources, request_of
from experiments.training.trial_result import Scored
from experiments.trials import data_check, launch
from experiments.trials.code_hash import code_hash
from experiments.trials.history import HISTORY, curve_of, read_points
from experiments.trials.recipe import RecipeRequest
from experiments.trials.result_types import Curve, FailedTrial, Failure, FinishedTrial
from experiments.trials.results import read_result
from lightning_modules.segmentation import NonFiniteLossError
from tests.commands import run, start
from tests.experiments import here

SMOKE = ("--model", "unet:width=4", "--recipe", "smoke", "--wandb", "off")


def test_failures_have_a_kind_and_one_sentence() -> None:
    def failed(error: Exception) -> tuple[str, str]:
        failure = failure_of(error)
        return failure.kind, failure.reason

    loss = NonFiniteLossError("the loss is nan at step 3")
    assert failed(loss) == (
        "diverged", "did not train under this recipe: the loss is nan at step 3"
    )  # fmt: skip
    assert failed(ValueError("no\nwidth")) == ("other", "no width")
    assert failed(DataError("a.png is damaged")) == ("data", "a.png is damaged")
    assert failed(torch.OutOfMemoryError("of 80 GB")) == (
        "out of memory", "OutOfMemoryError: of 80 GB"
    )  # fmt: skip
    assert failed(MemoryError())[0] == "out of memory"
    with pytest.raises(RuntimeError) as raised:
        torch.empty(2**60)
    assert failed(raised.value)[0] == "out of memory"  # as torch says it of a processor
    assert failed(KeyError("x")) == ("other", "KeyError: 'x'")
    text = "Caught DataError in worker 0.\nOriginal Traceback (most recent call last):\n  ...\n"
    worker = DataError(f"{text}datamodules.labels.DataError: a.png: damaged")
    assert failed(worker) == ("data", "a.png: damaged")


def test_ranks_leave_their_failures_for_the_parent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert left_failures(tmp_path) == []
    for rank in (1, 2):
        monkeypatch.setattr(launch, "_here", launch.Place(rank=rank))
        leave_failure(tmp_path, Failure(kind="data", reason=f"of {rank}"))
    assert [failure.reason for failure in left_failures(tmp_path)] == ["of 1", "of 2"]
    clear_failures(tmp_path)
    assert list(tmp_path.iterdir()) == []


GLOO = "[/pytorch/third_party/gloo/gloo/transport/tcp/pair.cc:538] Connection closed by peer"


def test_the_first_true_cause_is_what_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who only lost the others does not know it, and of two causes the earlier one counts."""
    lost, other = RuntimeError(GLOO), DataError("a.png is damaged")
    assert lost_others(lost) and lost_others(torch.distributed.DistBackendError("NCCL"))
    assert not lost_others(other) and not lost_others(RuntimeError("shapes differ"))
    assert first_cause(tmp_path, other).reason == "a.png is damaged"
    alone = first_cause(tmp_path, lost, seconds=0.1)
    assert alone.kind == "killed"
    assert alone.reason.startswith("the other processes of this trial were lost, perhaps killed")

    def leave(rank: int, reason: str) -> None:
        monkeypatch.setattr(launch, "_here", launch.Place(rank=rank))
        leave_failure(tmp_path, Failure(kind="data", reason=reason))

    late = threading.Timer(0.3, leave, (2, "of 2"))  # its end is noticed before it is said
    late.start()
    assert first_cause(tmp_path, lost).reason == "of 2"
    late.join()
    leave(1, "of 1")
    assert [failure.reason for failure in left_failures(tmp_path)] == ["of 2", "of 1"]
    assert first_cause(tmp_path, ValueError("mine")).reason == "of 2"
    (tmp_path / "failure-rank2.json").write_text("{")
    assert first_cause(tmp_path, lost).reason == "of 1"


def test_a_request_survives_a_command_line(tmp_path: Path) -> None:
    request = RecipeRequest("smoke", ("lr=0.02", "crop=40x48"), "streets:height=64:width=96")
    args = ["--model", "unet", "--recipe", "smoke", "--seed", "3", "--repeat", "1"]
    args += ["--set", "lr=0.02", "--set", "crop=40x48", "--data", "streets:height=64:width=96"]
    asked = run_command.request_of(run_command.parser().parse_args([*args, "--out", str(tmp_path)]))
    assert asked.recipe == request
    trial = requested_trial.requested(asked).trial
    assert trial.recipe.name == "smoke+crop=40x48+data=streets:height=64:width=96+lr=0.02"
    assert trial.request == request
    again = request_of(trial, Resources())
    assert again.arguments() == asked.arguments()
    assert run_command.request_of(run_command.parser().parse_args(again.arguments())) == again


def test_data_that_change_while_a_trial_runs_fail_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOMP_SPINCOUNT", "10000")
    hashes: Iterator[str] = iter(["a" * 12] * 3)
    monkeypatch.setattr(requested_trial, "hash_of", lambda recipe, report: next(hashes))
    monkeypatch.setattr(data_check, "data_hash", lambda recipe, root: "b" * 12)

    def trained(ours: requested_trial.RequestedTrial, identity: object) -> Scored:
        return Scored(FinishedTrial.model_construct(), {})

    monkeypatch.setattr(training_run, "train_and_score", trained)
    assert run_command.main([*SMOKE, "--out", str(tmp_path)]) == 1
    (path,) = tmp_path.rglob("result.json")
    result = read_result(path)
    assert isinstance(result, FailedTrial) and result.hashes.data == "a" * 12
    assert result.failure.kind == "data"
    assert "changed while the trial ran" in result.failure.reason


def test_a_failure_that_cannot_be_kept_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As on a full disk, which has no room for the result either."""
    monkeypatch.setenv("GOMP_SPINCOUNT", "10000")

    def fail(*_: object) -> None:
        raise OSError("cannot write it: it needs 7 bytes")

    monkeypatch.setattr(training_run, "train_and_score", fail)
    monkeypatch.setattr(trial_runner, "write_record", fail)
    assert run_command.main([*SMOKE, "--out", str(tmp_path)]) == 1
    assert not [*tmp_path.rglob("result.json")]
    said = capsys.readouterr().err.splitlines()
    assert said[-2:] == [
        "the failure is not kept: cannot write it: it needs 7 bytes",
        "failed: cannot write it: it needs 7 bytes",
    ]


@pytest.mark.slow
@pytest.mark.parametrize("devices", [1, 2])
def test_first_losses_are_those_of_the_whole_run_to_the_bit(tmp_path: Path, devices: int) -> None:
    """Also where the curve has a point every other step, and validations lie between."""
    more = ("--set", "steps=400", "--set", "val_every=25", "--devices", devices, "--out", tmp_path)
    process = start("experiments.run", *SMOKE, *more, output=tmp_path / "log.txt")
    curve = _first_part(tmp_path, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(60)
    assert [loss for step, loss in curve.train if step <= 50] == [*curve.first_losses[1::2]]
    before = sorted(tmp_path.rglob("*"))
    again = (*SMOKE, *more, "--first-losses", 30)
    status, text = here.trial(*again) if devices == 1 else run("experiments.run", *again)
    assert status == 0, text
    (line,) = (line for line in text.splitlines() if line.startswith("{"))
    assert json.loads(line)["losses"] == [*curve.first_losses[:30]]
    assert sorted(tmp_path.rglob("*")) == before


def _first_part(out: Path, process: "subprocess.Popen[str]") -> Curve:
    """What a run has kept once it has passed the steps of which all losses are kept."""
    deadline = time.monotonic() + 300
    while process.poll() is None and time.monotonic() < deadline:
        curves = [curve_of(read_points(path)) for path in out.rglob(HISTORY)]
        if curves and curves[0].train and curves[0].train[-1][0] > 50:
            assert len(curves[0].first_losses) == 50
            return curves[0]
        time.sleep(0.1)
    raise AssertionError((out / "log.txt").read_text())


def test_code_that_changed_since_it_was_submitted_is_refused(tmp_path: Path) -> None:
    """As a job finds it that waited in a queue; with the code that was meant it runs."""
    trial = (*SMOKE, "--out", tmp_path)
    status, text = here.trial(*trial, "--code", "0" * 12)
    assert status == 2
    (said,) = text.strip().splitlines()
    now = code_hash("unet:width=4", smoke().data)
    assert f"has changed since it was submitted ({'0' * 12}, now {now}): give the same" in said
    assert not list(tmp_path.rglob("result.json"))
    assert here.trial(*trial, "--code", now)[0] == 0
    assert list(tmp_path.rglob("result.json"))
