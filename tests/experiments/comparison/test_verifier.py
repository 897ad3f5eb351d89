"""Verifying kept results: equal to the bit, within the noise of other hardware, or different."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from experiments import verify
from experiments.comparison.verifier import compare_losses, kept_losses
from experiments.trials.results import read_results
from experiments.trials.verification import Outcome, stale_results, verified
from tests.commands import ROOT, SETTINGS, exit_status, run
from tests.experiments import here
from tests.experiments.made import arrays, failed, trial

MODEL = "unet:width=4"


@pytest.mark.parametrize(
    ("again", "noise", "outcome", "differs_from"),
    [
        ([2.0, 1.5, 1.0], [], "equal", None),
        ([2.0, 1.5, 1.25], [], "different", 3),
        ([2.0, 1.25, 1.0], [0.0, 0.0, 0.0], "different", 2),
        ([2.0, 1.75, 1.0], [0.0, 0.125, 0.0], "within noise", 2),  # 0.25 of 3 x 0.125
        ([2.0, 1.5, 1.25], [0.0, 0.125, 0.0], "within noise", 3),  # noise never falls again
        ([2.5, 1.5, 1.0], [0.0, 0.125, 0.0], "different", 1),
    ],
)
def test_losses_are_compared_step_by_step(
    again: list[float], noise: list[float], outcome: Outcome, differs_from: int | None
) -> None:
    found = compare_losses({1: 2.0, 2: 1.5, 3: 1.0}, again, noise)
    assert (found.outcome, found.differs_from) == (outcome, differs_from)
    assert (found.steps, found.num_losses) == (3, 3)
    apart = (abs(a - b) / a for a, b in zip((2.0, 1.5, 1.0), again, strict=True))
    assert found.largest == max(apart)


def test_older_results_keep_what_their_curve_has(tmp_path: Path) -> None:
    """Version 0.1 kept every 20th loss of a long training."""
    curve = {"train": [[20, 1.5], [40, 1.25], [60, 1.0]]}
    old = trial(tmp_path, "a", arrays(0.5), curve=curve)
    assert kept_losses(old, 50) == {20: 1.5, 40: 1.25}
    new = trial(tmp_path, "b", arrays(0.5), curve={**curve, "first_losses": [3.0, 2.0]})
    assert kept_losses(new, 50) == {1: 3.0, 2: 2.0, 20: 1.5, 40: 1.25}
    assert kept_losses(new, 1) == {1: 3.0}


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("--steps", "0"), "--steps is 0: give a whole number from 1 to"),
        (("--steps", "10"), "keeps no loss of the first 10 steps: ask for at least 20"),
    ],
)
def test_what_cannot_be_verified_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], args: tuple[str, ...], says: str
) -> None:
    trial(tmp_path, "unet:width=4", arrays(0.5), curve={"train": [[20, 1.5]]})
    assert exit_status(verify.main, tmp_path, *args) == 2
    assert says in capsys.readouterr().err
    assert verify.main([str(tmp_path / "none")]) == 2
    assert "no results folder at" in capsys.readouterr().err
    failed(tmp_path / "failed", "unet:width=4", "no luck")
    assert verify.main([str(tmp_path / "failed")]) == 2
    assert "failed has no finished trial: run a comparison first" in capsys.readouterr().err


def _verify_with(old: str, new: str, results: Path, copy: Path) -> tuple[int, str]:
    """By a copy of the project in which one line of the training is another."""
    for package in ("models", "datamodules", "lightning_modules", "experiments"):
        shutil.copytree(ROOT / package, copy / package, ignore=shutil.ignore_patterns("results"))
    path = copy / "lightning_modules/segmentation.py"
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))
    done = subprocess.run(
        [sys.executable, "-m", "experiments.verify", str(results)],
        cwd=copy,
        env={**os.environ, **SETTINGS},
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.slow  # five trainings of a dozen steps
def test_a_comparison_is_verified_until_a_line_changes_its_numbers(tmp_path: Path) -> None:
    status, text = run(
        "experiments.compare", "--recipe", "smoke", "--models", MODEL, "--wandb", "off",
        "--out", tmp_path / "runs", "--verify",
    )  # fmt: skip
    assert status == 0, text
    assert f"{MODEL} seed 0: equal to the bit (12 losses of the first 12 steps)" in text
    results = read_results(tmp_path / "runs")
    (held,) = verified(results).values()
    assert held.outcome == "equal" and held.num_losses == 12 and not stale_results(results)

    # The first step's loss is that of the same weights; the second follows an update.
    line = "(s.weight * (s.total"  # of gradients alone
    other = line.replace("s.weight", "1.01 * s.weight")
    status, text = _verify_with(line, other, tmp_path / "runs", tmp_path / "copy")
    assert status == 1, text
    assert f"{MODEL} seed 0: different from step 2 on" in text
    assert not verified(read_results(tmp_path / "runs"))


@pytest.mark.slow  # six trainings of a dozen steps
def test_other_hardware_may_move_what_rounding_moves(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    smoke = ("--recipe", "smoke", "--models", MODEL, "--wandb", "off")
    status, text = here.compare(*smoke, "--out", tmp_path)
    assert status == 0, text
    (path,) = tmp_path.rglob("result.json")
    record = json.loads(path.read_text())
    losses = record["curve"]["first_losses"]
    for hardware, factor, says in (
        ("another processor", 1 + 1e-7, "equal within the hardware's noise (12 losses"),
        ("another processor", 1.01, "different from step 1 on"),
        (record["environment"]["hardware"], 1 + 1e-7, "different from step 1 on"),
    ):
        record["environment"]["hardware"] = hardware
        record["curve"]["first_losses"] = [factor * loss for loss in losses]
        record["curve"]["train"] = []
        path.write_text(json.dumps(record))
        with here.verifying():
            verify.main([str(tmp_path)])
        assert f"{MODEL} seed 0: {says}" in capsys.readouterr().out
