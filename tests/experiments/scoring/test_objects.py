"""Objects against a flood fill in plain Python, scipy's distances and shapes of known width."""

import math
import time
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from datamodules.labels import IGNORE, UInt8
from experiments.scoring.boundary import bands, boundary_counts
from experiments.scoring.counts import confusion
from experiments.scoring.objects import AREAS, WIDTHS, binned, objects
from tests.maps import maps, scene

K = 4
seeds = st.integers(0, 10**6)
Pixels = set[tuple[int, int]]
Row = tuple[float, ...]


def _parts(labels: UInt8) -> list[tuple[int, Pixels]]:
    """The class and the pixels of each 8-connected part, without void."""
    left = {(y, x) for y, x in np.argwhere(labels != IGNORE).tolist()}
    parts = []
    while left:
        seed = left.pop()
        part, todo = {seed}, [seed]
        while todo:
            y, x = todo.pop()
            for near in [(y + v, x + u) for v in (-1, 0, 1) for u in (-1, 0, 1)]:
                if near in left and labels[near] == labels[seed]:
                    left.remove(near)
                    part.add(near)
                    todo.append(near)
        parts.append((int(labels[seed]), part))
    return parts


def _width(part: Pixels) -> float:
    """The largest disc about a pixel or about a corner of four, by the definition."""
    cross = [(0, 1), (1, 0), (0, -1), (-1, 0)]
    contour = [(y, x) for y, x in part if any((y + v, x + u) not in part for v, u in cross)]
    depth = {(y, x): min(math.hypot(y - v, x - u) for v, u in contour) for y, x in part}
    widths = [2 * d + 1 for d in depth.values()]
    for y, x in part:
        four = [(y, x), (y + 1, x), (y, x + 1), (y + 1, x + 1)]
        if part.issuperset(four):
            widths.append(2 * min(depth[pixel] for pixel in four) + 2)
    return max(widths)


def _slow(truth: UInt8, prediction: UInt8) -> list[Row]:
    predicted = _parts(np.where(truth == IGNORE, np.uint8(IGNORE), prediction))
    rows = []
    for k, part in _parts(truth):
        hits = sum(int(prediction[pixel] == k) for pixel in part)
        false = [
            sum(int(truth[pixel] != k) for pixel in other)
            for q, other in predicted
            if q == k and part & other
        ]
        rows.append((k, len(part), round(_width(part), 3), hits, len(part) + sum(false)))
    return sorted(rows)


def _rows(truth: UInt8, prediction: UInt8) -> list[Row]:
    rows = objects(np.ascontiguousarray(truth), np.ascontiguousarray(prediction)).tolist()
    return sorted((k, area, round(width, 3), *rest) for k, area, width, *rest in rows)


@settings(max_examples=80, deadline=None)
@given(seed=seeds)
def test_objects_equal_a_flood_fill(seed: int) -> None:
    truth, prediction = maps(seed, K)
    assert _rows(truth, prediction) == _slow(truth, prediction)


@settings(max_examples=30, deadline=None)
@given(seed=seeds)
def test_void_and_flips_change_nothing(seed: int) -> None:
    truth, prediction = maps(seed, K)
    expected = _rows(truth, prediction)
    for k in (0, 3, IGNORE):
        assert _rows(truth, np.where(truth == IGNORE, np.uint8(k), prediction)) == expected
    for turn in (np.transpose, np.flipud, np.fliplr):
        assert _rows(turn(truth), turn(prediction)) == expected


@settings(max_examples=30, deadline=None)
@given(seed=seeds)
def test_sums_are_those_of_the_confusion_matrix(seed: int) -> None:
    truth, prediction = maps(seed, K)
    matrix = confusion(truth, prediction, K)
    rows = objects(truth, prediction)
    assert (rows["hits"] <= rows["area"]).all() and (rows["area"] <= rows["union"]).all()
    for by, edges in (("area", (2, 9)), ("width", WIDTHS)):
        sums = binned(rows, K, edges, by).sum(1)  # type: ignore[arg-type]
        assert sums[:, 0].tolist() == [(rows["class"] == k).sum() for k in range(K)]
        unions = [rows["union"][rows["class"] == k].sum() for k in range(K)]
        np.testing.assert_array_equal(sums[:, 1:].T, [matrix.sum(1), matrix.diagonal(), unions])
    perfect = objects(truth, truth)
    assert (perfect["hits"] == perfect["area"]).all()
    assert (perfect["union"] == perfect["area"]).all()


@pytest.mark.parametrize("width", [*range(1, 21), 101])
@pytest.mark.parametrize("place", ["inside", "border", "void", "touching"])
def test_a_line_has_its_own_width(width: int, place: str) -> None:
    truth = np.zeros((250, 2 * width + 40), np.uint8)
    left = 0 if place == "border" else 7
    truth[:, left : left + width] = 1
    if place == "void":
        truth[:, left + width :] = IGNORE
    if place == "touching":
        truth[:, left + width : left + width + 3] = 2
    for turned in (truth, np.ascontiguousarray(truth.T)):
        rows = objects(turned, turned)
        assert rows["width"][rows["class"] == 1].tolist() == [width]
        if place == "touching":
            assert rows["width"][rows["class"] == 2].tolist() == [3]


@pytest.mark.parametrize("side", range(1, 12))
def test_a_square_has_its_side_and_a_disc_nearly_its_diameter(side: int) -> None:
    square = np.pad(np.ones((side, side), np.uint8), 3)
    rows = objects(square, square)
    assert rows["width"][rows["class"] == 1] == side
    y, x = np.mgrid[:40, :40] - 20
    disc = (y**2 + x**2 <= side**2).astype(np.uint8)
    rows = objects(disc, disc)
    assert abs(rows["width"][rows["class"] == 1][0] - 2 * math.sqrt(disc.sum() / math.pi)) < 1


def test_a_slanted_line_has_about_its_width() -> None:
    y, x = np.mgrid[:200, :200]
    for angle in np.radians([20, 45, 70]):
        for width in (6, 11, 25):
            line = np.abs((x - 100) * np.cos(angle) + (y - 100) * np.sin(angle)) <= width / 2
            rows = objects(line.astype(np.uint8), line.astype(np.uint8))
            assert abs(rows["width"][rows["class"] == 1][0] - width) < 1.5


def test_widths_lie_near_scipys_distances() -> None:
    """With D, scipy's largest distance to a pixel outside: from 2 D - 1 to less than 2 D + 2."""
    _, truth = scene(160, 240)
    truth[:, 100:105] = IGNORE
    rows = objects(truth, truth)
    expected = []
    for k in np.unique(truth[truth != IGNORE]):
        parts, number = ndimage.label(np.pad(truth == k, 1), np.ones((3, 3)))
        for i in range(1, number + 1):
            depth = ndimage.distance_transform_edt(parts == i).max()
            expected.append((k, (parts == i).sum(), depth))
    assert len(expected) == len(rows) > 30
    found = sorted(zip(rows["class"], rows["area"], rows["width"], strict=True))
    for (k, area, depth), (ours, pixels, width) in zip(sorted(expected), found, strict=True):
        assert (k, area) == (ours, pixels)
        assert 2 * depth - 1 - 1e-3 <= width < 2 * depth + 2


def test_a_pole_that_is_found_in_part() -> None:
    truth, prediction = np.zeros((20, 30), np.uint8), np.zeros((20, 30), np.uint8)
    truth[2:18, 10:12] = 1
    truth[2:18, 20] = 1
    prediction[2:10, 10:13] = 1  # the upper half of the first pole, and a column beside it
    prediction[19, 0:5] = 1  # far from both: it counts for none
    rows = np.sort(objects(truth, prediction)[["area", "width", "hits", "union", "class"]])
    assert rows[rows["class"] == 1].tolist() == [(16, 1, 0, 16, 1), (32, 2, 16, 40, 1)]
    counts = binned(rows, 2, WIDTHS, "width")
    assert counts[1].tolist() == [[2, 48, 16, 56], *[[0, 0, 0, 0]] * 4]


def test_a_prediction_that_joins_two_objects_counts_for_both() -> None:
    truth = np.array([[1, 1, 0, 0, 1]], np.uint8)
    rows = objects(truth, np.ones_like(truth))
    own = sorted(rows[rows["class"] == 1][["area", "hits", "union"]].tolist())
    assert own == [(1, 1, 3), (2, 2, 4)]
    truth[0, 2] = IGNORE  # void parts the prediction too, so that no false pixel touches the first
    rows = objects(truth, np.ones_like(truth))
    own = sorted(rows[rows["class"] == 1][["area", "hits", "union"]].tolist())
    assert own == [(1, 1, 2), (2, 2, 2)]


def test_corners_connect() -> None:
    truth = np.eye(7, dtype=np.uint8)
    rows = objects(truth, truth)
    assert sorted(rows[["class", "area"]].tolist()) == [(0, 42), (1, 7)]
    assert rows["width"][rows["class"] == 1] == 1


def test_bins_hold_their_lower_edge() -> None:
    truth = np.zeros((120, 300), np.uint8)
    truth[:16, :16] = truth[40:72, :32] = truth[:96, 100:196] = 1  # each as large as an edge
    truth[118, 299] = 1
    counts = binned(objects(truth, truth), 2, AREAS, "area")[1]
    assert counts[:, 0].tolist() == [1, 1, 1, 1]
    assert counts[:, 1].tolist() == counts[:, 2].tolist() == [1, *AREAS]
    assert binned(objects(truth, truth), 2, WIDTHS, "width")[1, :, 0].tolist() == [1, 0, 0, 1, 2]


def test_a_map_of_void_has_no_objects() -> None:
    void = np.full((5, 5), IGNORE, np.uint8)
    rows = objects(void, np.zeros_like(void))
    assert len(rows) == 0
    assert not binned(rows, K, AREAS, "area").any()


@pytest.mark.slow
def test_all_counts_of_a_large_map_cost_less_than_three_distance_transforms() -> None:
    """0.18 s of one core for 2048x1024 pixels of 19 classes, where scipy's transform takes 0.11."""
    truth, prediction = scene(1024, 2048)
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)

    def count() -> None:
        confusion(truth, prediction, 19)
        bands(truth, prediction, 19)
        boundary_counts(truth, prediction, 19, 0.005)
        objects(truth, prediction)

    def best(work: Callable[[], object]) -> float:
        times = []
        for _ in range(5):
            start = time.perf_counter()
            work()
            times.append(time.perf_counter() - start)
        return min(times)

    try:
        ratio = best(count) / best(lambda: ndimage.distance_transform_edt(truth != IGNORE))
    finally:
        cv2.setNumThreads(threads)
    assert ratio < 3
