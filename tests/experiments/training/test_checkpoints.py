"""States of training on disk: whole or not there, of this trial or of none."""

import random
import resource
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from experiments.recipes import smoke
from experiments.training.checkpoints import (
    Checkpoints,
    WholeFiles,
    check_origin,
    last_checkpoint,
    marks,
)
from experiments.trials.atomic_io import remove_drafts
from experiments.trials.result_types import TrialIdentity
from experiments.trials.trial import Trial
from models import build_model
from tests.experiments.ended_trials import DATA

Output = pytest.CaptureFixture[str]


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    return Trial(smoke(), "unet:width=4", 0, tmp_path)


def _state(seed: int) -> dict[str, Any]:
    """As Lightning's: weights, the momenta of an optimiser, numbers and texts."""
    torch.manual_seed(seed)
    network = build_model("unet:width=4", 3)
    momenta = {i: {"momentum_buffer": torch.randn(40)} for i in range(3)}
    return {
        "global_step": seed,
        "state_dict": {f"model.{k}": v for k, v in network.state_dict().items()},
        "optimizer_states": [{"state": momenta, "param_groups": [{"lr": 0.1, "params": [0, 1]}]}],
    }


def _save(trial: Trial, step: int, identity: TrialIdentity | None = None) -> Path:
    path = trial.folder / "checkpoints" / f"step{step:08d}.ckpt"
    mark = {} if identity is None else {"trial": marks(identity)}
    WholeFiles().save_checkpoint({**_state(step), **mark}, path)
    return path


def _same(first: object, second: object) -> bool:
    if isinstance(first, torch.Tensor) and isinstance(second, torch.Tensor):
        return torch.equal(first, second)
    if isinstance(first, dict) and isinstance(second, dict):
        return [*first] == [*second] and all(_same(first[k], second[k]) for k in first)
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(map(_same, first, second))
    return first == second


def _loaded(path: Path) -> object:
    try:
        return torch.load(path, weights_only=True)
    except Exception:
        return None


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_no_flipped_bit_is_trained_on(trial: Trial, capsys: Output) -> None:
    older, newer = _save(trial, 4), _save(trial, 8)
    content, truth = newer.read_bytes(), torch.load(newer, weights_only=True)
    rng, counts = random.Random(0), dict.fromkeys(("passed over", "harmless", "believed"), 0)
    for _ in range(60):
        flipped = bytearray(content)
        flipped[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        newer.write_bytes(flipped)
        taken = last_checkpoint(trial.folder)
        believed = _loaded(newer)  # as torch.load alone would have it
        counts["believed"] += believed is not None and not _same(believed, truth)
        if taken == newer:
            assert _same(believed, truth)  # a bit of padding, or of a date
            counts["harmless"] += 1
        else:
            assert taken == older
            counts["passed over"] += 1
            assert f"damaged: {newer} (" in capsys.readouterr().err
    assert counts["passed over"] + counts["harmless"] == 60
    assert counts["believed"] > 50


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "cut": lambda content: content[: len(content) // 2],
    "cut by a byte": lambda content: content[:-1],
    "text": lambda content: b"not a checkpoint",
    "zeros": lambda content: bytes(len(content)),
    "a hole": lambda content: content[:5000] + bytes(4096) + content[9096:],
    "a state with its end twice": lambda content: content + content[-3000:],
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_other_damages_are_passed_over(trial: Trial, damage: str) -> None:
    older, newer = _save(trial, 4), _save(trial, 8)
    newer.write_bytes(DAMAGES[damage](newer.read_bytes()))
    taken = last_checkpoint(trial.folder)
    assert taken == older or _same(_loaded(newer), _state(8))
    older.unlink()
    newer.write_bytes(b"")
    assert last_checkpoint(trial.folder) is None


OTHERS: dict[str, Callable[[Trial], Trial]] = {
    "recipe": lambda t: replace(t, recipe=replace(t.recipe, lr=0.02)),
    "model": lambda t: replace(t, model="unet:width=8"),
    "seed": lambda t: replace(t, seed=1),
    "repeat": lambda t: replace(t, repeat=1),
    "data_seed": lambda t: replace(t, recipe=replace(t.recipe, data_seed=7)),
}


@pytest.mark.parametrize("what", [*OTHERS, "data", "code"])
def test_a_state_of_another_trial_is_refused_by_what_differs(trial: Trial, what: str) -> None:
    ours = trial.identity(DATA)
    if what in OTHERS:
        theirs = OTHERS[what](trial).identity(DATA)
    else:
        theirs = ours.model_copy(update={"hashes": ours.hashes.model_copy(update={what: "old"})})
    path = _save(trial, 4, theirs)
    with pytest.raises(ValueError, match=rf"is of another trial \(.*{what}.*--rerun all"):
        last_checkpoint(trial.folder, ours)
    with pytest.raises(ValueError, match=f"not of the trial that trial.json beside it .*{what}"):
        check_origin(path, ours)
    assert path.is_file()
    _save(trial, 8, ours)  # a state of its own after it is gone on from
    assert last_checkpoint(trial.folder, ours) == trial.folder / "checkpoints/step00000008.ckpt"


def test_a_state_that_names_no_trial_is_evaluated_but_not_gone_on_from(trial: Trial) -> None:
    path, ours = _save(trial, 4), trial.identity(DATA)
    check_origin(path, ours)
    assert last_checkpoint(trial.folder) == path
    with pytest.raises(ValueError, match="does not say of which trial it is: move it away"):
        last_checkpoint(trial.folder, ours)


def test_states_are_staged_beside_their_place(
    trial: Trial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "nowhere"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    path = _save(trial, 4)
    assert [*path.parent.iterdir()] == [path]
    assert _same(torch.load(path, weights_only=True), _state(4))


@pytest.fixture
def small_files() -> Iterator[int]:
    """As a full disk: a file takes so many bytes and no more."""
    before, limit = resource.getrlimit(resource.RLIMIT_FSIZE), 100_000
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    yield limit
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_leaves_the_state_before(trial: Trial, small_files: int) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limits[1], limits[1]))
    older = _save(trial, 4)
    size = older.stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert size > small_files
    with pytest.raises(OSError, match=rf"cannot write .*step00000008.ckpt: it needs {size} bytes"):
        _save(trial, 8)
    assert [*older.parent.iterdir()] == [older]
    assert last_checkpoint(trial.folder) == older


def test_what_a_kill_left_half_written_is_removed(tmp_path: Path) -> None:
    (tmp_path / "clip").mkdir()
    drafts = [".step00000004.ckpt.k3_9xyab", "clip/.a.png.abcdefgh"]
    others = [".DS_Store", "._a.png", "a.png", "step00000004.ckpt", ".a.png.notadraft"]
    for name in drafts + others:
        (tmp_path / name).touch()
    remove_drafts(tmp_path)
    assert {p.name for p in tmp_path.rglob("*") if p.is_file()} == set(others)


def test_the_last_two_states_are_kept(trial: Trial) -> None:
    folder = trial.folder / "checkpoints"
    callback = Checkpoints(folder, None, steps=100, val_every=50)
    for step in (3, 6, 90, 9):  # 90 was damaged when training went on from 6
        callback._keep_two(_save(trial, step))
    assert [path.name for path in sorted(folder.iterdir())] == [
        "step00000006.ckpt",
        "step00000009.ckpt",
    ]
