"""How far runs lie apart, by hand, against the analysis of variance and by simulation."""

import numpy as np
import pytest

from experiments.analysis.variance import noise_floor, noise_of_difference, variance_components


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
