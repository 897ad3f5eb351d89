"""Numbers of the report's charts."""

import numpy as np
import pytest

from experiments.analysis.evidence_types import PairEvidence
from experiments.analysis.intervals import Interval, Verdict
from experiments.reporting.chart_data import bin_names, forest, over_seeds, thin


def test_thin_keeps_the_mean() -> None:
    points = [(float(x), float(y)) for x, y in enumerate(np.random.default_rng(0).random(600))]
    fewer = thin(points)
    assert len(fewer) == 60 and fewer[0][0] == 4.5
    assert np.mean([y for _, y in fewer]) == pytest.approx(np.mean([y for _, y in points]))
    assert thin(points[:60]) == points[:60] and thin([]) == []


def test_over_seeds_takes_the_steps_that_all_have() -> None:
    line = over_seeds(1, [[(1, 0.2), (2, 0.4)], [(2, 0.6), (3, 0.9)], []], 100)
    assert line is not None
    assert (line.model, line.x, line.y, line.low, line.high) == (1, [2], (50,), (40,), (60,))
    assert over_seeds(0, [], 1) is None and over_seeds(0, [[(1, 2.0)], [(2, 2.0)]], 1) is None


def test_bins_are_named_by_their_ends() -> None:
    assert bin_names([3, 5, 9]) == ["1–2", "3–4", "5–8", "9 up"]
    assert bin_names([2.0]) == ["1", "2 up"]


def test_forest_holds_every_interval_and_zero() -> None:
    def pair(value: float, low: float | None, high: float | None) -> PairEvidence:
        return PairEvidence(
            a="a",
            b="b",
            seeds=(0,),
            difference=Interval(value, low, high),
            p=None,
            p_holm=None,
            p_equivalent=None,
            mdd=None,
            verdict=Verdict("better", ""),
            within=None,
            beyond=None,
            boundary_gain=None,
        )

    drawn = forest([pair(0.08, 0.05, 0.12), pair(0.03, None, None)], 0.01)
    ticks = {text: place for place, text in drawn.ticks}
    assert ticks["0"] == drawn.zero and min(ticks.values()) == 4 and max(ticks.values()) == 96
    step = ticks["+2"] - ticks["0"]
    assert drawn.places[0] == pytest.approx(
        [drawn.zero + k * step / 2 for k in (5, 8, 12)], abs=0.05
    )
    assert drawn.places[1][0] is None
    assert drawn.margin == pytest.approx((drawn.zero - step / 2, step), abs=0.05)
