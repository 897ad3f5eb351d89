"""Bands and Boundary IoU against their definitions, pixel by pixel, and against scipy."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from datamodules.labels import IGNORE, UInt8
from experiments.scoring.boundary import WIDTHS, bands, boundary_counts, boundary_iou, interior
from experiments.scoring.counts import class_iou, confusion
from tests.maps import maps

K = 6
TINY = 1e-6  # a fraction of the diagonal that means one pixel
seeds = st.integers(0, 10**6)


def _distances(truth: UInt8) -> list[tuple[int, int, float]]:
    """Each pixel that is not void, with its distance to the nearest of another class."""
    pixels = [(y, x, truth[y, x]) for y, x in np.argwhere(truth != IGNORE).tolist()]
    return [
        (y, x, min((math.hypot(y - v, x - u) for v, u, q in pixels if q != k), default=math.inf))
        for y, x, k in pixels
    ]


def _whole(truth: UInt8, prediction: UInt8) -> np.ndarray:
    matrix = confusion(truth, prediction, K)
    tp = matrix.diagonal()
    return np.stack([tp, matrix.sum(0) - tp, matrix.sum(1) - tp])


@settings(max_examples=60, deadline=None)
@given(seed=seeds)
def test_bands_equal_a_loop_over_pairs_of_pixels(seed: int) -> None:
    truth, prediction = maps(seed, K)
    expected = np.zeros((len(WIDTHS), 3, K), int)
    for y, x, distance in _distances(truth):
        t, p = truth[y, x], prediction[y, x]
        for i, width in enumerate(WIDTHS):
            if distance <= width:
                expected[i, 0, t] += t == p
                expected[i, 1, p] += t != p
                expected[i, 2, t] += t != p
    found = bands(truth, prediction, K)
    assert found.dtype == np.int64
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("void", [False, True])
def test_bands_equal_scipys_distances_on_a_large_map(void: bool) -> None:
    rng = np.random.default_rng(3)
    smooth = [ndimage.gaussian_filter(rng.standard_normal((160, 200)), 20) for _ in range(K)]
    truth = np.argmax(smooth, 0).astype(np.uint8)
    prediction = np.roll(truth, 2, axis=1)
    if void:
        truth[:, 90:97] = truth[70:90, 20:60] = IGNORE
    distance = np.full(truth.shape, np.inf)
    for k in range(K):
        other = (truth != k) & (truth != IGNORE)
        distance[truth == k] = ndimage.distance_transform_edt(~other)[truth == k]
    for width, found in zip(
        (1, 7, 13, 30), bands(truth, prediction, K, (1, 7, 13, 30)), strict=True
    ):
        near = np.where(distance <= width, truth, np.uint8(IGNORE))
        np.testing.assert_array_equal(found, _whole(near, prediction))
    assert 0 < (distance > 30).sum() < truth.size


@settings(max_examples=60, deadline=None)
@given(seed=seeds, distance=st.integers(1, 4))
def test_boundary_iou_equals_repeated_erosion_of_each_class(seed: int, distance: int) -> None:
    """The paper's definition, as its authors compute it: d erosions with a background outside."""
    truth, prediction = maps(seed, K)
    valid = truth != IGNORE
    fraction = distance / math.hypot(*truth.shape)
    found = boundary_counts(truth, prediction, K, fraction)
    for k in range(K):
        near = []
        for mask in (truth == k, (prediction == k) & valid):
            eroded = ndimage.binary_erosion(mask, np.ones((3, 3)), iterations=distance)
            near.append(mask & ~eroded)
        assert found[0, k] == (near[0] & near[1]).sum()
        assert found[1, k] == (near[0] | near[1]).sum()


@pytest.mark.parametrize(
    ("size", "fraction", "distance"),
    [((1024, 2048), 0.005, 11), ((480, 640), 0.02, 16), ((3, 3), 0.02, 1)],
)
def test_the_distance_follows_the_diagonal(
    size: tuple[int, int], fraction: float, distance: int
) -> None:
    """A map of one class has its border alone as its contour."""
    truth = np.zeros(size, np.uint8)
    ring = truth.size - (size[0] - 2 * distance) * (size[1] - 2 * distance)
    np.testing.assert_array_equal(boundary_counts(truth, truth, 1, fraction), [[ring], [ring]])


def _square(column: int) -> UInt8:
    """4x4 pixels of class 1 in 10x10 of class 0."""
    truth = np.zeros((10, 10), np.uint8)
    truth[3:7, column : column + 4] = 1
    return truth


def test_a_square_moved_by_a_pixel() -> None:
    truth, prediction = _square(3), _square(4)
    # Its ring has 12 pixels and 16 touch it; one column of 4 is missed and another is too much.
    np.testing.assert_array_equal(bands(truth, prediction, 2, [1]), [[[12, 8], [4, 4], [4, 4]]])
    # Both rings share 3 pixels above and 3 below.
    assert boundary_counts(truth, prediction, 2, TINY)[:, 1].tolist() == [6, 18]
    assert boundary_iou(boundary_counts(truth, prediction, 2, TINY))[1] == pytest.approx(1 / 3)


def test_a_pole_that_is_missed_and_one_that_is_a_pixel_off() -> None:
    truth = np.zeros((20, 60), np.uint8)
    truth[:, 30] = 1
    nothing, moved = np.zeros_like(truth), np.roll(truth, 1, axis=1)
    for width, (tp, fp, fn) in zip(WIDTHS, bands(truth, nothing, 2).tolist(), strict=True):
        assert (tp, fp, fn) == ([40 * width, 0], [20, 0], [0, 20])
    assert bands(truth, moved, 2)[:, :, 1].tolist() == [[0, 20, 20]] * len(WIDTHS)
    assert boundary_counts(truth, moved, 2)[:, 1].tolist() == [0, 40]
    assert boundary_counts(truth, nothing, 2)[:, 1].tolist() == [0, 20]


def test_an_edge_of_void_or_of_the_image_is_no_boundary_of_a_band() -> None:
    truth = np.full((6, 30), 2, np.uint8)
    truth[:, 10:13] = IGNORE
    assert not bands(truth, np.zeros_like(truth), K).any()
    truth[:, 13:] = 4  # now another class lies 4 pixels off, beyond the void
    within = bands(truth, truth, K)[:, 0]
    assert within[:4].tolist() == [[0] * K] * 3 + [[0, 0, 12, 0, 12, 0]]


def test_classes_that_are_not_there_get_no_counts() -> None:
    """Differences of the labels 3 and 5 would make a boundary of class 2."""
    truth = np.full((12, 12), 3, np.uint8)
    truth[4:9, 4:9] = 5
    prediction = np.roll(truth, 1, axis=0)
    found = bands(truth, prediction, K), boundary_counts(truth, prediction, K)
    for counts in found:
        assert (counts[..., [3, 5]] > 0).all()
        assert not counts[..., [0, 1, 2, 4]].any()
    assert np.isnan(boundary_iou(found[1])[[0, 1, 2, 4]]).all()


@settings(max_examples=30, deadline=None)
@given(seed=seeds)
def test_a_perfect_prediction_has_1_everywhere(seed: int) -> None:
    truth, _ = maps(seed, K)
    perfect = np.where(truth == IGNORE, np.uint8(0), truth)
    for tp, fp, fn in bands(truth, perfect, K):
        assert np.isin(class_iou(tp, fp, fn)[tp > 0], 1).all() and not fp.any() and not fn.any()
    present = np.unique(truth[truth != IGNORE])
    iou = boundary_iou(boundary_counts(truth, perfect, K))
    assert (iou[present] == 1).all() and np.isfinite(iou).sum() == len(present)


@settings(max_examples=30, deadline=None)
@given(seed=seeds)
def test_what_is_predicted_at_void_does_not_matter(seed: int) -> None:
    truth, prediction = maps(seed, K)
    void = truth == IGNORE
    for k in (0, 3, IGNORE):
        other = np.where(void, np.uint8(k), prediction)
        np.testing.assert_array_equal(bands(truth, other, K), bands(truth, prediction, K))
        np.testing.assert_array_equal(
            boundary_counts(truth, other, K), boundary_counts(truth, prediction, K)
        )


@settings(max_examples=30, deadline=None)
@given(seed=seeds)
def test_flips_and_other_numbers_of_the_classes_change_nothing(seed: int) -> None:
    truth, prediction = maps(seed, K)
    new = np.arange(256, dtype=np.uint8)
    new[:K] = np.random.default_rng(seed).permutation(K)
    for count in (bands, boundary_counts):
        expected = count(truth, prediction, K)
        for turn in (np.transpose, np.flipud, np.fliplr):
            turned = np.ascontiguousarray(turn(truth)), np.ascontiguousarray(turn(prediction))
            np.testing.assert_array_equal(count(*turned, K), expected)
        renamed = count(new[truth], new[prediction], K)
        np.testing.assert_array_equal(renamed[..., new[:K]], expected)


@settings(max_examples=30, deadline=None)
@given(seed=seeds)
def test_bands_grow_to_the_whole(seed: int) -> None:
    truth, prediction = maps(seed, K)
    within, whole = bands(truth, prediction, K), _whole(truth, prediction)
    assert (np.diff(within, axis=0) >= 0).all()
    beyond = interior(whole, within)
    assert (beyond >= 0).all()
    np.testing.assert_array_equal(beyond + within, np.broadcast_to(whole, within.shape))
    far = np.array([d > WIDTHS[-1] for _, _, d in _distances(truth)])
    assert beyond[-1, 0].sum() + beyond[-1, 2].sum() == far.sum()
