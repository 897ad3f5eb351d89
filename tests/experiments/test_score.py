"""The scorer, against a slow loop, against cityscapesScripts, and against bad folders."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from datamodules import open_data
from datamodules.camvid import CAMVID
from datamodules.labels import UInt8
from experiments import score
from experiments.score import PredictionError, class_iou, position_prior, score_folder

K = CAMVID.num_classes


class Maps:
    """A data set of label maps alone."""

    labels = CAMVID

    def __init__(self, masks: list[UInt8], groups: list[str] | None = None) -> None:
        self.masks = masks
        self.ids = [f"image{i}" for i in range(len(masks))]
        self.groups = groups or ["clip"] * len(masks)

    def __getitem__(self, index: int) -> tuple[UInt8, UInt8]:
        return np.zeros((*self.masks[index].shape, 3), np.uint8), self.masks[index]

    def mask(self, index: int) -> UInt8:
        return self.masks[index]

    def fingerprint(self) -> str:
        return "maps"


def _random_maps(seed: int, count: int = 3) -> tuple[list[UInt8], list[UInt8]]:
    rng = np.random.default_rng(seed)
    classes = rng.choice(K, rng.integers(1, K), replace=False)  # some never occur
    sizes = [tuple(rng.integers(1, 12, 2)) for _ in range(count)]
    truths = [rng.choice(classes, size).astype(np.uint8) for size in sizes]
    for truth in truths:
        truth[rng.random(truth.shape) < 0.3] = 255
    predictions = [rng.choice(classes, size).astype(np.uint8) for size in sizes]
    return truths, predictions


def _slow_iou(truths: list[UInt8], predictions: list[UInt8]) -> list[float]:
    """Pixel by pixel in plain Python; NaN where neither truth nor prediction has the class."""
    found = []
    for k in range(K):
        both = either = 0
        for truth, prediction in zip(truths, predictions, strict=True):
            for t, p in zip(truth.ravel().tolist(), prediction.ravel().tolist(), strict=True):
                if t != 255:
                    both += t == k and p == k
                    either += t == k or p == k
        found.append(both / either if either else float("nan"))
    return found


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_equals_a_slow_loop(seed: int) -> None:
    truths, predictions = _random_maps(seed)
    scores = score.score(Maps(truths), lambda i: predictions[i])
    expected = _slow_iou(truths, predictions)
    ours = class_iou(scores.tp.sum(0), scores.fp.sum(0), scores.fn.sum(0))
    np.testing.assert_allclose(ours, expected, rtol=1e-12)
    metrics = scores.metrics()
    assert metrics["num_classes_counted"] == np.isfinite(expected).sum()
    if np.isfinite(expected).any():
        assert metrics["miou"] == pytest.approx(float(np.nanmean(expected)))
    assert scores.confusion.dtype == np.int64


@pytest.mark.parametrize("seed", range(5))
def test_equals_cityscapes_scripts(seed: int) -> None:
    from cityscapesscripts.evaluation import evalPixelLevelSemanticLabeling as evaluator  # noqa: N813
    from cityscapesscripts.helpers.labels import trainId2label

    truths, predictions = _random_maps(seed)
    args = evaluator.args
    matrix = evaluator.generateMatrix(args)
    ids = np.array([trainId2label[k].id for k in range(K)] + [0] * (256 - K))  # 0 is unlabelled
    for truth, prediction in zip(truths, predictions, strict=True):
        theirs_truth, theirs_prediction = ids[truth], ids[prediction]
        for t, p in zip(theirs_truth.ravel(), theirs_prediction.ravel(), strict=True):
            matrix[t, p] += 1
    scores = score.score(Maps(truths), lambda i: predictions[i])
    ours = class_iou(scores.tp.sum(0), scores.fp.sum(0), scores.fn.sum(0))
    theirs = [evaluator.getIouScoreForLabel(int(ids[k]), matrix, args) for k in range(K)]
    present = scores.confusion.sum(1) > 0
    np.testing.assert_allclose(ours[present], np.array(theirs)[present], rtol=1e-12)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_absent_is_left_out_and_predicted_but_absent_is_zero() -> None:
    truth = np.zeros((2, 2), np.uint8)  # Sky alone
    prediction = np.array([[0, 0], [0, 3]], np.uint8)  # one pixel called Road
    metrics = score.score(Maps([truth]), lambda _: prediction).metrics()
    assert metrics["iou"]["Sky"] == 0.75
    assert metrics["iou"]["Road"] == 0.0
    assert metrics["iou"]["Pole"] is None
    assert metrics["miou"] == 0.375
    assert metrics["num_classes_counted"] == 2
    assert metrics["pixel_accuracy"] == 0.75


def test_the_mean_is_over_the_set_not_over_images() -> None:
    big, small = np.zeros((10, 10), np.uint8), np.zeros((1, 1), np.uint8)
    wrong = np.ones((1, 1), np.uint8)
    metrics = score.score(Maps([big, small]), lambda i: (big, wrong)[i]).metrics()
    assert metrics["iou"]["Sky"] == 100 / 101  # the mean over images would be one half


def test_groups_and_images_add_up() -> None:
    truths, predictions = _random_maps(7, count=4)
    data = Maps(truths, ["a", "b", "a", "b"])
    scores = score.score(data, lambda i: predictions[i])
    metrics = scores.metrics()
    assert [g["num_images"] for g in metrics["groups"].values()] == [2, 2]
    alone = score.score(Maps([truths[1], truths[3]]), lambda i: predictions[(1, 3)[i]]).metrics()
    assert metrics["groups"]["b"]["miou"] == alone["miou"]
    np.testing.assert_array_equal(scores.tp + scores.fn, [_counts(t) for t in truths])
    np.testing.assert_array_equal(scores.tp.sum(0), scores.confusion.diagonal())


def _counts(truth: UInt8) -> Any:
    return np.bincount(truth[truth != 255], minlength=K)


def test_position_prior_by_hand() -> None:
    """Two training images agree on the top row; the bottom is a majority of two in three."""
    train = [
        np.array([[0, 0], [3, 3]], np.uint8),
        np.array([[0, 0], [3, 4]], np.uint8),
        np.array([[0, 255], [4, 4]], np.uint8),
    ]
    test = np.array([[0, 0], [3, 3]], np.uint8)
    metrics = position_prior(Maps(train), Maps([test])).metrics()
    # predicted: 0 0 / 3 4
    assert metrics["pixel_accuracy"] == 0.75
    assert metrics["iou"]["Sky"] == 1.0
    assert metrics["iou"]["Road"] == 0.5
    assert metrics["iou"]["Pavement"] == 0.0
    double = position_prior(Maps(train), Maps([test.repeat(2, 0).repeat(2, 1)])).metrics()
    assert double["pixel_accuracy"] == 0.75  # positions are relative to the size


def _write(folder: Path, name: str, ids: UInt8, mode: str = "L") -> None:
    folder.mkdir(exist_ok=True)
    Image.fromarray(ids).convert(mode).save(folder / f"{name}.png")


@pytest.fixture
def maps() -> Maps:
    return Maps([np.zeros((4, 6), np.uint8), np.ones((4, 6), np.uint8)])


def test_reads_a_folder(tmp_path: Path, maps: Maps) -> None:
    _write(tmp_path / "p", "image0", np.zeros((4, 6), np.uint8))
    palette = Image.fromarray(np.ones((4, 6), np.uint8), mode=None)
    palette = palette.convert("L")
    palette.putpalette(CAMVID.palette)
    palette.save(tmp_path / "p" / "image1.png")
    assert score_folder(tmp_path / "p", maps).metrics()["miou"] == 1.0


@pytest.mark.parametrize(
    ("ids", "mode", "says"),
    [
        (np.zeros((4, 5), np.uint8), "L", "is 5x4 and its label 6x4: predict at the label's"),
        (
            np.full((4, 6), 11, np.uint8),
            "L",
            "the value 11 in 24 pixels: class indices 0 to 10",
        ),
        (np.zeros((4, 6), np.uint8), "RGB", "has mode RGB: one channel"),
    ],
)
def test_bad_predictions_are_named(
    tmp_path: Path, maps: Maps, ids: UInt8, mode: str, says: str
) -> None:
    _write(tmp_path / "p", "image0", np.zeros((4, 6), np.uint8))
    _write(tmp_path / "p", "image1", ids, mode)
    with pytest.raises(PredictionError, match=r"image1\.png") as raised:
        score_folder(tmp_path / "p", maps)
    assert says in str(raised.value)


def test_missing_and_unreadable(tmp_path: Path, maps: Maps) -> None:
    with pytest.raises(PredictionError, match="no folder of predictions at"):
        score_folder(tmp_path / "p", maps)
    _write(tmp_path / "p", "image0", np.zeros((4, 6), np.uint8))
    with pytest.raises(PredictionError, match=r"lacks 1 of 2 predictions, the first image1\.png"):
        score_folder(tmp_path / "p", maps)
    (tmp_path / "p" / "image1.png").write_bytes(b"\x89PNG\r\n")
    with pytest.raises(PredictionError, match=r"image1\.png cannot be read"):
        score_folder(tmp_path / "p", maps)


def test_command_scores_and_adds_to_a_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = "streets:height=48:width=64:train=4:val=2:test=3"
    data = open_data(spec, "test")
    for i, name in enumerate(data.ids):
        _write(tmp_path / "p", name, np.where(data.mask(i) == 255, 0, data.mask(i)))
    comparison = tmp_path / "runs" / "some"
    comparison.mkdir(parents=True)
    command = [str(tmp_path / "p"), "--data", spec, "--name", "oracle", "--add", str(comparison)]
    assert score.main(command) == 0
    shown = capsys.readouterr().out
    assert "oracle" in shown
    assert "100.0" in shown
    assert (comparison / "scored" / "oracle" / "seed0" / "result.json").is_file()
    other = [*command[:2], spec.replace("test=3", "test=2"), *command[3:]]
    assert score.main(other) == 2
    assert "differ in data" in capsys.readouterr().err
    assert score.main([str(tmp_path / "q"), "--data", spec]) == 2
    assert "no folder of predictions" in capsys.readouterr().err
    assert score.main([str(tmp_path / "p"), "--data", "street"]) == 2
    assert "did you mean 'streets'" in capsys.readouterr().err
