"""Several processes against one: the same batches, losses, weights, predictions and counts."""

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from datamodules import open_data
from experiments.scoring.metrics import score_folder
from tests.commands import run
from tests.lightning_modules import worker
from tests.lightning_modules.worker import MODEL

pytestmark = pytest.mark.slow


def _train_here(out: Path, *args: object) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Lightning's advice, as to have more readers
        worker.main(["train", "--out", str(out), *map(str, args)])
    return out


def _start(*args: object) -> None:
    status, text = run("tests.lightning_modules.worker", *args)
    assert status == 0, text


def _read(folder: Path, ranks: int) -> tuple[list[float], list[list[str]]]:
    """Losses of rank 0, and per step what all ranks saw, in their order."""
    records = [json.loads((folder / f"rank{r}.json").read_text()) for r in range(ranks)]
    steps = zip(*(record["seen"] for record in records), strict=True)
    return records[0]["losses"], [[h for part in step for h in part] for step in steps]


def _farthest(a: Path, b: Path) -> float:
    first, second = (torch.load(p / "weights.pt", weights_only=True) for p in (a, b))
    return max(float((first[k].double() - second[k].double()).abs().max()) for k in first)


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights 50 steps into training: initial statistics, frozen, would fit no image, and a
    network that they mute would not show wrong data."""
    return _train_here(tmp_path_factory.mktemp("warm"), "--steps", 50) / "weights.pt"


@pytest.fixture(scope="module")
def by_two(warm: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes leave: a training, one of another seed, and an evaluation."""
    out = tmp_path_factory.mktemp("two")
    given = ("--weights", warm, "--devices", 2, "--out")
    _start(
        *("train", *given, out / "same", "--", "train", "--seed", 1, *given, out / "other", "--"),
        *("evaluate", *given, out / "evaluated"),
    )
    return out


def test_two_processes_train_as_one(warm: Path, by_two: Path, tmp_path: Path) -> None:
    one, two, other = tmp_path / "one", by_two / "same", by_two / "other"
    _train_here(one, "--weights", warm)
    losses, seen = _read(one, 1)
    assert _read(two, 2)[1] == seen
    assert len(losses) == 20
    np.testing.assert_allclose(_read(two, 2)[0], losses, atol=1e-5, rtol=0)
    assert _farthest(one, two) < 1e-5
    # The same comparison does see it when the images are others.
    assert _read(other, 2)[1] != seen
    assert np.abs(np.subtract(_read(other, 2)[0], losses)).max() > 1e-2
    assert _farthest(one, other) > 1e-2


def test_evaluation_is_the_same_to_the_bit_on_any_ranks(
    warm: Path, by_two: Path, tmp_path: Path
) -> None:
    folders = [tmp_path / "1", by_two / "evaluated", tmp_path / "3"]
    for ranks in (1, 3):
        given = ("--weights", warm, "--devices", ranks, "--out", tmp_path / str(ranks))
        _start("evaluate", *given)
    for size in range(1, 6):
        found: list[Any] = []
        for folder in folders:
            for workers in (0, 2):
                trial = folder / f"size{size}-workers{workers}" / "smoke" / MODEL / "seed0"
                pictures = sorted((trial / "predictions").glob("*.png"))
                assert len(pictures) == size
                matrix = json.loads((trial / "matrix.json").read_text())
                found.append((matrix, {p.name: p.read_bytes() for p in pictures}))
        assert all(other == found[0] for other in found[1:])
        # The scorer of the PNGs counts what the metric of the same weights counted.
        data = open_data(f"streets:height=48:width=64:train=4:val={size}:test={size}", "test")
        counted = score_folder(trial / "predictions", data).confusion
        assert counted.sum() > 0
        np.testing.assert_array_equal(counted, found[0][0])
