"""The scorer, against a slow loop, cityscapesScripts and cases by hand."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datamodules.datasets.camvid import CAMVID
from datamodules.labels import UInt8
from experiments.scoring.counts import class_iou, count
from experiments.scoring.metrics import FullScores, full_scores, score
from experiments.scoring.position_prior import position_prior
from experiments.trials.result_types import ImageMiou
from tests.maps import LabelMaps, random_splits

K = CAMVID.num_classes


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
    truths, predictions = random_splits(seed)
    scores = score(LabelMaps(truths), lambda i: predictions[i])
    expected = _slow_iou(truths, predictions)
    ours = class_iou(scores.tp.sum(0), scores.fp.sum(0), scores.fn.sum(0))
    np.testing.assert_allclose(ours, expected, rtol=1e-12)
    metrics = scores.metrics()
    assert metrics.num_classes_counted == np.isfinite(expected).sum()
    if np.isfinite(expected).any():
        assert metrics.miou == pytest.approx(float(np.nanmean(expected)))
    assert scores.confusion.dtype == np.int64


@pytest.mark.parametrize("seed", range(5))
def test_equals_cityscapes_scripts(seed: int) -> None:
    from cityscapesscripts.evaluation import evalPixelLevelSemanticLabeling as evaluator  # noqa: N813
    from cityscapesscripts.helpers.labels import trainId2label

    truths, predictions = random_splits(seed)
    args = evaluator.args
    matrix = evaluator.generateMatrix(args)
    ids = np.array([trainId2label[k].id for k in range(K)] + [0] * (256 - K))  # 0 is unlabelled
    for truth, prediction in zip(truths, predictions, strict=True):
        theirs_truth, theirs_prediction = ids[truth], ids[prediction]
        for t, p in zip(theirs_truth.ravel(), theirs_prediction.ravel(), strict=True):
            matrix[t, p] += 1
    scores = score(LabelMaps(truths), lambda i: predictions[i])
    ours = class_iou(scores.tp.sum(0), scores.fp.sum(0), scores.fn.sum(0))
    theirs = [evaluator.getIouScoreForLabel(int(ids[k]), matrix, args) for k in range(K)]
    present = scores.confusion.sum(1) > 0
    np.testing.assert_allclose(ours[present], np.array(theirs)[present], rtol=1e-12)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_absent_is_left_out_and_predicted_but_absent_is_zero() -> None:
    truth = np.zeros((2, 2), np.uint8)  # Sky alone
    prediction = np.array([[0, 0], [0, 3]], np.uint8)  # one pixel called Road
    metrics = score(LabelMaps([truth]), lambda _: prediction).metrics()
    assert metrics.iou["Sky"] == 0.75
    assert metrics.iou["Road"] == 0.0
    assert metrics.iou["Pole"] is None
    assert metrics.miou == 0.375
    assert metrics.num_classes_counted == 2
    assert metrics.pixel_accuracy == 0.75


def test_the_mean_is_over_the_set_not_over_images() -> None:
    big, small = np.zeros((10, 10), np.uint8), np.zeros((1, 1), np.uint8)
    wrong = np.ones((1, 1), np.uint8)
    metrics = score(LabelMaps([big, small]), lambda i: (big, wrong)[i]).metrics()
    assert metrics.iou["Sky"] == 100 / 101  # the mean over images would be one half


def test_groups_and_images_add_up() -> None:
    truths, predictions = random_splits(7, count=4)
    data = LabelMaps(truths, ["a", "b", "a", "b"])
    scores = score(data, lambda i: predictions[i])
    metrics = scores.metrics()
    assert [g.num_images for g in metrics.groups.values()] == [2, 2]
    alone = score(LabelMaps([truths[1], truths[3]]), lambda i: predictions[(1, 3)[i]]).metrics()
    assert metrics.groups["b"].miou == alone.miou
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
    metrics = position_prior(LabelMaps(train), LabelMaps([test]))
    # predicted: 0 0 / 3 4
    assert metrics.pixel_accuracy == 0.75
    assert metrics.iou["Sky"] == 1.0
    assert metrics.iou["Road"] == 0.5
    assert metrics.iou["Pavement"] == 0.0
    double = position_prior(LabelMaps(train), LabelMaps([test.repeat(2, 0).repeat(2, 1)]))
    assert double.pixel_accuracy == 0.75  # positions are relative to the size


def _full(data: LabelMaps, predictions: list[UInt8]) -> FullScores:
    pairs = zip(data.masks, predictions, strict=True)
    return full_scores(data, (count(truth, prediction, K) for truth, prediction in pairs))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_what_is_predicted_at_void_changes_no_number(seed: int) -> None:
    truths, predictions = random_splits(seed)
    data, rng = LabelMaps(truths), np.random.default_rng(seed + 1)
    scores = _full(data, predictions)
    for truth, prediction in zip(truths, predictions, strict=True):
        void = truth == 255
        prediction[void] = rng.choice([*range(K), 255], void.sum())
    other = _full(data, predictions)
    named = {"void as a class, not in the mean", "void as a class of its own"}
    before, after = (
        m.model_copy(
            update={"miou_variants": {n: v for n, v in m.miou_variants.items() if n not in named}}
        )
        for m in (scores.metrics(), other.metrics())
    )
    assert after == before
    for name, array in scores.arrays().items():
        np.testing.assert_array_equal(other.arrays()[name], array)
    np.testing.assert_array_equal(other.confusion, scores.confusion)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_whole_images_are_scored_alike_by_both(seed: int) -> None:
    truths, predictions = random_splits(seed)
    whole = score(LabelMaps(truths), lambda i: predictions[i])
    full = _full(LabelMaps(truths), predictions)
    of_both = whole.metrics().model_dump(exclude_unset=True)
    assert of_both.items() <= full.metrics().model_dump().items()
    np.testing.assert_array_equal(full.confusion, whole.confusion)
    for name, array in whole.arrays().items():
        np.testing.assert_array_equal(full.arrays()[name], array)


def test_all_metrics_of_a_border_that_is_a_pixel_off() -> None:
    """Two classes of 6x4 pixels; the first is predicted one column too wide."""
    truth = np.repeat([[0] * 4 + [1] * 4], 6, axis=0).astype(np.uint8)
    prediction = np.repeat([[0] * 5 + [1] * 3], 6, axis=0).astype(np.uint8)
    scores = _full(LabelMaps([truth]), [prediction])
    metrics = scores.metrics()
    assert metrics.miou == (24 / 30 + 18 / 24) / 2
    assert metrics.image_miou == ImageMiou(mean=0.775, worst_decile=0.775)
    bands = metrics.bands
    assert bands is not None and bands.pixels == (1, 2, 3, 5, 8, 12, 20)
    # Of each class 1, 2, 3, and then all 4 columns.
    within = [(0 / 6 + 6 / 12) / 2, (6 / 12 + 12 / 18) / 2, (12 / 18 + 18 / 24) / 2]
    assert bands.within == pytest.approx([*within, *[0.775] * 4])
    assert bands.beyond == (1.0, 1.0, 1.0, None, None, None, None)
    # Contours one pixel wide, of rectangles of 4 and 5, and of 4 and 3 columns.
    near = metrics.boundary_iou
    assert near is not None and near.fraction == 0.02
    assert near.iou["Sky"] == 12 / (16 + 18 - 12)
    assert near.iou["Building"] == 10 / (16 + 14 - 10)
    assert near.iou["Pole"] is None
    assert near.mean == pytest.approx((12 / 22 + 10 / 20) / 2)
    objects = metrics.objects
    assert objects is not None
    for found, bin, edges in (
        (objects.area, 0, (256, 1024, 9216)),
        (objects.width, 1, (3, 5, 9, 17)),
    ):
        assert found.edges == edges
        of_bin = [i == bin for i in range(len(edges) + 1)]
        assert found.objects == tuple(2 if own else 0 for own in of_bin)
        recall, iou = (1 + 18 / 24) / 2, (24 / 30 + 18 / 24) / 2
        assert found.recall == tuple(recall if own else None for own in of_bin)
        assert found.iou == tuple(iou if own else None for own in of_bin)
    shapes = {name: array.shape for name, array in scores.arrays().items()}
    assert shapes == {
        **dict.fromkeys(("ids", "groups"), (1,)),
        **dict.fromkeys(("tp", "fp", "fn"), (1, K)),
        "widths": (7,),
        "band": (1, 7, 3, K),
        "boundary": (1, 2, K),
        "area_edges": (3,),
        "area": (1, K, 4, 4),
        "width_edges": (4,),
        "width": (1, K, 5, 4),
    }


def test_objects_are_pooled_over_images_and_then_over_classes() -> None:
    """A class with a small object found and a larger one missed has its pixels' recall, 2/8."""
    truths = [np.zeros((4, 12), np.uint8) for _ in range(2)]
    truths[0][1, 1:3] = truths[1][1, 1:7] = 1
    predictions = [truths[0], np.zeros_like(truths[1])]
    found = _full(LabelMaps(truths), predictions).metrics().objects
    assert found is not None
    assert found.width.recall[0] == 2 / 8  # class 0 has no thin object
    assert found.width.iou[0] == 2 / 8


def test_the_worst_tenth_is_rounded_up_and_knows_no_empty_image() -> None:
    right = np.zeros((1, 4), np.uint8)
    wrong, half = np.ones_like(right), np.array([[0, 0, 1, 1]], np.uint8)
    void = np.full_like(right, 255)
    truths = [right] * 11 + [void] * 9
    metrics = _full(LabelMaps(truths), [right] * 9 + [wrong, half] + [right] * 9).metrics()
    images = metrics.image_miou
    assert images is not None and images.mean == pytest.approx((9 + 0 + 0.25) / 11)
    assert images.worst_decile == (0 + 0.25) / 2


def test_a_split_of_void_has_no_numbers() -> None:
    void = np.full((3, 3), 255, np.uint8)
    metrics = _full(LabelMaps([void]), [np.zeros_like(void)]).metrics()
    assert metrics.miou is None
    assert metrics.boundary_iou is not None and metrics.boundary_iou.mean is None
    assert metrics.bands is not None
    assert {*metrics.bands.within, *metrics.bands.beyond} == {None}
    assert metrics.image_miou == ImageMiou(mean=None, worst_decile=None)
