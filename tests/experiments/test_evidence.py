"""What comparisons support, as a command: one folder, or several that say more together."""

import json
import re
from pathlib import Path

import pytest

from experiments import evidence as command
from tests.commands import run
from tests.experiments.analysis.made_runs import BUDGETS, budgets, crossed
from tests.experiments.made import arrays, failed, spread, trial, write_prior


def test_the_command(tmp_path: Path) -> None:
    for seed, (name, mean) in enumerate([("deeplabv3p:trunk=mobilenetv2_100", 0.6), ("unet", 0.5)]):
        trial(tmp_path / "runs", name, arrays(spread(mean, 0.01, seed), mean - 0.1))
    why = "did not train under this recipe: the loss is nan"
    failed(tmp_path / "runs", "segnet", why, kind="diverged")
    write_prior(tmp_path / "runs", 0.2)
    status, text = run("experiments.evidence", tmp_path / "runs", "--json", tmp_path / "e.json")
    assert status == 0
    words = " ".join(text.split())
    for part in (
        "is best with 60.0 % mIoU, 10.0 points above the next, unet",
        "deeplabv3p:trunk=mobilenetv2_100",
        "segnet is not ranked: seed 0: did not train",
        "Noise of repeats: unknown",
    ):
        assert part in words
    assert max(len(line) for line in text.splitlines() if str(tmp_path) not in line) <= 80
    (kept,) = json.loads((tmp_path / "e.json").read_text())["comparisons"].values()
    assert kept["pairs"][0]["verdict"]["kind"] == "better"


def test_the_command_refuses_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main([str(tmp_path / "none")]) == 2
    assert re.fullmatch(r"no results folder at .*\n", capsys.readouterr().err)
    trial(tmp_path, "a", arrays(0.5))
    trial(tmp_path, "b", arrays(0.5), recipe={"lr": 0.5})
    capsys.readouterr()
    assert command.main([str(tmp_path), "--json", str(tmp_path / "e.json")]) == 2
    assert "differ in recipe" in capsys.readouterr().err
    assert not (tmp_path / "e.json").exists()


def test_the_command_puts_folders_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    budgets(tmp_path / "steps")
    folders = [str(tmp_path / "steps" / str(steps)) for steps in BUDGETS]
    assert command.main([*folders, "--json", str(tmp_path / "m.json")]) == 0
    text = capsys.readouterr().out
    assert "Training cost for the same mIoU" in text and "1.50" in text and "0.25" in text
    kept = json.loads((tmp_path / "m.json").read_text())
    found = [one["found"]["multiplier"] for one in kept["multipliers"]]
    assert found == pytest.approx([1.5, 0.25], rel=1e-3)
    crossed(tmp_path / "seeds")
    folders = [str(tmp_path / f"seeds/data{d}") for d in range(3)]
    write_prior(tmp_path / "seeds/data0", 0.1)
    assert command.main([*folders, "--target", "checkpoints"]) == 0
    text = capsys.readouterr().out
    assert "Spread of runs, points" in text and "initialisation" in text
    assert command.main([folders[0], str(tmp_path / "steps/1000")]) == 0
    text = capsys.readouterr().out
    assert "Nothing is said of these folders together: the recipes differ in" in text


def test_the_command_says_what_a_changed_recipe_is_worth(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    name = "deeplabv3p:trunk=tf_efficientnet_lite0"
    trial(tmp_path / "a", name, arrays(spread(0.5, 0.05)))
    trial(tmp_path / "b", name, arrays(spread(0.6, 0.02, 1)), recipe={"init": "imagenet"})
    folders = [str(tmp_path / "a"), str(tmp_path / "b")]
    assert command.main([*folders, "--json", str(tmp_path / "e.json")]) == 0
    text = capsys.readouterr().out
    assert "init=imagenet instead of random: +10.0 points of mIoU for" in text
    assert "has no part of seeds" in " ".join(text.split())
    table = text.split("Worth of the changed recipe")[1]
    assert "50.0" in table and "60.0" in table and "+10.0" in table
    assert max(len(line) for line in text.splitlines() if str(tmp_path) not in line) <= 80
    assert "Nothing is said" not in text
    (kept,) = json.loads((tmp_path / "e.json").read_text())["recipe_effects"]
    assert kept["changes"] == [{"field": "init", "before": "random", "after": "imagenet"}]
    assert kept["networks"][0]["difference"]["value"] == pytest.approx(0.1, abs=1e-3)


def test_any_name_on_a_terminal_of_ascii(tmp_path: Path) -> None:
    """Also where Python is told to use nothing better: what it lacks is printed by number."""
    trial(tmp_path / "결과", "유넷", arrays(0.5), data={"classes": ["길", "차"]})
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    for more in ({}, {"PYTHONIOENCODING": "ascii"}):
        status, text = run("experiments.evidence", tmp_path / "결과", **ascii_only, **more)
        assert status == 0, text
        assert text.isascii() and "\\uc720\\ub137" in text
