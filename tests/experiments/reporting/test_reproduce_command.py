"""The command that a report names makes the same recipe, networks and seeds again."""

import dataclasses
import shlex
from pathlib import Path
from typing import Any

import pytest

from experiments.reporting.reproduce_command import reproduce_command
from experiments.trials.overrides import load
from experiments.trials.recipe import RecipeRequest
from experiments.trials.tuning_budget import TuningBudget
from tests.experiments.made import failed, trial

BUDGET = TuningBudget(
    num_trials=6,
    seed=0,
    lr=0.05,
    weight_decay=5e-4,
    span=10.0,
    steps=1000,
    train_split="train~rest",
    select_split="train~held",
)


def options_of(command: str) -> dict[str, list[str]]:
    """As a shell reads them."""
    parts = shlex.split(command)
    assert parts[:3] == ["python", "-m", "experiments.compare"]
    options: dict[str, list[str]] = {}
    for flag, value in zip(parts[3::2], parts[4::2], strict=True):
        options.setdefault(flag, []).append(value)
    return options


@pytest.mark.parametrize(
    ("request_", "models"),
    [
        (RecipeRequest("camvid-quick"), ["a", "b:x=1"]),
        (RecipeRequest("camvid-quick", ("lr=0.02", "scale=0.5x2.0")), ["a"]),
        (RecipeRequest("camvid-quick", ("class_weights=None",), "camvid:original=True"), ["a"]),
    ],
)
def test_command_repeats_the_recipe(
    tmp_path: Path, request_: RecipeRequest, models: list[str]
) -> None:
    recipe, asked = dataclasses.asdict(load(request_)), dataclasses.asdict(request_)
    results = [
        trial(tmp_path, model, None, seed, recipe=recipe, request=asked)
        for model in models
        for seed in (2, 0)
    ]
    options = options_of(reproduce_command(results))
    (name,), data = options["--recipe"], options.get("--data", [None])[0]
    assert RecipeRequest(name, tuple(options.get("--set", ())), data) == request_
    assert options["--models"] == [",".join(models)] and options["--seeds"] == ["0,2"]
    assert options["--data-root"] == ["FOLDER"]
    assert {"--tune", "--repeats"}.isdisjoint(options)


def test_tuning_and_repeats_are_asked_for_again(tmp_path: Path) -> None:
    tuned = {"lr": 0.02, "tuning": BUDGET}
    results = [
        trial(tmp_path / "own", "a", None),
        trial(tmp_path / "own", "a", None, repeat=1),
        trial(tmp_path / "tuned", "a", None, recipe=tuned),
    ]
    options = options_of(reproduce_command(results))
    assert (options["--tune"], options["--repeats"]) == (["6"], ["2"])
    assert options["--models"] == ["a"] and options["--seeds"] == ["0"]


def test_a_failed_trial_knows_it_too(tmp_path: Path) -> None:
    options = options_of(reproduce_command([failed(tmp_path, "a", "out of memory", seed=3)]))
    assert options["--recipe"] == ["camvid-quick"] and options["--seeds"] == ["3"]


def test_predictions_from_elsewhere_are_scored(tmp_path: Path) -> None:
    untold: dict[str, Any] = {"recipe": None, "data": "d", "protocol": None, "code": None}
    path = tmp_path / "r"
    result = trial(path, "theirs", None).model_copy(
        update={"request": None, "recipe": None, "hashes": untold}
    )
    command = "python -m experiments.score PREDICTIONS --data camvid --split test"
    assert reproduce_command([result]) == f"{command} --data-root FOLDER"
