"""Results that cannot share a table: refused with the difference, or shown in tables of their own.

The published results, edited: as where a recipe was changed, the data were exchanged, or
predictions were made by another protocol, and all came to lie in one folder.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from experiments import compare, report
from experiments.recipes import demo, smoke
from experiments.trials.atomic_io import write_arrays, write_json
from experiments.trials.comparability import check_comparable, difference, separate, titles
from experiments.trials.data_check import data_hash
from experiments.trials.results import TrialResult, publish, read_results
from experiments.trials.trial import Trial
from tests.commands import ROOT

KEPT = ROOT / "experiments/results/camvid-quick"
Record = dict[str, Any]


def _recipe(record: Record) -> None:
    record["recipe"] |= {"lr": 0.1, "name": "camvid-quick+lr=0.1"}
    record["hashes"]["recipe"] = "a" * 12


def _data(record: Record) -> None:
    record["data"]["fingerprints"] = {"train": "same", "test": "exchanged"}
    record["hashes"]["data"] = "b" * 12


def _protocol(record: Record) -> None:
    record["protocol"] |= {"mode": "whole image, single scale, flip", "flip": True}
    record["hashes"]["protocol"] = "c" * 12


MIXED = {
    "recipe": (_recipe, "recipe (lr: 0.05 against 0.1)"),
    "data": (_data, "data (fingerprints.test: 'first' against 'exchanged')"),
    "protocol": (
        _protocol,
        "protocol (mode: 'whole image, single scale, no flip' against 'whole image, single "
        "scale, flip'; flip: nothing against True)",
    ),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    copy = Path(shutil.copytree(KEPT, tmp_path / "mixed"))
    for path in copy.rglob("result.json"):  # newer results also tell what files they are of
        record = json.loads(path.read_text())
        record["data"]["fingerprints"] = {"train": "same", "test": "first"}
        write_json(path, record)
    return copy


def _edit(folder: Path, change: Callable[[Record], None]) -> Path:
    path = folder / "unet-width=9/seed0/result.json"
    record = json.loads(path.read_text())
    change(record)
    write_json(path, record)
    return path


@pytest.mark.parametrize("part", MIXED)
def test_a_mix_is_refused_by_what_differs_or_separated(
    folder: Path, part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    change, says = MIXED[part]
    check_comparable(read_results(folder))
    changed = _edit(folder, change)
    if part == "data":  # fewer images, which no picture can show beside the others
        arrays = TrialResult(changed, {}).per_image()
        short = {key: a[:100] if len(a) == 233 else a for key, a in arrays.items()}
        write_arrays(changed.parent / "per_image.npz", short)
    assert report.main([str(folder)]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert len(shown.err.strip().splitlines()) == 1
    assert f"differ in {says}: they cannot share a table" in shown.err
    assert "--allow-mixed" in shown.err

    sets = separate(read_results(folder))
    assert [len(some) for some in sets] == [2, 1]
    assert sets[1][0].path == changed
    for some in sets:
        check_comparable(some)


def test_titles_say_what_tells_the_sets_apart(folder: Path) -> None:
    ours = [result.record for result in read_results(folder)][:2]

    def edited(*changes: Callable[[Record], None]) -> list[Record]:
        record = json.loads(json.dumps(ours[0]))
        for change in changes:
            change(record)
        return [record]

    assert titles([ours, edited(_recipe)]) == [
        "recipe camvid-quick",
        "recipe camvid-quick+lr=0.1",
    ]
    assert titles([ours, edited(_protocol)]) == [
        "whole image, single scale, no flip",
        "whole image, single scale, flip",
    ]
    of_data = titles([ours, edited(_data)])
    assert of_data[1] == "camvid test (fingerprints.test: 'exchanged')"
    both = titles([ours, edited(_recipe, _protocol), edited(_recipe)])
    assert both[1] == "recipe camvid-quick+lr=0.1, whole image, single scale, flip"
    assert len({*both}) == 3


def test_long_differences_stay_readable() -> None:
    """Of nineteen weights one differs; of two recipes nearly everything does."""

    def result(recipe: Any) -> TrialResult:
        trial = Trial(recipe, "unet", 0, Path())
        return TrialResult(trial.result_path, {**trial.identity("d"), "status": "done"})

    changed = json.loads(json.dumps(result(demo()).record))
    changed["recipe"]["class_weights"][3] = 0.7
    changed["hashes"]["recipe"] = "e" * 12
    with pytest.raises(ValueError, match="recipe .class_weights.3.: 0.69 against 0.7.:"):
        check_comparable([result(demo()), TrialResult(Path(), changed)])
    with pytest.raises(ValueError, match="; and [0-9]+ more") as raised:
        check_comparable([result(smoke()), result(demo())])
    assert len(str(raised.value)) < 400


def test_failed_trials_stay_with_their_set(folder: Path) -> None:
    path = _edit(folder, _recipe)
    failed = {"status": "failed", "reason": "no memory", "model": "other"}
    write_json(folder / "z/seed0/result.json", json.loads(path.read_text()) | failed)
    check_comparable([r for r in read_results(folder) if r.path != path])  # it is no row
    assert [len(some) for some in separate(read_results(folder))] == [2, 2]


def test_what_nobody_told_goes_with_the_first(folder: Path) -> None:
    path = _edit(folder, lambda record: record["hashes"].update(recipe=None, protocol=None))
    assert len(separate(read_results(folder))) == 1
    record = json.loads(path.read_text())
    _data(record)
    write_json(path, record)
    assert len(separate(read_results(folder))) == 2


def test_data_without_a_hash_are_compared_by_the_scored_split(folder: Path) -> None:
    ours = read_results(folder)[0].record

    def scored(**data: Any) -> Record:
        told = {"name": "camvid", "split": "test", "fingerprints": {"test": "first"}} | data
        hashes = dict.fromkeys(("recipe", "data", "protocol", "code"))
        recipe = {"name": "unknown", "data": "camvid", "test_split": "test"}
        return {"status": "done", "recipe": recipe, "hashes": hashes, "data": told, "protocol": {}}

    assert difference(ours, scored()) is None
    assert difference(scored(), scored()) is None
    exchanged = scored(fingerprints={"test": "exchanged"})
    says = "data (fingerprints.test: 'first' against 'exchanged')"
    assert difference(ours, exchanged) == difference(scored(), exchanged) == says
    older = {**ours, "data": {k: v for k, v in ours["data"].items() if k != "fingerprints"}}
    assert difference(older, exchanged) is None  # nothing tells them apart
    said = "data (name: 'camvid' against 'voc2012')"
    assert difference(older, scored(name="voc2012")) == said
    assert difference(older, scored(split="val")) == "data (split: 'test' against 'val')"
    failed = {k: v for k, v in ours.items() if k != "data"}
    assert difference(failed, scored()) is None
    assert difference(failed, scored(split="val")) == "data (split: 'test' against 'val')"
    assert titles([[ours], [exchanged]])[1] == "camvid test (fingerprints.test: 'exchanged')"


def test_publishing_two_recipes_at_once_is_refused(folder: Path, tmp_path: Path) -> None:
    again = Path(shutil.copytree(folder, tmp_path / "again"))
    results = [*read_results(folder), *read_results(again)]
    with pytest.raises(ValueError, match="two results would be copied to"):
        publish(results, tmp_path / "kept", [])
    assert not (tmp_path / "kept").exists()


def _smoke_trial(out: Path) -> Trial:
    """A finished trial of the smoke recipe, with the numbers of a published result."""
    trial = Trial(smoke(), "unet:width=9", 0, out)
    record = json.loads((KEPT / "unet-width=9/seed0/result.json").read_text())
    identity = trial.identity(data_hash(smoke(), None))
    kept = {"status": "done", "environment": record["environment"]}
    write_json(trial.result_path, record | identity | kept)
    return trial


def test_compare_refuses_a_mix_before_it_trains_or_shows_it_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A comparison's folder may hold predictions from elsewhere that were scored into it."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(report, "write_report", lambda results, page, **_: page.touch())
    monkeypatch.setattr("experiments.reporting.image_panel.make_panel", lambda *_: None)
    trial = _smoke_trial(tmp_path)
    scored = json.loads(trial.result_path.read_text()) | {"model": "theirs", "cost": None}
    _data(scored)
    scored["hashes"] |= {"recipe": None, "protocol": None, "code": None}
    write_json(tmp_path / "smoke/scored/theirs/seed0/result.json", scored)
    models = ["--models", "unet:width=9,unet:width=10"]
    command = ["--recipe", "smoke", "--wandb", "off", "--out", str(tmp_path)]
    assert compare.main([*command, *models]) == 2
    shown = capsys.readouterr()
    assert len(shown.err.strip().splitlines()) == 1
    assert "unet:width=9 and theirs differ in data (" in shown.err
    assert not (tmp_path / "smoke/unet-width=10").exists()

    assert compare.main([*command, "--models", "unet:width=9", "--allow-mixed"]) == 0
    lines = capsys.readouterr().out.splitlines()
    ours = [i for i, line in enumerate(lines) if line.startswith(" unet:width=9")]
    others = [i for i, line in enumerate(lines) if line.startswith(" theirs")]
    heads = [i for i, line in enumerate(lines) if line.startswith("streets:height=48:width=64")]
    assert len(heads) == 2
    assert heads[0] < min(ours) <= max(ours) < heads[1] < min(others)
    assert "fingerprints.test: 'exchanged'" in " ".join(lines[heads[1] : min(others)])
