"""Scores on resampled images, against the scorer, scipy and slow loops."""

import time
from typing import Any

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.analysis.bootstrap import blocks
from experiments.analysis.intervals import interval
from experiments.scoring.counts import class_iou
from tests.experiments.analysis.made_counts import Counts, bootstrap, random_counts
from tests.experiments.made import difference


def test_point_and_draws_are_the_scorers_miou() -> None:
    counts, groups = random_counts(), ["a"] * 17 + ["b"] * 23
    block = blocks(groups, 4)
    scores = bootstrap(counts, 7, groups=groups, length=4, seed=5)
    num_blocks = block.max() + 1
    weights = np.random.default_rng(5).multinomial(num_blocks, [1 / num_blocks] * num_blocks, 7)
    for name, (tp, fp, fn) in counts.items():
        for s in range(3):
            iou = class_iou(tp[s].sum(0), fp[s].sum(0), fn[s].sum(0))
            assert scores[name].miou[s] == pytest.approx(np.nanmean(iou), abs=1e-12)
            for d in range(7):
                rows = np.repeat(np.arange(40), weights[d][block])
                iou = class_iou(*(part[s][rows].sum(0) for part in (tp, fp, fn)))
                assert scores[name].draws[d, s] == pytest.approx(np.nanmean(iou), abs=1e-12)


def test_an_absent_class_does_not_count_and_a_false_one_counts_as_0() -> None:
    tp, fp, fn = random_counts(num_models=1, k=3)["model0"]
    for part in (tp, fp, fn):
        part[..., 1:] = 0
    absent = bootstrap({"a": (tp, fp, fn)}, 50)["a"]
    alone = bootstrap({"a": (tp[..., :1], fp[..., :1], fn[..., :1])}, 50)["a"]
    assert np.array_equal(absent.draws, alone.draws) and np.array_equal(absent.miou, alone.miou)
    fp[0, :, 1] = 1
    false = bootstrap({"a": (tp, fp, fn)}, 50)["a"]
    assert np.allclose(false.draws[:, 0], alone.draws[:, 0] / 2)
    assert np.array_equal(false.draws[:, 1:], alone.draws[:, 1:])


def test_standard_error_against_scipy() -> None:
    counts = random_counts(num_models=2, images=60)
    a, b = bootstrap(counts, 4000).values()

    def statistic(rows: Any) -> Any:
        def mean(parts: Counts) -> Any:
            tp, fp, fn = (part[:, rows].sum(1) for part in parts)
            return np.nanmean(class_iou(tp, fp, fn))

        return mean(counts["model0"]) - mean(counts["model1"])

    theirs = scipy.stats.bootstrap(
        (np.arange(60),), statistic, n_resamples=4000, vectorized=False, method="percentile",
        rng=np.random.default_rng(1),
    )  # fmt: skip
    ours = difference(a, b, "checkpoints")
    assert ours.standard_error is not None
    # Each is known to 1 / sqrt(2 * 4000) = 1.1 %.
    assert ours.standard_error == pytest.approx(theirs.standard_error * np.sqrt(60 / 59), rel=0.05)
    assert ours.value == pytest.approx(float(statistic(np.arange(60))))


def test_a_linear_score_has_the_t_interval_of_its_mean() -> None:
    accuracy = np.random.default_rng(0).integers(0, 1000, 30)
    tp = accuracy[None, :, None]
    score = bootstrap({"a": (tp, 0 * tp, 1000 - tp)}, 50_000)["a"]
    ours = interval(score, "checkpoints")
    theirs = scipy.stats.ttest_1samp(accuracy / 1000, 0).confidence_interval(0.95)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=2e-3)
    assert ours.df == 29


@settings(deadline=None, max_examples=15)
@given(st.randoms(use_true_random=False))
def test_order_does_not_matter(random: Any) -> None:
    counts, groups = random_counts(k=3), ["a"] * 20 + ["b"] * 20
    classes, names, seeds = [0, 1, 2], list(counts), [0, 1, 2]
    for order in (classes, names, seeds):
        random.shuffle(order)
    before = bootstrap(counts, 200, groups=groups, length=5)
    after = bootstrap(
        {n: tuple(part[seeds][..., classes] for part in counts[n]) for n in names},  # type: ignore[misc]
        200,
        groups=groups,
        length=5,
    )
    for name in names:
        assert np.allclose(after[name].miou, before[name].miou[seeds], atol=1e-12, rtol=0)
        assert np.allclose(after[name].draws, before[name].draws[:, seeds], atol=1e-12, rtol=0)


def test_order_of_groups_changes_only_the_draws_luck() -> None:
    counts, groups = random_counts(num_models=2), ["a"] * 15 + ["b"] * 25
    turned = np.roll(np.arange(40), -15)
    moved = {n: (tp[:, turned], fp[:, turned], fn[:, turned]) for n, (tp, fp, fn) in counts.items()}
    one, two = (
        interval(bootstrap(c, 20_000, groups=g, length=5)["model0"], "seeds")
        for c, g in ((counts, groups), (moved, [groups[i] for i in turned]))
    )
    assert one.value == pytest.approx(two.value, abs=1e-12)
    assert one.standard_error == pytest.approx(two.standard_error, rel=0.03)


def test_other_images_are_refused() -> None:
    counts = random_counts()
    tp, fp, fn = counts["model1"]
    counts["model1"] = (tp[:, ::-1], fp[:, ::-1], fn[:, ::-1])
    with pytest.raises(ValueError, match="the trials were scored on other images or labels"):
        bootstrap(counts, 10)


def test_matrix_products_are_many_times_faster_than_a_loop() -> None:
    counts = random_counts(num_models=5, images=500, k=19)
    start = time.perf_counter()
    bootstrap(counts, 1000)
    fast = (time.perf_counter() - start) / 1000
    rng = np.random.default_rng(0)
    start = time.perf_counter()
    for _ in range(10):
        rows = rng.integers(0, 500, 500)
        for tp, fp, fn in counts.values():
            class_iou(tp[:, rows].sum(1), fp[:, rows].sum(1), fn[:, rows].sum(1))
    assert (time.perf_counter() - start) / 10 > 5 * fast
