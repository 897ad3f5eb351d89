"""Resampling and statistics: by hand, against scipy and slow loops, and by simulated coverage."""

import time
from typing import Any

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import lfilter

from experiments.analysis.bootstrap import Counts, Floats, Resampled, blocks, bootstrap
from experiments.analysis.compute_multiplier import compute_multiplier
from experiments.analysis.intervals import (
    Interval,
    Pair,
    Target,
    equivalence_p,
    holm,
    interval,
    minimum_detectable_difference,
    p_value,
    verdict,
)
from experiments.analysis.pareto import pareto, pareto_front
from experiments.analysis.variance import noise_floor, noise_of_difference, variance_components
from experiments.scoring.counts import class_iou
from tests.experiments.made import difference

CAMVID_TEST = ["0001TP"] * 62 + ["Seq05VD"] * 171


def _counts(
    num_models: int = 3, seeds: int = 3, images: int = 40, k: int = 4, seed: int = 0
) -> dict[str, Counts]:
    """Random counts on a common truth, in which classes differ in size and some are often away."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 1000, (images, k)) * (rng.random((images, k)) < 0.7)
    truth[:, 0] += 1
    shape = (seeds, images, k)
    models = {}
    for m in range(num_models):
        tp = rng.binomial(truth, np.clip(rng.normal(0.7, 0.1, shape), 0, 1))
        models[f"model{m}"] = (tp, rng.integers(0, 200, shape), truth - tp)
    return models


def _interval(value: float, standard_error: float, df: float) -> Interval:
    half = scipy.stats.t.ppf(0.975, df) * standard_error
    return Interval(value, value - half, value + half, standard_error, df)


def _resampled(miou: float, draws: list[float] | Floats, num_blocks: int = 500) -> Resampled:
    return Resampled(np.array([miou]), np.array(draws)[:, None], num_blocks)


# --- blocks


def test_blocks_by_hand() -> None:
    # Eight of a: 3, 3, and 2, at least half of 3. Four of b, between them: 3 and the 1 joins them.
    groups = ["a"] * 5 + ["b"] * 4 + ["a"] * 3
    assert blocks(groups, 3).tolist() == [0, 0, 0, 1, 1, 2, 2, 2, 2, 1, 3, 3]
    assert blocks(["a", "b", "a"], 1).tolist() == [0, 1, 2]
    assert blocks(["a", "b", "b"], 20).tolist() == [0, 1, 1]  # a short group is one block


def test_blocks_of_camvid() -> None:
    sizes = np.bincount(blocks(CAMVID_TEST, 20))
    assert sizes.tolist() == [20, 20, 22, *[20] * 8, 11]


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=60), st.integers(1, 9))
def test_blocks_are_runs_within_a_group(groups: list[str], length: int) -> None:
    block = blocks(groups, length)
    assert sorted(set(block.tolist())) == list(range(block.max() + 1))
    for group in set(groups):
        own = block[[g == group for g in groups]]
        assert (np.diff(own) >= 0).all()
        assert not set(own) & set(block[[g != group for g in groups]])
        sizes = np.unique(own, return_counts=True)[1]
        assert (sizes[:-1] == length).all() and sizes[-1] < 1.5 * length
        assert sizes[-1] >= length / 2 or len(sizes) == 1


# --- bootstrap


def test_point_and_draws_are_the_scorers_miou() -> None:
    counts, groups = _counts(), ["a"] * 17 + ["b"] * 23
    block = blocks(groups, 4)
    scores = bootstrap(counts, block, num_draws=7, seed=5)
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
    tp, fp, fn = _counts(num_models=1, k=3)["model0"]
    for part in (tp, fp, fn):
        part[..., 1:] = 0
    absent = bootstrap({"a": (tp, fp, fn)}, np.arange(40), 50)["a"]
    alone = bootstrap({"a": (tp[..., :1], fp[..., :1], fn[..., :1])}, np.arange(40), 50)["a"]
    assert np.array_equal(absent.draws, alone.draws) and np.array_equal(absent.miou, alone.miou)
    fp[0, :, 1] = 1
    false = bootstrap({"a": (tp, fp, fn)}, np.arange(40), 50)["a"]
    assert np.allclose(false.draws[:, 0], alone.draws[:, 0] / 2)
    assert np.array_equal(false.draws[:, 1:], alone.draws[:, 1:])


def test_standard_error_against_scipy() -> None:
    counts = _counts(num_models=2, images=60)
    a, b = bootstrap(counts, np.arange(60), 4000).values()

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
    score = bootstrap({"a": (tp, 0 * tp, 1000 - tp)}, np.arange(30), 50_000)["a"]
    ours = interval(score, "checkpoints")
    theirs = scipy.stats.ttest_1samp(accuracy / 1000, 0).confidence_interval(0.95)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=2e-3)
    assert ours.df == 29


@settings(deadline=None, max_examples=15)
@given(st.randoms(use_true_random=False))
def test_order_does_not_matter(random: Any) -> None:
    counts, groups = _counts(k=3), ["a"] * 20 + ["b"] * 20
    classes, names, seeds = [0, 1, 2], list(counts), [0, 1, 2]
    for order in (classes, names, seeds):
        random.shuffle(order)
    before = bootstrap(counts, blocks(groups, 5), 200)
    after = bootstrap(
        {n: tuple(part[seeds][..., classes] for part in counts[n]) for n in names},  # type: ignore[misc]
        blocks(groups, 5),
        200,
    )
    for name in names:
        assert np.allclose(after[name].miou, before[name].miou[seeds], atol=1e-12, rtol=0)
        assert np.allclose(after[name].draws, before[name].draws[:, seeds], atol=1e-12, rtol=0)


def test_order_of_groups_changes_only_the_draws_luck() -> None:
    counts, groups = _counts(num_models=2), ["a"] * 15 + ["b"] * 25
    turned = np.roll(np.arange(40), -15)
    moved = {n: (tp[:, turned], fp[:, turned], fn[:, turned]) for n, (tp, fp, fn) in counts.items()}
    one, two = (
        interval(bootstrap(c, blocks(g, 5), 20_000)["model0"], "seeds")
        for c, g in ((counts, groups), (moved, [groups[i] for i in turned]))
    )
    assert one.value == pytest.approx(two.value, abs=1e-12)
    assert one.standard_error == pytest.approx(two.standard_error, rel=0.03)


def test_other_images_are_refused() -> None:
    counts = _counts()
    tp, fp, fn = counts["model1"]
    counts["model1"] = (tp[:, ::-1], fp[:, ::-1], fn[:, ::-1])
    with pytest.raises(ValueError, match="model1 and model0 were scored on other images"):
        bootstrap(counts, np.arange(40), 10)


def test_matrix_products_are_many_times_faster_than_a_loop() -> None:
    counts = _counts(num_models=5, images=500, k=19)
    block = np.arange(500)
    start = time.perf_counter()
    bootstrap(counts, block, 1000)
    fast = (time.perf_counter() - start) / 1000
    rng = np.random.default_rng(0)
    start = time.perf_counter()
    for _ in range(10):
        rows = rng.integers(0, 500, 500)
        for tp, fp, fn in counts.values():
            class_iou(tp[:, rows].sum(1), fp[:, rows].sum(1), fn[:, rows].sum(1))
    assert (time.perf_counter() - start) / 10 > 5 * fast


# --- intervals


def test_a_model_against_itself_is_exactly_0() -> None:
    a, b, _ = bootstrap(_counts(), np.arange(40), 300).values()
    targets: tuple[Target, ...] = ("checkpoints", "seeds")
    for target in targets:
        same = difference(a, a, target)
        assert (same.value, same.low, same.high, same.standard_error) == (0, 0, 0, 0)
        assert p_value(same) == 1 and equivalence_p(same, 0.01) == 0
        there, back = difference(a, b, target), difference(b, a, target)
        assert (there.value, there.low) == (-back.value, -(back.high or 0))
        assert p_value(there) == p_value(back)


def test_what_images_and_seeds_share_cancels_in_a_difference() -> None:
    rng = np.random.default_rng(0)
    shared, own = rng.normal(0, 0.05, (1000, 1)), rng.normal(0, 0.001, (1000, 1))
    seeds = np.array([0.0, 0.1, -0.1])
    a = Resampled(0.7 + seeds, 0.7 + seeds + shared, 50)
    b = Resampled(0.6 + seeds, 0.6 + seeds + shared + own, 50)
    paired = difference(a, b, "seeds")
    assert paired.standard_error == pytest.approx(own.std() * np.sqrt(50 / 49))


def test_seeds_add_their_variance_by_hand() -> None:
    # Images: variance 4e-4 * 10 / 9. Seeds .5 .6 .7: s^2 = .01, over 3. Degrees 9 and 2.
    draws = np.where(np.arange(100) % 2, 0.58, 0.62)[:, None] + np.array([-0.1, 0, 0.1])
    score = Resampled(np.array([0.5, 0.6, 0.7]), draws, 10)
    image, seed = 4e-4 * 10 / 9, 0.01 / 3
    found = interval(score, "seeds")
    df = (image + seed) ** 2 / (image**2 / 9 + seed**2 / 2)
    assert found.standard_error == pytest.approx(np.sqrt(image + seed))
    assert found.df == pytest.approx(df) and 2 < df < 3
    assert found.high == pytest.approx(0.6 + scipy.stats.t.ppf(0.975, df) * np.sqrt(image + seed))
    checkpoints = interval(score, "checkpoints")
    assert checkpoints.standard_error == pytest.approx(np.sqrt(image)) and checkpoints.df == 9


def test_few_blocks_and_one_seed_give_a_reason() -> None:
    counts = _counts(images=100)
    short = bootstrap(counts, blocks(["clip"] * 100, 20), 100)["model0"]
    found = interval(short, "checkpoints")
    assert found.low is None and found.high is None and found.standard_error is None
    assert found.value == short.mean
    assert found.reason is not None and "only 5 independent blocks" in found.reason
    assert p_value(found) is None and equivalence_p(found, 0.1) is None
    assert minimum_detectable_difference(found) is None
    one = bootstrap(_counts(seeds=1), np.arange(40), 100)["model0"]
    assert interval(one, "checkpoints").reason is None
    assert "only 1 seed" in (interval(one, "seeds").reason or "")


def test_a_class_in_few_images_has_no_interval() -> None:
    tp, fp, fn = (part[..., :1].copy() for part in _counts()["model0"])
    for part in (tp, fn):
        part[:, 5:] = 0
    score = bootstrap({"a": (tp, fp, fn)}, np.arange(40), 1000)["a"]
    assert np.isfinite(score.draws).all()
    assert "only 5 independent" in (interval(score, "checkpoints").reason or "")


# --- tests


def test_p_agrees_with_the_interval() -> None:
    for value in (0.0, 0.005, 0.0213, 0.0215, 0.1):
        d = _interval(value, 0.01, 15)  # t(.975, 15) = 2.131
        p = p_value(d)
        assert d.low is not None and p is not None
        assert (p < 0.05) == (d.low > 0)
    assert p_value(_interval(0.02131, 0.01, 15)) == pytest.approx(0.05, abs=1e-4)


def test_equivalence_by_hand() -> None:
    # t(.95, 10) = 1.812: .01 + 1.812 * .005 = .01906.
    d = _interval(-0.01, 0.005, 10)
    assert equivalence_p(d, 0.01906) == pytest.approx(0.05, abs=1e-4)
    assert equivalence_p(d, 0.01) == pytest.approx(0.5)
    assert (equivalence_p(d, 0.005) or 0) > 0.5


def test_equivalence_is_the_larger_of_two_tests_of_scipy() -> None:
    x = np.random.default_rng(0).normal(0.004, 0.02, 25)
    d = _interval(float(x.mean()), float(x.std(ddof=1)) / 5, 24)
    above = scipy.stats.ttest_1samp(x, 0.01, alternative="less").pvalue
    below = scipy.stats.ttest_1samp(x, -0.01, alternative="greater").pvalue
    assert equivalence_p(d, 0.01) == pytest.approx(max(above, below))
    assert p_value(d) == pytest.approx(scipy.stats.ttest_1samp(x, 0).pvalue)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1, 1] and holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.floats(0.001, 0.3))
def test_holm_rejects_what_the_step_down_loop_rejects(p: list[float], alpha: float) -> None:
    rejected: set[int] = set()
    for step, i in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        if p[i] * (len(p) - step) >= alpha:
            break
        rejected.add(i)
    assert {i for i, x in enumerate(holm(p)) if x < alpha} == rejected


def test_the_detectable_difference_has_the_power_it_says() -> None:
    # 12 numbers: df 11. The formula takes the t for the noncentral t, which costs a little.
    rng = np.random.default_rng(0)
    d = _interval(0.3, 1 / np.sqrt(12), 11)
    found = minimum_detectable_difference(d)
    assert found is not None
    assert found == pytest.approx((2.2010 + 0.8755) / np.sqrt(12), abs=1e-4)
    p = scipy.stats.ttest_1samp(rng.normal(found, 1, (4000, 12)), 0, axis=1).pvalue
    assert (p < 0.05).mean() == pytest.approx(0.8, abs=0.03)


# --- noise


def test_noise_floor_by_hand() -> None:
    found = noise_floor([[0.70, 0.72], [0.5, 0.51, 0.52], [0.9]])
    assert found.df == 3 and found.reason is None
    assert found.sd == pytest.approx(np.sqrt((0.0002 + 0.0002) / 3))
    # chi-square of .025 and .975 with 3 degrees of freedom, from a printed table.
    assert found.low == pytest.approx(np.sqrt(0.0004 / 9.348), rel=1e-3)
    assert found.high == pytest.approx(np.sqrt(0.0004 / 0.2158), rel=1e-3)


def test_without_repeats_there_is_no_noise_floor() -> None:
    found = noise_floor([[0.7], [0.6]])
    assert found.sd is None and found.df == 0 and "run twice" in (found.reason or "")


def test_noise_alone_reaches_its_bound_once_in_20() -> None:
    # Two networks of the same truth over S runs each; the SD from 6 pairs of repeats, df 6.
    rng, num = np.random.default_rng(0), 2000
    for runs in (1, 3):
        above = 0
        for _ in range(num):
            noise = noise_floor(list(rng.normal(0.7, 0.01, (6, 2))))
            d = float(np.subtract(*rng.normal(0.7, 0.01, (2, runs)).mean(1)))
            above += abs(d) >= noise_of_difference(noise, runs)
        assert above / num == pytest.approx(0.05, abs=0.015)
    assert noise_of_difference(noise_floor([[0.7]]), 1) == 0


def test_components_of_a_full_cross_are_the_analysis_of_variance() -> None:
    y = np.random.default_rng(0).normal(0.7, 0.02, (4, 5)) + np.linspace(0, 0.1, 4)[:, None]
    found = variance_components({(i, j): y[i, j] for i in range(4) for j in range(5)})
    init, data = y.mean(1) - y.mean(), y.mean(0) - y.mean()
    left = y - y.mean() - init[:, None] - data
    noise = (left**2).sum() / 12
    assert (found.init.df, found.data.df, found.rest.df) == (3, 4, 12)
    assert found.rest.sd == pytest.approx(np.sqrt(noise))
    assert found.init.sd == pytest.approx(np.sqrt((5 * (init**2).sum() / 3 - noise) / 5))
    assert found.data.sd == pytest.approx(
        np.sqrt(max((4 * (data**2).sum() / 4 - noise) / 4, 0)), abs=1e-9
    )


def test_components_of_an_incomplete_cross_are_unbiased_and_covered() -> None:
    rng, missing = np.random.default_rng(0), {(0, 0), (1, 3), (2, 2), (3, 1)}
    cells = [(i, j) for i in range(5) for j in range(4) if (i, j) not in missing]
    sd, variances, covered = (0.02, 0.01, 0.01), [], []
    for _ in range(500):
        init, data, noise = (rng.normal(0, s, (5, 4)) for s in sd)
        found = variance_components(
            {(i, j): init[i, 0] + data[0, j] + noise[i, j] for i, j in cells}
        )
        parts = (found.init, found.data, found.rest)
        variances.append([(x.sd or 0) ** 2 for x in parts])
        covered.append([(x.low or 0) <= s <= (x.high or 0) for x, s in zip(parts, sd, strict=True)])
    bias = np.mean(variances, 0) / np.square(sd)
    assert bias == pytest.approx([1, 1, 1], abs=0.15)  # cut at 0, which lifts the second a little
    assert np.mean(covered, 0) == pytest.approx([0.95] * 3, abs=0.03)


def test_seeds_that_move_together_cannot_be_told_apart() -> None:
    found = variance_components({(0, 0): 0.7, (1, 1): 0.72, (2, 2): 0.69})
    for part, word in ((found.init, "initialisation"), (found.data, "data order")):
        assert part.sd is None and word in (part.reason or "")
    assert found.rest.sd is None and "add combinations" in (found.rest.reason or "")
    row = variance_components({(0, 0): 0.7, (0, 1): 0.72, (0, 2): 0.69})
    assert "initialisation never varies" in (row.init.reason or "")
    assert row.data.sd is None and "tell the data order from noise" in (row.data.reason or "")


# --- cost


def test_multiplier_by_hand() -> None:
    # A gains .1 a doubling, B has .7 at a cost of 1: A needs 4 times as much.
    a = {1.0: _resampled(0.5, [0.5] * 9), 8.0: _resampled(0.8, [0.8] * 9)}
    b = {1.0: _resampled(0.7, [0.7] * 9), 0.5: _resampled(0.6, [0.6] * 9)}
    found = compute_multiplier(a, b)
    assert found.multiplier == pytest.approx(4) and found.miou == pytest.approx(0.7)
    assert (found.low, found.high) == pytest.approx((4, 4)) and found.reason is None
    assert compute_multiplier(b, a).multiplier == pytest.approx(0.25)
    assert compute_multiplier(a, a).multiplier == pytest.approx(1)


def test_a_plateau_costs_its_cheapest_run_and_a_dip_nothing() -> None:
    a = {c: _resampled(m, [m] * 9) for c, m in ((1.0, 0.5), (2.0, 0.7), (4.0, 0.6), (8.0, 0.7))}
    b = {c: _resampled(m, [m] * 9) for c, m in ((1.0, 0.6), (2.0, 0.9))}
    found = compute_multiplier(a, b)  # B reaches .7 a third of the way from 1 to 2 in log cost
    assert found.multiplier == pytest.approx(2 / 2 ** (1 / 3))


def test_multiplier_does_not_extrapolate() -> None:
    low = {c: _resampled(m, [m] * 9) for c, m in ((1.0, 0.5), (2.0, 0.6))}
    high = {c: _resampled(m, [m] * 9) for c, m in ((1.0, 0.7), (2.0, 0.8))}
    found = compute_multiplier(low, high)
    assert found.multiplier is None and found.low is None and found.high is None
    assert found.reason is not None and "cheapest run of B is above the best of A" in found.reason
    assert "60.0 %" in found.reason
    with pytest.raises(ValueError, match="two budgets of each model are needed, got 1 and 2"):
        compute_multiplier({1.0: low[1.0]}, high)


def test_multiplier_interval() -> None:
    # B's top score is normal with SD .02; A gains .1 a doubling, so log2 of A's cost has SD .2.
    draws = 0.7 + 0.02 * scipy.stats.norm.ppf((np.arange(4000) + 0.5) / 4000)
    a = {1.0: _resampled(0.5, [0.5] * 4000), 8.0: _resampled(0.8, [0.8] * 4000)}
    low_b = _resampled(0.4, [0.4] * 4000)
    for n in (10, 1000):
        found = compute_multiplier(a, {0.5: low_b, 1.0: _resampled(0.7, draws, n)})
        half = 0.2 * scipy.stats.t.ppf(0.975, n - 1) * np.sqrt(n / (n - 1))
        assert found.low is not None and found.high is not None
        assert np.log2([found.low, found.high]) == pytest.approx([2 - half, 2 + half], abs=0.03)
    few = compute_multiplier(a, {0.5: low_b, 1.0: _resampled(0.7, draws, 3)})
    assert few.low is None and "only 3 independent" in (few.reason or "")
    # B's cheapest run above A's best in a tenth of the draws: there A's cost has no bound.
    above = np.where(np.arange(4000) < 400, 0.81, 0.4)
    open_end = compute_multiplier(
        a, {0.5: _resampled(0.4, above), 1.0: _resampled(0.7, np.maximum(above, 0.7))}
    )
    assert open_end.high is None and open_end.low is not None
    assert "open" in (open_end.reason or "")


def test_pareto_by_hand() -> None:
    costs = {"cheap": 1.0, "mid": 2.0, "beaten": 3.0, "best": 4.0, "twin": 4.0}
    scores = {
        "cheap": _resampled(0.5, [0.5, 0.8, 0.5, 0.5]),
        "mid": _resampled(0.6, [0.6, 0.6, 0.6, 0.6]),
        "beaten": _resampled(0.55, [0.55, 0.55, 0.65, 0.55]),
        "best": _resampled(0.7, [0.7, 0.7, 0.7, 0.7]),
        "twin": _resampled(0.7, [0.7, 0.7, 0.7, 0.7]),
    }
    front = pareto(costs, scores)
    # Of twins the first. In the second draw cheap beats all.
    assert [x.on_front for x in front.values()] == [True, True, False, True, False]
    assert [x.share for x in front.values()] == [1, 0.75, 0.25, 0.75, 0]
    scores["mid"] = _resampled(0.6, [0.6] * 4, num_blocks=2)
    assert {x.share for x in pareto(costs, scores).values()} == {None}


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=8))
def test_pareto_against_a_loop(points: list[tuple[int, int]]) -> None:
    names = [str(i) for i in range(len(points))]
    front = pareto(
        {n: float(c) for n, (c, _) in zip(names, points, strict=True)},
        {n: _resampled(m / 5, [m / 5]) for n, (_, m) in zip(names, points, strict=True)},
    )
    first = pareto_front([c for c, _ in points], [m for _, m in points])
    for i, (cost, miou) in enumerate(points):
        beaten = any(c <= cost and m >= miou and (c, m) != (cost, miou) for c, m in points)
        beaten = beaten or (cost, miou) in points[:i]
        assert front[names[i]].on_front is not beaten and (i in first) is not beaten
        assert front[names[i]].share == float(not beaten)


# --- verdict


@pytest.mark.parametrize(
    ("value", "error", "p_holm", "p_margin", "margin", "kind", "sentence"),
    [
        (0.021, 0.008, 0.01, 0.9, 0.005, "better",
         "A is better than B by 2.1 points (95 % interval 0.4 to 3.8)"),
        (-0.021, 0.008, 0.01, 0.9, 0.005, "worse",
         "A is worse than B by 2.1 points (95 % interval 0.4 to 3.8)"),
        (0.002, 0.001, 0.2, 0.04, 0.01, "equivalent",
         "A and B are equivalent within 1.00 points: A - B is 0.20 (95 % interval -0.01 to 0.41)"),
        # Of this one alone p is below .001, but the corrected one counts.
        (0.002, 0.001, 0.2, 0.06, 0.01, "cannot be told apart",
         "A and B cannot be told apart: A - B is 0.20 points (95 % interval -0.01 to 0.41, p 0.20 "
         "over all pairs), and 0.30 points could have been seen 4 times in 5"),
        (0.021, 0.008, 0.08, 0.9, 0.005, "cannot be told apart",
         "A and B cannot be told apart: A - B is 2.1 points (95 % interval 0.4 to 3.8, p 0.08 "
         "over all pairs), and 2.4 points could have been seen 4 times in 5"),
    ],
)  # fmt: skip
def test_verdicts(
    value: float,
    error: float,
    p_holm: float,
    p_margin: float,
    margin: float,
    kind: str,
    sentence: str,
) -> None:
    d = _interval(value, error, 15)
    mdd = minimum_detectable_difference(d)
    found = verdict(Pair("A", "B", d, p_holm, p_margin), margin, mdd)
    assert (found.kind, found.sentence) == (kind, sentence)
    assert found.reason == ("" if "apart" not in kind else sentence.partition(": ")[2])


def test_small_bounds_are_not_printed_as_0() -> None:
    d = Interval(0.004, 0.0002, 0.0078, 0.0019, 100)
    found = verdict(Pair("A", "B", d, 0.04, 0.9), 0.001, 0.005)
    assert found.sentence == "A is better than B by 0.40 points (95 % interval 0.02 to 0.78)"


def test_a_verdict_without_an_interval_says_why() -> None:
    scores = bootstrap(_counts(num_models=2, images=10), blocks(["clip"] * 10, 5), 50)
    d = difference(scores["model0"], scores["model1"], "checkpoints")
    found = verdict(Pair("A", "B", d, None, None), 0.01, None)
    assert found.kind == "cannot be told apart" and "only 2 independent blocks" in found.sentence


# --- coverage


def _frames(rng: np.random.Generator, *shape: int) -> Floats:
    """Unit AR(1) with lag-1 correlation .7 on both test clips of CamVid, (*shape, 233)."""
    clips = []
    for frames in (62, 171):
        noise = rng.normal(size=(*shape, frames)) * np.sqrt(1 - 0.7**2)
        noise[..., 0] /= np.sqrt(1 - 0.7**2)
        clips.append(lfilter([1], [1, -0.7], noise))
    return np.concatenate(clips, -1)


@pytest.mark.slow
@pytest.mark.parametrize("seed_tenths", [0, 3, 10, 20])  # of a percent point
@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_coverage(seeds: int, seed_tenths: int) -> None:
    """The 95 % interval of a difference of two models covers the true one in 92 to 98 %.

    One class of 10^6 pixels an image, so mIoU is the mean over images of a score that has, in
    percent points (SD): image 4, shared by all; model x image 3.5; seed x image 2; all three AR(1)
    with .7 over 233 frames in two clips; and seed. 4000 comparisons, so a cell is known to +-0.4.
    """
    rng, block, num = np.random.default_rng([seeds, seed_tenths]), blocks(CAMVID_TEST, 20), 4000
    truth, hits = np.array([0.57, 0.55]), {"checkpoints": 0, "seeds": 0}
    for i in range(num):
        trained = truth[:, None] + 0.001 * seed_tenths * rng.normal(size=(2, seeds))
        score = trained[..., None] + 0.04 * _frames(rng)
        score = score + 0.035 * _frames(rng, 2, 1) + 0.02 * _frames(rng, 2, seeds)
        pixels = np.rint(1e6 * score).astype(np.int64)[..., None]
        assert pixels.min() >= 0 and pixels.max() <= 10**6
        counts = {name: (tp, 0 * tp, 10**6 - tp) for name, tp in zip("ab", pixels, strict=True)}
        a, b = bootstrap(counts, block, 1000, i).values()
        targets: dict[Target, float] = {
            "checkpoints": float(np.subtract(*trained.mean(1))),
            "seeds": float(np.subtract(*truth)),
        }
        for target, true in targets.items():
            found = difference(a, b, target)
            assert found.low is not None and found.high is not None
            hits[target] += found.low <= true <= found.high
    coverage = {target: 100 * count / num for target, count in hits.items()}
    print(f"{seeds} seeds of SD {seed_tenths / 10} points: {coverage}")
    assert all(92 <= value <= 98 for value in coverage.values()), coverage
