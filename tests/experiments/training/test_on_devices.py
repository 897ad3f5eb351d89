"""Trials on the device that is here: every precision, crops on the device, kill and resume."""

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from experiments.training.callbacks import Clock, FirstLosses
from experiments.training.preparation import prepare
from experiments.training.requested_trial import requested
from experiments.training.trainer import build_trainer, fit
from experiments.training.trial_request import Resources, TrialRequest
from experiments.training.trial_runner import first_steps
from experiments.trials.launch import PARENT
from experiments.trials.recipe import PRECISIONS, Recipe, RecipeRequest
from tests.commands import start
from tests.devices import OWN_DEVICE

MODEL, STEPS, KILLED_AT = "unet:width=4", 200, 60
BITS = "deterministic" in {field.name for field in fields(Recipe)}  # else no GPU promises them
SLOW_ON_A_CPU = [
    pytest.param(*param.values, marks=[*param.marks, *extra])
    for param, extra in zip(OWN_DEVICE, ([pytest.mark.slow], []), strict=True)
]


@pytest.fixture(autouse=True)
def flags_as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a trial switches for its process is switched back."""
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    benchmark = torch.backends.cudnn.benchmark
    yield
    torch.use_deterministic_algorithms(False)
    torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = benchmark, False


def request(out: Path, *overrides: str) -> TrialRequest:
    return TrialRequest(
        recipe=RecipeRequest("smoke", overrides),
        model=MODEL,
        seed=0,
        out=out,
        resources=Resources(workers=0, wandb="off"),
    )


@pytest.mark.parametrize("device", OWN_DEVICE)
@pytest.mark.parametrize("setting", [*(f"precision={p}" for p in PRECISIONS), "crop_on=device"])
def test_first_losses_are_those_of_fp32(setting: str, device: str, tmp_path: Path) -> None:
    """bf16 has 8 bits of mantissa; crops of the device are off by a grey level at most."""
    expected, found = (
        first_steps(request(tmp_path, "steps=8", *changed), 8, False)
        for changed in ((), (setting,))
    )
    assert len(found.losses) == 8
    assert np.isfinite(found.losses).all() and min(found.losses) > 0
    np.testing.assert_allclose(found.losses, expected.losses, rtol=0.05)
    on_gpu = "CPU threads" not in str(found.environment.device)
    assert on_gpu == (device == "cuda")


def train(request: TrialRequest) -> tuple[dict[str, torch.Tensor], dict[int, float], bool]:
    """Weights, losses by step, and whether training went on from a state on disk."""
    ours, found = requested(request), dict[int, float]()
    identity = ours.trial.identity(ours.data_hash)
    prepared = prepare(ours.trial, identity, None, ours.report, ranks=1, workers=0)
    keep = FirstLosses(found.__setitem__, STEPS)
    fit(build_trainer(ours.trial, identity, callbacks=[Clock(), keep]), prepared)
    weights = {name: value.cpu() for name, value in prepared.module.model.state_dict().items()}
    return weights, found, prepared.checkpoint is not None


def wait_for(out: Path, process: Any) -> None:
    """Until a state is saved and some steps after it are done."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        lines = [line for p in out.rglob("metrics.jsonl") for line in p.read_text().splitlines()]
        if len(lines) >= KILLED_AT and list(out.rglob("checkpoints/step*.ckpt")):
            return
        assert process.poll() is None, "the trial ended before it could be killed"
        time.sleep(0.01)
    raise AssertionError("the trial did not come so far")


# As in a trial's own process, where these are no news: see `trial_runner`.
@pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.*")
@pytest.mark.filterwarnings("ignore:.*does not have many workers.*")
@pytest.mark.filterwarnings("ignore:.*ended before the epoch ended.*")
@pytest.mark.parametrize("device", SLOW_ON_A_CPU)
def test_a_killed_trial_ends_as_one_that_was_not(device: str, tmp_path: Path) -> None:
    settings = [f"steps={STEPS}", f"val_every={KILLED_AT // 2}"]
    settings += ["deterministic=true"] if BITS else []
    killed = tmp_path / "killed"
    arguments = ["--model", MODEL, "--recipe", "smoke", "--wandb", "off", "--workers", 0]
    arguments += [part for setting in settings for part in ("--set", setting)]
    process = start(
        "experiments.run",
        *arguments,
        *("--out", killed),
        output=tmp_path / "log",
        **{PARENT: str(os.getpid())},
    )
    try:
        wait_for(killed, process)
        process.send_signal(signal.SIGKILL)
    finally:
        process.kill()
        process.wait(60)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as the killed process: bits depend on it
    try:
        weights, losses, resumed = train(request(killed, *settings))
        expected, all_losses, anew = train(request(tmp_path / "whole", *settings))
    finally:
        torch.set_num_threads(threads)
    assert resumed and not anew
    assert 0 < len(losses) < STEPS and max(losses) == max(all_losses) == STEPS
    assert len(all_losses) == STEPS
    if device == "cpu" or BITS:
        assert all(all_losses[step] == loss for step, loss in losses.items())
        for name, value in expected.items():
            assert torch.equal(value, weights[name]), name
    else:
        last = range(STEPS - 20, STEPS)
        means = [np.mean([part[step] for step in last]) for part in (losses, all_losses)]
        assert means[0] == pytest.approx(means[1], rel=0.1)
