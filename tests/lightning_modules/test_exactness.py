"""Every loss, optimiser and head: the same training however its batch is cut, and killed or not."""

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.commands import run
from tests.lightning_modules import worker

pytestmark = pytest.mark.slow

OWN = """
import torch

def tversky(logits, mask):
    p, y = logits.softmax(1), torch.nn.functional.one_hot(mask.clamp(max=10), 11)
    there = (mask != 255)[:, None]
    p, y = p * there, y.permute(0, 3, 1, 2) * there
    dims = (0, 2, 3)
    both, only, missed = (p * y).sum(dims), (p * (1 - y)).sum(dims), ((1 - p) * y).sum(dims)
    return 1 - (both / (both + 0.3 * only + 0.7 * missed + 1)).mean()

def lion(groups):
    return torch.optim.RMSprop(groups, momentum=0.5)
"""
PIXELS = [  # cut at will
    ["loss=ce", "label_smoothing=0.1", "class_weights=median-frequency"],
    ["loss=ohem", "ohem_threshold=0.1", "ohem_pixels=300", "class_weights=inverse-sqrt"],
    ["loss=focal", "lr=0.1"],
    ["loss=ce", "aux_weight=0.4", "boundary_weight=5", "ohem_pixels=300"],
    [
        *("loss=ce+0.5*focal", "optimizer=adamw", "lr=0.003", "betas=0.8,0.95", "eps=1e-6"),
        *("no_decay=true", "head_lr=10", "warmup=5", "schedule=cosine", "clip_norm=0.5"),
    ],
    ["ema=0.8", "weight_decay=0.1", "optimizer=OWN:lion"],
]
BATCHES = [  # seen whole by each process
    ["loss=dice", "lr=0.1"],
    ["loss=lovasz", "lr=0.1"],
    ["loss=ohem+0.3*lovasz", "aux_weight=1"],
    ["loss=ce+2*OWN:tversky"],
]


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> list[list[str]]:
    path = tmp_path_factory.mktemp("own") / "own.py"
    path.write_text(OWN)
    return [[part.replace("OWN", str(path)) for part in given] for given in PIXELS + BATCHES]


@pytest.fixture(scope="module")
def whole(asked: list[list[str]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One process that passes whole batches."""
    return train(tmp_path_factory.mktemp("whole"), asked)


def train(out: Path, asked: list[list[str]]) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Lightning's advice, as to have more readers
        worker.main(["each", "--out", str(out), "--overrides", json.dumps(asked)])
    return out


def assert_equal(one: Path, other: Path, number: int, given: list[str]) -> None:
    """Losses and weights after 20 steps, within 1e-5 of those of the other; and it has moved."""
    first, second = (
        json.loads((p / str(number) / "losses.json").read_text()) for p in (one, other)
    )
    np.testing.assert_allclose(first, second, atol=1e-5, rtol=0, err_msg=str(given))
    assert len(set(first)) == 20
    weights, others = (
        torch.load(p / str(number) / "weights.pt", weights_only=True) for p in (one, other)
    )
    for name in weights:
        assert (weights[name] - others[name]).abs().max() < 1e-5, (given, name)


def test_two_processes_train_as_one(asked: list[list[str]], whole: Path, tmp_path: Path) -> None:
    given = ("--out", tmp_path, "--devices", 2, "--overrides", json.dumps(asked))
    status, text = run("tests.lightning_modules.worker", "each", *given)
    assert status == 0, text
    for number, fields in enumerate(asked):
        assert_equal(whole, tmp_path, number, fields)


def test_micro_batches_train_as_none(asked: list[list[str]], whole: Path, tmp_path: Path) -> None:
    pixels = asked[: len(PIXELS)]
    train(tmp_path, [[*fields, "micro_batch=1"] for fields in pixels])
    for number, fields in enumerate(pixels):
        assert_equal(whole, tmp_path, number, fields)


def test_other_values_train_otherwise(whole: Path) -> None:
    """What is compared above is not the same for all."""
    losses = {(whole / str(i) / "losses.json").read_text() for i in range(len(PIXELS + BATCHES))}
    assert len(losses) == len(PIXELS + BATCHES)
