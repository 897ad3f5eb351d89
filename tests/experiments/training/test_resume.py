"""A trial that is killed and started again ends where an uninterrupted one ends, to the bit."""

import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from experiments.trials.result_types import FinishedTrial
from experiments.trials.results import read_result
from tests.experiments import here
from tests.forks import Fork, Forks

pytestmark = pytest.mark.slow
STEPS = 48


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    with Forks() as started:
        yield started


AVERAGED = (  # all that a training keeps beside its weights
    *("optimizer=adamw", "no_decay=true", "ema=0.9", "warmup=17", "schedule=cosine"),
    *("loss=ohem+0.5*dice", "aux_weight=0.4", "clip_norm=1", "precision=16-mixed"),
)


def _trial(out: Path, model: str, devices: int, fields: tuple[str, ...] = ()) -> list[object]:
    changes = (f"steps={STEPS}", "val_every=12", *fields)
    return [
        *("--model", model, "--recipe", "smoke", "--wandb", "off", "--workers", 0),
        *(f"--set={change}" for change in changes),
        *("--devices", devices, "--out", out),
    ]


def _checkpoints(out: Path) -> list[Path]:
    return sorted(out.glob("*/*/*/checkpoints/step*.ckpt"))


def _wait_for(out: Path, step: int, process: Fork) -> None:
    """Until `step` is done."""
    deadline = time.monotonic() + 300
    while True:
        texts = [p.read_text() for p in out.glob("*/*/*/metrics.jsonl")]
        lines = [line for text in texts for line in text.splitlines(keepends=True)]
        if any(int(line.split()[1].rstrip(",")) >= step for line in lines if line.endswith("\n")):
            return
        assert process.running(), "the trial ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("model", "devices", "kills", "fields"),
    [
        ("deeplabv3p:trunk=mobilenetv2_100", 1, 3, ()),
        ("unet:width=4", 2, 1, ()),
        ("pspnet:trunk=resnet18:width=4", 1, 1, AVERAGED),
    ],
    ids=["dropout, three times", "two processes", "averaged weights"],
)
def test_killed_in_every_quarter(
    forks: Forks, tmp_path: Path, model: str, devices: int, kills: int, fields: tuple[str, ...]
) -> None:
    """How often, `test_kills` does with two processes as well."""
    whole, killed, log = (tmp_path / name for name in ("whole", "killed", "log"))

    def trial(out: Path) -> list[object]:
        return _trial(out, model, devices, fields)

    forks.start("experiments.run", *trial(whole), output=log).wait(300)
    rng = random.Random(f"{model} {devices}")
    quarter = STEPS // 4
    steps = sorted(q * quarter + k for q in range(4) for k in rng.sample(range(1, quarter), kills))
    for step in steps:
        process = forks.start("experiments.run", *trial(killed), output=log)
        _wait_for(killed, step, process)
        process.kill()
    forks.start("experiments.run", *trial(killed), output=log).wait(300)

    first, second = (
        torch.load(_checkpoints(out)[-1], weights_only=True) for out in (whole, killed)
    )
    assert first["global_step"] == second["global_step"] == STEPS
    states = ("state_dict", "trained_state_dict") if fields else ("state_dict",)
    for state in states:  # the average, and what training would go on from
        assert set(first[state]) == set(second[state])
        for name, value in first[state].items():
            assert torch.equal(value, second[state][name]), name
    if fields:
        assert first["state_dict"].keys() == first["trained_state_dict"].keys()
        assert not torch.equal(*(first[s]["model.trunk.conv1.weight"] for s in states))
        scalers = [state["MixedPrecision"] for state in (first, second)]
        assert scalers[0] == scalers[1]
        assert scalers[1]["_growth_tracker"] == STEPS  # steps without an overflow, before kills too
    results = [read_result(next(out.glob("*/*/*/result.json"))) for out in (whole, killed)]
    ours, theirs = results
    assert isinstance(ours, FinishedTrial), log.read_text()
    assert isinstance(theirs, FinishedTrial), log.read_text()
    assert ours.confusion == theirs.confusion
    assert ours.curve == theirs.curve
    assert len(ours.curve.val) == 4
    assert len(ours.curve.train) == STEPS
    assert ours.curve.first_losses == tuple(loss for _, loss in ours.curve.train)


def _same(whole: Path, ended: Path, log: Path) -> None:
    """Whether two folders hold the same weights, confusion and curves."""
    first, second = (torch.load(_checkpoints(out)[-1], weights_only=True) for out in (whole, ended))
    assert first["global_step"] == second["global_step"] == STEPS
    for name, value in first["state_dict"].items():
        assert torch.equal(value, second["state_dict"][name]), name
    ours, theirs = (read_result(next(out.glob("*/*/*/result.json"))) for out in (whole, ended))
    assert isinstance(ours, FinishedTrial), log.read_text()
    assert isinstance(theirs, FinishedTrial), log.read_text()
    assert (ours.confusion, ours.curve) == (theirs.confusion, theirs.curve)


@pytest.mark.parametrize(
    ("devices", "moments"),
    [
        (
            1,
            [
                ("start", signal.SIGUSR1, 0, None),
                ("step", signal.SIGUSR1, 0, 1),  # before the first state is saved
                ("save", signal.SIGUSR1, 0, None),
                ("validation", signal.SIGUSR1, 0, 12),
                ("step", signal.SIGTERM, 0, 13),
                ("validation", signal.SIGTERM, 0, 24),
                ("prediction", signal.SIGUSR1, 0, STEPS),
                ("scoring", signal.SIGUSR1, 0, STEPS),
                ("scoring", signal.SIGTERM, 0, STEPS),
            ],
        ),
        (2, [("step", signal.SIGUSR1, 0, 1), ("step", signal.SIGTERM, 1, None)]),
    ],
    ids=["one process", "two processes"],
)
def test_asked_to_end_it_saves_and_goes_on(
    forks: Forks,
    tmp_path: Path,
    devices: int,
    moments: list[tuple[str, signal.Signals, int, int | None]],
) -> None:
    """With status 75, after the step, the save or the validation in which it is asked."""
    whole, asked, log = (tmp_path / name for name in ("whole", "asked", "log"))
    trial = [str(one) for one in _trial(asked, "unet:width=4", devices)]
    forks.start("experiments.run", *_trial(whole, "unet:width=4", devices), output=log).wait(300)
    for phase, number, rank, step in moments:
        moment = (phase, int(number), rank)
        module = "tests.experiments.training.signalled_trial"
        process = forks.start(module, *moment, *trial, output=log)
        assert process.status(300) == 75, (moment, log.read_text())
        assert not list(asked.glob("*/*/*/result.json"))
        if step is not None:
            assert _checkpoints(asked)[-1].name == f"step{step:08d}.ckpt", moment
    assert forks.start("experiments.run", *trial, output=log).status(300) == 0, log.read_text()
    _same(whole, asked, log)


@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_a_damaged_checkpoint_is_passed_over(forks: Forks, tmp_path: Path, damage: str) -> None:
    trial = _trial(tmp_path, "unet:width=4", 1)
    process = forks.start("experiments.run", *trial, output=tmp_path / "log")
    _wait_for(tmp_path, 30, process)  # two validations, so two states at least
    process.kill()
    newest = _checkpoints(tmp_path)[-1]
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 64  # in the weights or the momenta of the optimiser
    newest.write_bytes(content if damage == "flipped" else content[:1000])
    status, text = here.trial(*trial)
    assert status == 0, text
    assert f"passed over, as it is damaged: {newest}" in text
    (result,) = (read_result(path) for path in tmp_path.glob("*/*/*/result.json"))
    assert isinstance(result, FinishedTrial)
    assert len(result.curve.train) == STEPS
