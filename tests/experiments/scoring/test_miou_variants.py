"""The wrong definitions against plain Python loops over pixels, and by hand."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from datamodules import open_data
from datamodules.labels import UInt8
from experiments.reporting.score_tables import variants_table
from experiments.scoring.counts import Counts, confusion, confusion_with_void, outcomes
from experiments.scoring.metrics import score_predictions
from experiments.scoring.miou_variants import miou_variants
from experiments.scoring.predictions import open_predictions
from experiments.trials.result_types import Metrics
from tests.trees.camvid import REAL, needs_real

ESPNET = REAL.with_name("espnet-camvid")  # predictions of its published weights
K = 5
Pair = tuple[UInt8, UInt8]


def _pairs(seed: int) -> list[Pair]:
    """Images of few classes each, so that most lack some, and one of void alone."""
    rng = np.random.default_rng(seed)
    pairs = []
    for _ in range(rng.integers(1, 20)):
        size = rng.integers(1, 11, 2)
        classes = rng.choice(K - 1, rng.integers(1, 3))
        truth = rng.choice(classes, size).astype(np.uint8)
        prediction = np.where(rng.random(size) < 0.3, rng.integers(0, K, size), truth)
        truth[rng.random(size) < 0.2] = 255
        pairs.append((truth, prediction.astype(np.uint8)))
    pairs[0][0][:] = 255
    return pairs


def _variants(pairs: Sequence[Pair]) -> dict[str, float | None]:
    tp, fp, fn = np.stack([outcomes(confusion(t, p, K)) for t, p in pairs], axis=1)
    quarters = [outcomes(confusion(t[::4, ::4], p[::4, ::4], K)) for t, p in pairs]
    matrix = sum(confusion_with_void(t, p, K) for t, p in pairs)
    return miou_variants(tp, fp, fn, np.sum(quarters, axis=0), np.asarray(matrix))


def _ious(pairs: Sequence[Pair], absent: Callable[[int], float | None]) -> list[float]:
    """IoU of each class pixel by pixel; `absent(k)` stands for one that is nowhere, None for out"""
    found = []
    for k in range(K):
        both = either = 0
        for truth, prediction in pairs:
            for t, p in zip(truth.ravel().tolist(), prediction.ravel().tolist(), strict=True):
                if t != 255:
                    both += t == p == k
                    either += k in (t, p)
        value = both / either if either else absent(k)
        if value is not None:
            found.append(value)
    return found


def _mean(values: Sequence[float | None]) -> float | None:
    kept = [value for value in values if value is not None]
    return sum(kept) / len(kept) if kept else None


def _leave_out(k: int) -> None:
    return None


def _miou(pairs: Sequence[Pair]) -> float | None:
    return _mean(_ious(pairs, _leave_out))


def _slow(pairs: list[Pair]) -> dict[str, float | None]:
    known = [(t, p) for truth, pred in pairs for t, p in zip(truth.flat, pred.flat) if t != 255]  # noqa: B905
    of_all = _ious(pairs, lambda k: -1.0)
    in_truth = [iou for k, iou in enumerate(of_all) if any(t == k for t, _ in known)]
    right = sum(t == p for t, p in known)
    small = []
    for truth, prediction in pairs:
        rows, columns = range(0, truth.shape[0], 4), range(0, truth.shape[1], 4)
        of = [np.array([[m[y, x] for x in columns] for y in rows]) for m in (truth, prediction)]
        small.append((of[0], of[1]))
    padded, copy = list(pairs), 0
    while len(padded) % 8:
        padded.append(pairs[copy % len(pairs)])
        copy += 1
    everything = [(t, p) for truth, pred in pairs for t, p in zip(truth.flat, pred.flat)]  # noqa: B905
    void = [
        sum(t == p == k for t, p in everything) / either if either else None
        for k in [*range(K), 255]
        for either in [sum(k in pair for pair in everything)]
    ]
    return {
        "mean of images": _mean([_miou([pair]) for pair in pairs]),
        "mean of batches of 8": _mean([_miou(pairs[i : i + 8]) for i in range(0, len(pairs), 8)]),
        "absent class as 0": _mean(_ious(pairs, lambda k: 0.0)) if known else None,
        "absent class as 1": _mean(_ious(pairs, lambda k: 1.0)) if known else None,
        "predicted but absent class left out": _mean(in_truth),
        "micro average": right / (2 * len(known) - right) if known else None,
        "labels resized to 1/4": _miou(small),
        "padded for 8 processes": _miou(padded),
        "void as a class, not in the mean": _mean(void[:-1]) if known else None,
        "void as a class of its own": _mean(void) if known else None,
        "predicted void left out": _miou(pairs),
    }


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_definitions_equal_loops_over_pixels(seed: int) -> None:
    pairs = _pairs(seed)
    found, expected = _variants(pairs), _slow(pairs)
    assert list(found) == list(expected)
    for name, value in expected.items():
        assert found[name] == (None if value is None else pytest.approx(value, rel=1e-12)), name


def _map(*runs: tuple[int, int]) -> UInt8:
    """A row of pixels: so many of each class."""
    return np.repeat([k for k, _ in runs], [times for _, times in runs])[None].astype(np.uint8)


def test_two_images_by_hand() -> None:
    """Class 0 has 10 of 12, class 1 has 2 of 4; class 2 is only predicted; 3 and 4 are nowhere."""
    truth = _map((0, 12)), _map((1, 4))
    prediction = _map((0, 10), (2, 2)), _map((1, 2), (2, 2))
    found = _variants(list(zip(truth, prediction, strict=True)))
    ious = 10 / 12, 2 / 4
    assert found["mean of images"] == pytest.approx((ious[0] / 2 + ious[1] / 2) / 2)
    assert found["mean of batches of 8"] == pytest.approx(sum(ious) / 3)  # the whole set is one
    assert found["absent class as 0"] == pytest.approx(sum(ious) / 5)
    assert found["absent class as 1"] == pytest.approx((sum(ious) + 2) / 5)
    assert found["predicted but absent class left out"] == pytest.approx(sum(ious) / 2)
    assert found["micro average"] == pytest.approx(12 / (12 + 4 + 4))
    assert found["labels resized to 1/4"] == 1.0  # pixels 0, 4 and 8, and 0
    assert found["padded for 8 processes"] == pytest.approx(sum(ious) / 3)  # each four times


def test_padding_repeats_the_first_images() -> None:
    """Nine images: the first seven count twice, and only the first is wrong."""
    pairs = [(_map((0, 1)), _map((1, 1)))] + [(_map((0, 1)), _map((0, 1)))] * 8
    assert _variants(pairs)["padded for 8 processes"] == (14 / 16 + 0) / 2
    assert _variants(pairs[:8])["padded for 8 processes"] == (7 / 8 + 0) / 2  # nothing to pad


def test_images_of_different_difficulty_favour_the_mean_of_images() -> None:
    """A class that is tiny where it is wrong: torchmetrics' MeanIoU halves, the set's does not."""
    large, tiny = (_map((1, 980)), _map((1, 980))), (_map((0, 100), (1, 20)), _map((0, 120)))
    found = _variants([large, tiny])
    assert found["mean of images"] == pytest.approx((1 + (100 / 120 + 0) / 2) / 2)


def test_void_by_every_definition_by_hand() -> None:
    """6 of class 0, of which 1 void and 1 class 1; 4 of class 1, 1 void; 2 void, 1 found so."""
    truth = np.concatenate([_map((0, 6), (1, 4)), np.full((1, 2), 255, np.uint8)], 1)
    prediction = np.array([[0, 0, 0, 0, 1, 255, 1, 1, 1, 255, 255, 1]], np.uint8)
    matrix = confusion_with_void(truth, prediction, K)
    counts = outcomes(matrix[:-1])
    tp, fp, fn = counts[:, None]
    found = miou_variants(tp, fp, fn, counts, matrix)
    assert found["mean of images"] == pytest.approx((4 / 6 + 3 / 5) / 2)  # void is an error
    assert found["void as a class, not in the mean"] == pytest.approx((4 / 6 + 3 / 6) / 2)
    assert found["void as a class of its own"] == pytest.approx((4 / 6 + 3 / 6 + 1 / 4) / 3)
    assert found["predicted void left out"] == pytest.approx((4 / 5 + 3 / 4) / 2)


def test_nothing_scored_has_no_number() -> None:
    void = np.full((3, 3), 255, np.uint8)
    assert set(_variants([(void, np.zeros_like(void))]).values()) == {None}


def test_the_table_shows_the_difference_in_points() -> None:
    zeros: Counts = np.zeros((1, K), np.int64)
    variants = miou_variants(
        zeros, zeros, zeros, np.zeros((3, K), np.int64), np.zeros((K + 1, K + 1), np.int64)
    )
    metrics = Metrics(
        miou=0.5,
        pixel_accuracy=None,
        num_classes_counted=1,
        iou={},
        miou_variants={**variants, "micro average": 0.75},
    )
    console = Console(width=80, record=True)
    console.print(variants_table("a network with a name " * 3, metrics))
    lines = console.export_text().splitlines()
    assert max(map(len, lines)) <= 80
    (micro,) = (line for line in lines if "micro" in line)
    assert micro.split()[-2:] == ["75.00", "+25.00"]
    (images,) = (line for line in lines if "mean of images" in line)
    assert images.split()[-2:] == ["-", "-"]


@needs_real
@pytest.mark.skipif(not ESPNET.is_dir(), reason="ESPNet's predictions are not there")
@pytest.mark.slow
def test_a_published_number_is_explained_to_its_last_digit() -> None:
    """ESPNet's own weights: its paper says 55.64, with void as a class that is not in the mean."""
    data = open_data("camvid", "test", REAL)
    scores = score_predictions(open_predictions(ESPNET, data), data).scores
    metrics = scores.metrics()
    assert metrics.miou == pytest.approx(0.5717, abs=5e-5)
    of_void = metrics.miou_variants
    assert of_void["void as a class, not in the mean"] == pytest.approx(0.5565, abs=5e-5)
    assert of_void["void as a class of its own"] == pytest.approx(0.5315, abs=5e-5)
    assert sum(scores.unpredicted) == 1397703
