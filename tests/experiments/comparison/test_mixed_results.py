"""A comparison's folder may hold predictions from elsewhere that were scored into it."""

from pathlib import Path

import pytest

from experiments import compare
from experiments.recipes import smoke
from experiments.trials.data_check import data_hash
from experiments.trials.result_types import Hashes
from experiments.trials.results import write_result
from experiments.trials.trial import Trial
from tests.experiments.ended_trials import finished


def _write_page(results: object, page: Path, **_: object) -> None:
    page.touch()


def test_compare_refuses_a_mix_before_it_trains_or_shows_it_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("experiments.comparison.presentation.write_report", _write_page)
    monkeypatch.setattr("experiments.comparison.presentation.make_panel", lambda *_: None)
    trial = Trial(smoke(), "unet:width=9", 0, tmp_path)
    ours = finished(trial, data=data_hash(smoke(), None))
    write_result(ours)
    theirs = {
        "path": tmp_path / "smoke/scored/theirs/seed0/result.json",
        "model": "theirs",
        "request": None,
        "recipe": None,
        "hashes": Hashes(recipe=None, data="b" * 12, protocol=None, code=None),
        "data": ours.data.model_copy(update={"fingerprints": {"test": "exchanged"}}),
    }
    write_result(ours.model_copy(update=theirs))
    models = ["--models", "unet:width=9,unet:width=10"]
    command = ["--recipe", "smoke", "--wandb", "off", "--out", str(tmp_path)]
    assert compare.main([*command, *models]) == 2
    shown = capsys.readouterr()
    assert len(shown.err.strip().splitlines()) == 1
    assert "unet:width=9 and theirs differ in data (" in shown.err
    assert not (tmp_path / "smoke/unet-width=10").exists()

    assert compare.main([*command, "--models", "unet:width=9", "--allow-mixed"]) == 0
    lines = capsys.readouterr().out.splitlines()
    ours_at = [i for i, line in enumerate(lines) if line.startswith(" unet:width=9")]
    others = [i for i, line in enumerate(lines) if line.startswith(" theirs")]
    heads = [i for i, line in enumerate(lines) if line.startswith("streets:height=48:width=64")]
    assert len(heads) == 2
    assert heads[0] < min(ours_at) <= max(ours_at) < heads[1] < min(others)
    title = " ".join(" ".join(lines[heads[1] : min(others)]).split())
    assert "fingerprints.test: 'exchanged'" in title
