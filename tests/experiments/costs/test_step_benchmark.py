"""Seconds of training steps in turn: of all networks, in order of their work, as a file."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from experiments.costs import step_benchmark
from experiments.costs.step_benchmark import TrainingSetting, measure_steps, training_step
from experiments.costs.step_times import StepTimes
from experiments.trials.results import read_record
from tests.commands import ROOT

SETTING = TrainingSetting((48, 48), 2, 3, "32-true")


def test_the_median_of_all_rounds_but_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each network has its turn in each round."""
    seconds = iter([90.0, 9.0, 80.0, 8.0, 3.0, 0.1, 1.0, 0.3, 2.0, 0.2])
    monkeypatch.setattr(step_benchmark, "seconds_of", lambda step: next(seconds))
    found = measure_steps(["unet:width=4", "segnet:width=4"], SETTING, num_rounds=3)
    assert found.seconds == {"unet:width=4": 2.0, "segnet:width=4": 0.2}


def test_more_work_takes_longer() -> None:
    found = measure_steps(["unet:width=4", "unet:width=32"], SETTING, num_rounds=5)
    assert found.seconds["unet:width=32"] > 2 * found.seconds["unet:width=4"]  # 64 times the work


def test_a_step_is_one_of_training_with_its_heads() -> None:
    setting = TrainingSetting((48, 48), 2, 3, "32-true", aux_weight=0.4)
    with torch.autograd.profiler.profile() as with_head:
        training_step("pspnet:width=4", setting)()
    with torch.autograd.profiler.profile() as without:
        training_step("pspnet:width=4", SETTING)()
    losses = [
        sum(event.name == "aten::cross_entropy_loss" for event in found.function_events)
        for found in (with_head, without)
    ]
    assert losses == [2, 1]


def test_it_is_a_process_that_leaves_a_file(tmp_path: Path) -> None:
    def run(*models: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "experiments.costs.step_benchmark", "smoke", "5"]
        path = str(tmp_path / "steps.json")
        return subprocess.run(
            [*command, path, *models], cwd=ROOT, capture_output=True, text=True, check=False
        )

    refused = run("unett")
    assert refused.returncode == 2 and "unknown model 'unett'" in refused.stderr
    assert refused.stderr.count("\n") == 1 and not [*tmp_path.iterdir()]
    assert run("unet:width=4").returncode == 0
    found = read_record(tmp_path / "steps.json", StepTimes, "")
    assert found is not None and [*found.seconds] == ["unet:width=4"]
    assert min(found.seconds.values()) > 0 and found.num_rounds == 12
