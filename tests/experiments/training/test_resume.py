"""A trial that is killed and started again ends where an uninterrupted one ends, to the bit."""

import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from experiments.trials.result_types import FinishedTrial
from experiments.trials.results import read_result
from tests.commands import run, start

pytestmark = pytest.mark.slow
STEPS = 48


def _trial(out: Path, model: str, devices: int) -> list[object]:
    return [
        *("--model", model, "--recipe", "smoke", "--wandb", "off", "--workers", 0),
        *("--set", f"steps={STEPS}", "--set", "val_every=12", "--devices", devices, "--out", out),
    ]


def _checkpoints(out: Path) -> list[Path]:
    return sorted(out.glob("*/*/*/checkpoints/step*.ckpt"))


def _wait_for(out: Path, step: int, process: Any) -> None:
    """Until `step` is done."""
    deadline = time.monotonic() + 300
    while True:
        texts = [p.read_text() for p in out.glob("*/*/*/metrics.jsonl")]
        lines = [line for text in texts for line in text.splitlines(keepends=True)]
        if any(int(line.split()[1].rstrip(",")) >= step for line in lines if line.endswith("\n")):
            return
        assert process.poll() is None, "the trial ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("model", "devices"),
    [("deeplabv3p:trunk=mobilenetv2_100", 1), ("unet:width=4", 2)],
    ids=["dropout", "two processes"],
)
def test_killed_three_times_in_every_quarter(tmp_path: Path, model: str, devices: int) -> None:
    whole = tmp_path / "whole"
    status, text = run("experiments.run", *_trial(whole, model, devices))
    assert status == 0, text

    killed = tmp_path / "killed"
    rng = random.Random(f"{model} {devices}")
    quarter = STEPS // 4
    steps = sorted(q * quarter + k for q in range(4) for k in rng.sample(range(1, quarter), 3))
    for step in steps:
        process = start("experiments.run", *_trial(killed, model, devices), output=tmp_path / "log")
        _wait_for(killed, step, process)
        process.send_signal(signal.SIGKILL)
        process.wait(60)
    status, text = run("experiments.run", *_trial(killed, model, devices))
    assert status == 0, text

    first, second = (
        torch.load(_checkpoints(out)[-1], weights_only=True) for out in (whole, killed)
    )
    assert first["global_step"] == second["global_step"] == STEPS
    assert set(first["state_dict"]) == set(second["state_dict"])
    for name, value in first["state_dict"].items():
        assert torch.equal(value, second["state_dict"][name]), name
    results = [read_result(next(out.glob("*/*/*/result.json"))) for out in (whole, killed)]
    ours, theirs = results
    assert isinstance(ours, FinishedTrial)
    assert isinstance(theirs, FinishedTrial)
    assert ours.confusion == theirs.confusion
    assert ours.curve == theirs.curve
    assert len(ours.curve.val) == 4
    assert len(ours.curve.train) == STEPS
    assert ours.curve.first_losses == tuple(loss for _, loss in ours.curve.train)


@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_a_damaged_checkpoint_is_passed_over(tmp_path: Path, damage: str) -> None:
    trial = _trial(tmp_path, "unet:width=4", 1)
    process = start("experiments.run", *trial, output=tmp_path / "log")
    _wait_for(tmp_path, 30, process)  # two validations, so two states at least
    process.send_signal(signal.SIGKILL)
    process.wait(60)
    newest = _checkpoints(tmp_path)[-1]
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 64  # in the weights or the momenta of the optimiser
    newest.write_bytes(content if damage == "flipped" else content[:1000])
    status, text = run("experiments.run", *trial)
    assert status == 0, text
    assert f"passed over, as it is damaged: {newest}" in text
    (result,) = (read_result(path) for path in tmp_path.glob("*/*/*/result.json"))
    assert isinstance(result, FinishedTrial)
    assert len(result.curve.train) == STEPS
