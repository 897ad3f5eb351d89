"""A trial's folder: what is kept, what is done again, who holds it, and when code is other."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from experiments.recipes import smoke
from experiments.trials.data_check import data_hash
from experiments.trials.folder_lock import BusyError
from experiments.trials.hashing import short_hash
from experiments.trials.results import IDENTITY, write_record
from experiments.trials.trial import State, Trial
from tests.commands import ROOT
from tests.experiments.ended_trials import DATA, fail, finish
from tests.trees import ade20k, voc2012


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    return Trial(smoke(), "unet:width=8", 0, tmp_path)


def test_states(trial: Trial) -> None:
    assert trial.state(DATA) is State.NEW
    write_record(trial.folder / IDENTITY, trial.identity(DATA))
    assert trial.state(DATA) is State.STARTED
    write_record(trial.folder / IDENTITY, trial.identity("other"))
    assert trial.state(DATA) is State.OTHER
    finish(trial)
    assert trial.state(DATA) is State.DONE
    assert trial.state("other") is State.OTHER
    finish(trial, code="older")
    assert trial.state(DATA) is State.STALE
    finish(trial, recipe="older")
    assert trial.state(DATA) is State.OTHER
    fail(trial)
    assert trial.state(DATA) is State.FAILED
    fail(trial, code="older")
    assert trial.state(DATA) is State.REDO


def test_what_is_done_again(trial: Trial) -> None:
    assert trial.prepare(DATA)
    finish(trial, code="older")
    (trial.folder / "checkpoints").mkdir()
    assert not trial.prepare(DATA)  # kept, and marked in tables
    assert trial.prepare(DATA, "stale")
    assert not trial.result_path.exists()
    assert not (trial.folder / "checkpoints").exists()
    finish(trial)
    assert not trial.prepare(DATA, "stale")
    assert trial.prepare(DATA, "all")
    finish(trial, recipe="older")
    with pytest.raises(ValueError, match="cannot be mixed with this one: do it again with --rerun"):
        trial.prepare(DATA)
    assert trial.result_path.exists()
    fail(trial)
    (trial.folder / "checkpoints").mkdir()
    assert trial.prepare(DATA)  # goes on from its checkpoints
    assert (trial.folder / "checkpoints").exists()


def test_a_second_holder_is_told_who_the_first_is(trial: Trial) -> None:
    with trial.lock():
        held = json.loads((trial.folder / "holder.json").read_text())
        assert held["pid"] > 0
        says = rf"held by process {held['pid']} on .* since 20"
        with pytest.raises(BusyError, match=says), trial.lock():
            pass
    with trial.lock():
        pass
    assert not (trial.folder / "holder.json").exists()


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"\xff\xfe{}", b"[]", b"7", b"null", b'"x"', b"{}", b"[" * 100_000,
        b'{"pid": 7, "host": "a"}', b'{"pid": "7", "host": "a", "start": 1}',
        b'{"pid": 7, "host": null, "start": 1}', b'{"pid": 7, "host": "a", "start": "now"}',
    ],
)  # fmt: skip
def test_a_holder_whose_word_is_damaged_holds_all_the_same(trial: Trial, content: bytes) -> None:
    with trial.lock():
        (trial.folder / "holder.json").write_bytes(content)
        with pytest.raises(BusyError, match="held by another process"), trial.lock():
            pass
    (trial.folder / "holder.json").write_bytes(content)  # of a dead one
    if content:
        (trial.folder / "lease").write_bytes(content)
    with trial.lock():
        pass
    assert not (trial.folder / "holder.json").exists()


@pytest.mark.parametrize("start", ["NaN", "Infinity", "1e300", "-1e300"])
def test_a_holder_without_a_time_that_a_clock_knows(trial: Trial, start: str) -> None:
    with trial.lock():
        text = f'{{"pid": 7, "host": "a", "start": {start}}}'
        (trial.folder / "holder.json").write_text(text)
        with pytest.raises(BusyError, match="held by process 7 on a$"), trial.lock():
            pass


def test_folders_and_seeds(tmp_path: Path) -> None:
    recipe = replace(smoke(), data_seed=5)
    trial = Trial(recipe, "smp/fpn:encoder=x", 2, tmp_path)
    assert trial.folder == tmp_path / "smoke" / "smp-fpn-encoder=x" / "seed2"
    assert (trial.init_seed, trial.data_seed) == (2, 5)
    again = replace(trial, repeat=1)
    assert again.folder == trial.folder.with_name("seed2-repeat1")
    assert (again.init_seed, again.data_seed) == (2, 5)
    assert again.name == "smp/fpn:encoder=x seed 2 repeat 1"


def test_ids_differ_by_recipe_model_and_seed(trial: Trial) -> None:
    others = [
        replace(trial, seed=1),
        replace(trial, repeat=1),
        replace(trial, model="unet"),
        replace(trial, recipe=replace(trial.recipe, lr=0.5)),
    ]
    assert len({trial.identity().id, *(other.identity().id for other in others)}) == 5
    older = short_hash([trial.recipe.hash(), trial.model, trial.seed])
    assert trial.identity().id == older  # by which runs in W&B are found again
    assert replace(trial, out=Path("elsewhere")).identity().id == trial.identity().id


def test_data_hash_follows_the_data() -> None:
    recipe = smoke()
    other = replace(recipe, data=recipe.data.replace("test=6", "test=5"))
    assert data_hash(recipe, None) == data_hash(recipe, None) != data_hash(other, None)


def _copy(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    for package in ("models", "datamodules", "lightning_modules", "experiments"):
        for path in (ROOT / package).rglob("*.py"):
            copy = root / path.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(path.read_text())
    return root


@pytest.mark.parametrize(
    ("path", "old", "new", "changes"),
    [
        ("models/unet.py", "_LEVELS = 5", "_LEVELS = 5", False),
        ("models/unet.py", "_LEVELS = 5", "_LEVELS = 4", True),
        ("models/unet.py", "# 1/1 ... 1/16", "# another comment", False),
        ("models/unet.py", '"""U-Net', '"""The U-Net', False),
        ("models/hrnet_trunk.py", "expansion = 4", "expansion = 2", False),  # not its file
        ("datamodules/loading/transforms.py", "INTER_LINEAR", "INTER_CUBIC", True),
        ("lightning_modules/losses.py", '"sum"', '"mean"', True),
        (
            "experiments/training/trainer.py",
            "num_sanity_val_steps=0",
            "num_sanity_val_steps=1",
            True,
        ),
        ("experiments/compare.py", "DESCRIPTION = ", "ABOUT = ", False),
        ("models/registry.py", '"unet": ', '"unet2": "models.unet:unet", "unet": ', False),
    ],
)
def test_code_hash_changes_with_what_makes_numbers(
    tmp_path: Path, path: str, old: str, new: str, changes: bool
) -> None:
    root = _copy(tmp_path)
    before = _code_hash(root)
    text = (root / path).read_text()
    assert old in text
    (root / path).write_text(text.replace(old, new))
    assert (before != _code_hash(root)) == changes


def _code_hash(root: Path) -> str:
    """As a process of its own finds it, in a copy of the project."""
    script = (
        "from experiments.trials.code_hash import code_hash\n"
        "print(code_hash('unet:width=8', 'streets:height=48'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_what_is_scored_is_not_trained_on(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="scores test, which its training split test shows"):
        data_hash(replace(smoke(), train_split="test"), None)
    voc2012.build(tmp_path)
    voc = replace(smoke(), data="voc2012", train_split="trainval", test_split="val")
    with pytest.raises(ValueError, match="scores val, which its training split trainval shows"):
        data_hash(voc, tmp_path)


def test_crops_on_the_device_need_one_size(tmp_path: Path) -> None:
    ade20k.build(tmp_path)
    recipe = replace(smoke(), data="ade20k", test_split="val")
    assert data_hash(recipe, tmp_path)
    with pytest.raises(ValueError, match="have 6 sizes.*--set crop_on=workers"):
        data_hash(replace(recipe, crop_on="device"), tmp_path)
