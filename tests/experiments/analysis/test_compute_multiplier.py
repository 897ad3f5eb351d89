"""Compute multipliers by hand."""

import numpy as np
import pytest
import scipy.stats

from experiments.analysis.compute_multiplier import compute_multiplier
from tests.experiments.analysis.made_counts import resampled


def test_multiplier_by_hand() -> None:
    # A gains .1 a doubling, B has .7 at a cost of 1: A needs 4 times as much.
    a = {1.0: resampled(0.5, [0.5] * 9), 8.0: resampled(0.8, [0.8] * 9)}
    b = {1.0: resampled(0.7, [0.7] * 9), 0.5: resampled(0.6, [0.6] * 9)}
    found = compute_multiplier(a, b)
    assert found.multiplier == pytest.approx(4) and found.miou == pytest.approx(0.7)
    assert (found.low, found.high) == pytest.approx((4, 4)) and found.reason is None
    assert compute_multiplier(b, a).multiplier == pytest.approx(0.25)
    assert compute_multiplier(a, a).multiplier == pytest.approx(1)


def test_a_plateau_costs_its_cheapest_run_and_a_dip_nothing() -> None:
    a = {c: resampled(m, [m] * 9) for c, m in ((1.0, 0.5), (2.0, 0.7), (4.0, 0.6), (8.0, 0.7))}
    b = {c: resampled(m, [m] * 9) for c, m in ((1.0, 0.6), (2.0, 0.9))}
    found = compute_multiplier(a, b)  # B reaches .7 a third of the way from 1 to 2 in log cost
    assert found.multiplier == pytest.approx(2 / 2 ** (1 / 3))


def test_multiplier_does_not_extrapolate() -> None:
    low = {c: resampled(m, [m] * 9) for c, m in ((1.0, 0.5), (2.0, 0.6))}
    high = {c: resampled(m, [m] * 9) for c, m in ((1.0, 0.7), (2.0, 0.8))}
    found = compute_multiplier(low, high)
    assert found.multiplier is None and found.low is None and found.high is None
    assert found.reason is not None and "cheapest run of B is above the best of A" in found.reason
    assert "60.0 %" in found.reason
    with pytest.raises(ValueError, match="two budgets of each model are needed, got 1 and 2"):
        compute_multiplier({1.0: low[1.0]}, high)


def test_multiplier_interval() -> None:
    # B's top score is normal with SD .02; A gains .1 a doubling, so log2 of A's cost has SD .2.
    draws = 0.7 + 0.02 * scipy.stats.norm.ppf((np.arange(4000) + 0.5) / 4000)
    a = {1.0: resampled(0.5, [0.5] * 4000), 8.0: resampled(0.8, [0.8] * 4000)}
    low_b = resampled(0.4, [0.4] * 4000)
    for n in (10, 1000):
        found = compute_multiplier(a, {0.5: low_b, 1.0: resampled(0.7, draws, n)})
        half = 0.2 * scipy.stats.t.ppf(0.975, n - 1) * np.sqrt(n / (n - 1))
        assert found.low is not None and found.high is not None
        assert np.log2([found.low, found.high]) == pytest.approx([2 - half, 2 + half], abs=0.03)
    few = compute_multiplier(a, {0.5: low_b, 1.0: resampled(0.7, draws, 3)})
    assert few.low is None and "only 3 independent" in (few.reason or "")
    # B's cheapest run above A's best in a tenth of the draws: there A's cost has no bound.
    above = np.where(np.arange(4000) < 400, 0.81, 0.4)
    open_end = compute_multiplier(
        a, {0.5: resampled(0.4, above), 1.0: resampled(0.7, np.maximum(above, 0.7))}
    )
    assert open_end.high is None and open_end.low is not None
    assert "open" in (open_end.reason or "")
