"""Work on many images by several processes, and how long an image takes."""

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules.labels import IGNORE
from experiments.scoring.counts import (
    confusion,
    confusion_with_void,
    count,
    in_order,
    outcomes,
)
from experiments.scoring.prediction_files import read_file
from tests.maps import maps, scene


def _die(index: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_process_that_is_killed_is_said_in_a_sentence() -> None:
    with pytest.raises(ValueError, match="one of 2 processes was killed, .*: give fewer --jobs"):
        list(in_order(_die, 40, 2))


@pytest.mark.parametrize("seed", range(40))
def test_predicted_void_is_a_class_that_the_truth_never_has(seed: int) -> None:
    """So that all counts of the others are those of a map that names one class more."""
    k, rng = 5, np.random.default_rng(seed)
    truth, prediction = maps(seed, k, side=24)
    hole = rng.random(truth.shape) < 0.1
    hole[: rng.integers(0, 12), : rng.integers(0, 24)] = True
    ours = count(truth, np.where(hole, np.uint8(IGNORE), prediction), k)
    theirs = count(truth, np.where(hole & (truth != IGNORE), np.uint8(k), prediction), k + 1)
    np.testing.assert_array_equal(ours.whole, theirs.whole[:, :k])
    np.testing.assert_array_equal(ours.quarter, theirs.quarter[:, :k])
    np.testing.assert_array_equal(ours.band, theirs.band[..., :k])
    np.testing.assert_array_equal(ours.boundary, theirs.boundary[:, :k])
    np.testing.assert_array_equal(ours.area, theirs.area[:k])
    np.testing.assert_array_equal(ours.width, theirs.width[:k])
    np.testing.assert_array_equal(ours.matrix[:k, :k], theirs.matrix[:k, :k])
    np.testing.assert_array_equal(ours.matrix[:k, k], theirs.matrix[:k, k])
    assert ours.matrix.sum() == truth.size


@pytest.mark.parametrize("seed", range(20))
def test_sums_agree_with_predicted_void(seed: int) -> None:
    k, rng = 254, np.random.default_rng(seed)  # as many classes as there can be
    truth, prediction = (rng.integers(0, 256, (30, 40)).astype(np.uint8) for _ in range(2))
    truth[truth == k], prediction[prediction == k] = IGNORE, IGNORE
    matrix = confusion_with_void(truth, prediction, k)
    for t, p in rng.integers(0, k + 1, (200, 2)):
        pixels = (truth == (IGNORE if t == k else t)) & (prediction == (IGNORE if p == k else p))
        assert matrix[t, p] == pixels.sum()
    tp, fp, fn = outcomes(matrix[:-1])
    np.testing.assert_array_equal(tp + fn, np.bincount(truth.ravel(), minlength=256)[:k])
    assert fp.sum() == confusion(truth, prediction, k).sum() - tp.sum()
    assert fn.sum() - fp.sum() == matrix[:-1, -1].sum()


@pytest.mark.parametrize("void", [False, True])
def test_of_one_class_alone(void: bool) -> None:
    truth = np.array([[0, 0, 0], [0, 255, 0]], np.uint8)
    prediction = np.array([[0, 0, 0], [0, 0, 255 if void else 0]], np.uint8)
    counts = count(truth, prediction, 1)
    assert counts.whole.tolist() == [[5 - void], [0], [int(void)]]
    assert counts.matrix.tolist() == [[5 - void, int(void)], [1, 0]]


@pytest.mark.slow
def test_a_large_image_takes_less_than_half_a_second_of_a_core(tmp_path: Path) -> None:
    """0.2 s for 2048x1024 pixels and 19 classes, with the reading of both PNGs."""
    paths = [tmp_path / f"{name}.png" for name in ("truth", "prediction")]
    for path, ids in zip(paths, scene(1024, 2048), strict=True):
        Image.fromarray(ids).save(path)
    times = []
    for _ in range(5):
        before = time.process_time()
        truth, prediction = (read_file(path)[0].astype(np.uint8) for path in paths)
        count(truth, prediction, 19)
        times.append(time.process_time() - before)
    assert min(times) < 0.5
