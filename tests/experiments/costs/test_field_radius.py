"""Radii of a map of energy: beside a slow loop, and shapes whose radius is known in closed form."""

import math

import numpy as np
import pytest

from experiments.costs.field_radius import (
    Floats,
    centre,
    radial_profile,
    radius,
    shrink,
    support,
)

SHARES = (0.05, 0.5, 0.8, 0.95, 0.999)


def _distances(height: int, width: int) -> Floats:
    row, column = centre(height, width)
    rows, columns = np.mgrid[:height, :width]
    away: Floats = np.hypot(rows - row, columns - column)
    return away


def _slow_radius(energy: Floats, share: float) -> float:
    """One distance after the other; the last step in proportion."""
    away = _distances(*energy.shape)
    held, before = 0.0, 0.0
    for distance in sorted({float(d) for d in away.ravel()}):
        here = sum(
            float(e) for e, d in zip(energy.ravel(), away.ravel(), strict=True) if d == distance
        )
        if held + here >= share * energy.sum():
            wanted = (share * energy.sum() - held) / here
            return before + wanted * (distance - before) if distance else 0.0
        held, before = held + here, distance
    raise AssertionError


@pytest.mark.parametrize("size", [(9, 9), (8, 12), (7, 10), (1, 6)])
def test_the_radius_is_that_of_a_slow_loop(size: tuple[int, int]) -> None:
    energy = np.random.default_rng(0).random(size) ** 3
    for share in SHARES:
        assert radius(energy, share) == pytest.approx(_slow_radius(energy, share), rel=1e-9)
    assert radius(energy, 1) == pytest.approx(_distances(*size).max())


def test_the_scale_of_a_map_does_not_count() -> None:
    energy = np.random.default_rng(1).random((31, 40))
    for share in SHARES:
        assert radius(1e-30 * energy, share) == pytest.approx(radius(energy, share))


@pytest.mark.parametrize("sigma", [4, 9, 20])
def test_a_gaussian_has_the_radii_of_its_distribution(sigma: int) -> None:
    """Rayleigh's: the share within r is 1 - exp(-r^2 / 2 sigma^2)."""
    energy = np.exp(-(_distances(201, 220) ** 2) / (2 * sigma**2))
    for share in (0.2, 0.5, 0.95):
        expected = sigma * math.sqrt(-2 * math.log(1 - share))
        assert radius(energy, share) == pytest.approx(expected, abs=0.3)  # of a grid
    radii = np.array([1, 2, 3]) * sigma
    expected_shares = 1 - np.exp(-(radii**2) / (2 * sigma**2))
    assert radial_profile(energy)[radii] == pytest.approx(expected_shares, abs=0.03)


def test_a_uniform_disc_holds_a_share_within_its_root() -> None:
    energy = (_distances(121, 121) <= 50).astype(float)
    for share in (0.25, 0.5, 0.95):
        assert radius(energy, share) == pytest.approx(50 * math.sqrt(share), abs=0.3)


def test_energy_in_the_centre_alone_has_no_radius() -> None:
    energy = np.zeros((6, 9))
    energy[3, 4] = 1
    assert radius(energy, 0.95) == 0 and radius(energy, 1) == 0
    assert support(energy) == (3, 4, 1, 1)
    energy[3, 7] = 1  # half of it 3 pixels away
    assert radius(energy, 0.5) == 0
    inner = math.sqrt(8)  # no energy until the distance before 3, from where it is linear
    assert radius(energy, 0.75) == pytest.approx(inner + 0.5 * (3 - inner))


def test_the_profile_counts_pixels_within_each_whole_radius() -> None:
    energy = np.random.default_rng(2).random((12, 17))
    away, total = _distances(12, 17), energy.sum()
    profile = radial_profile(energy)
    expected = [energy[away <= r].sum() / total for r in range(len(profile))]
    assert profile == pytest.approx(expected) and profile[-1] == 1
    assert len(profile) == math.ceil(away.max()) + 1 and profile[-2] < 1


def test_the_support_is_the_box_of_what_is_not_zero() -> None:
    energy = np.zeros((20, 30))
    energy[4, 9], energy[11, 5] = 1e-300, 2
    assert support(energy) == (4, 5, 8, 5)
    assert support(np.zeros((3, 3))) == (0, 0, 0, 0)


@pytest.mark.parametrize(
    ("size", "cells"), [((360, 480), (45, 60)), ((48, 64), (24, 32)), ((50, 31), (50, 31))]
)
def test_a_small_map_has_the_sums_of_its_cells(
    size: tuple[int, int], cells: tuple[int, int]
) -> None:
    energy = np.random.default_rng(3).random(size)
    small, cell = shrink(energy), -(-max(size) // 60)
    assert small.shape == cells and small.sum() == pytest.approx(energy.sum())
    assert small[1, 2] == pytest.approx(
        energy[cell : 2 * cell, 2 * cell : 3 * cell].sum(), rel=1e-12
    )
    assert shrink(energy[:, :-1], 7).sum() == pytest.approx(energy[:, :-1].sum())  # a cut cell


@pytest.mark.parametrize(
    "energy",
    [np.zeros((3, 4)), np.full((3, 4), np.nan), np.array([[2.0, -1.0]]), np.ones(5)],
)
def test_what_is_no_energy_has_no_radius(energy: Floats) -> None:
    for measure in (lambda e: radius(e, 0.5), radial_profile):
        with pytest.raises(ValueError, match=r"a map of energy \(H, W\) of finite values"):
            measure(energy)


@pytest.mark.parametrize("share", [0, -0.5, 1.5, math.nan])
def test_a_share_is_a_share(share: float) -> None:
    with pytest.raises(ValueError, match="a share of the energy lies above 0 and up to 1"):
        radius(np.ones((3, 3)), share)
