"""How far runs of one network lie apart, and where that comes from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from experiments.analysis.bootstrap import Floats


@dataclass(frozen=True)
class Spread:
    """A standard deviation of mIoU with its 95 % interval, as fractions.

    `reason` says what cannot be said; the fields that it concerns are None.
    """

    sd: float | None
    low: float | None
    high: float | None
    df: int
    reason: str | None = None


@dataclass(frozen=True)
class Components:
    """Where the spread of runs comes from.

    Attributes:
        init: between initialisations.
        data: between data orders.
        rest: between runs that neither explains: the interaction of both, and the noise of runs
            that repeat the same trial, which `noise_floor` gives alone.
    """

    init: Spread
    data: Spread
    rest: Spread


def noise_floor(repeats: Sequence[Sequence[float]]) -> Spread:
    """SD of runs that repeat the same trial, pooled over trials: what no seed explains.

    Args:
        repeats: mIoU (fractions) of the runs of each trial.
    """
    df = sum(len(runs) - 1 for runs in repeats)
    squares = sum(float(np.square(np.subtract(runs, np.mean(runs))).sum()) for runs in repeats)
    return _spread(squares, df, "no trial was run twice: the noise of a repeat cannot be seen")


def noise_of_difference(noise: Spread, num_runs: int) -> float:
    """What noise of repeats alone moves the difference of two means by, 19 times in 20.

    t(.975, df) sd sqrt(2 / S), a fraction, for means over S runs each; 0 where no repeat ran.
    """
    if noise.sd is None:
        return 0.0
    return float(stdtrit(noise.df, 0.975) * noise.sd * np.sqrt(2 / num_runs))


def variance_components(miou: Mapping[tuple[int, int], float]) -> Components:
    """Components of initialisation and data order, from mIoU by (init_seed, data_seed).

    y = mean + init + data + rest, not every combination needed. Squares of one factor after the
    mean and the other one are set equal to their expectation (Henderson's method 3, Biometrics
    9(2), 1953; with all combinations it is the two-way analysis of variance). Negative estimates
    are 0. Intervals after Williams (1962, Biometrika 49), that of the rest from chi-square.
    """
    y = np.array(list(miou.values()))
    init, data = (_indicators([key[i] for key in miou]) for i in (0, 1))
    both = np.hstack([init, data])
    df_rest = len(y) - int(np.linalg.matrix_rank(both))
    rest = _squares(both, y)
    return Components(
        init=_component(init, data, y, rest, df_rest, "initialisation"),
        data=_component(data, init, y, rest, df_rest, "data order"),
        rest=_spread(
            rest, df_rest, "seeds explain every run: add combinations of init_seed and data_seed"
        ),
    )


def _indicators(levels: Sequence[int]) -> Floats:
    """(runs, levels), 1 where a run has the level; the columns sum to the mean's column."""
    return np.asarray(np.array(levels)[:, None] == np.unique(levels), np.float64)


def _squares(design: Floats, y: Floats) -> float:
    """Sum of squares that a least-squares fit leaves."""
    return float(np.square(y - design @ (np.linalg.pinv(design) @ y)).sum())


def _component(
    factor: Floats, other: Floats, y: Floats, rest: float, df_rest: int, name: str
) -> Spread:
    rank = np.linalg.matrix_rank
    df = int(rank(np.hstack([other, factor])) - rank(other))
    remedy = "add combinations of init_seed and data_seed"
    if df == 0:
        reason = f"the {name} never varies apart from the other seed: {remedy}"
        return Spread(None, None, None, df, reason)
    if df_rest == 0:
        reason = f"no run is left to tell the {name} from noise: {remedy}"
        return Spread(None, None, None, df, reason)
    beyond_other = factor - other @ (np.linalg.pinv(other) @ factor)
    runs = float(np.square(beyond_other).sum()) / df  # runs a level, as far as they tell
    squares, noise = max(_squares(other, y) - rest, 0.0), rest / df_rest
    variance = (squares / df - noise) / runs
    from scipy.stats import chi2  # half a second, which only spreads take
    from scipy.stats import f as fisher

    f_low, f_high = fisher.ppf([0.025, 0.975], df, df_rest)
    c_low, c_high = chi2.ppf([0.025, 0.975], df)
    low, high = squares - df * noise * f_high, squares - df * noise * f_low
    variances = [variance, low / (runs * c_high), high / (runs * c_low)]
    sd, low, high = (float(x) for x in np.sqrt(np.maximum(variances, 0)))
    return Spread(sd, low, high, df)


def _spread(squares: float, df: int, reason: str) -> Spread:
    """sqrt(squares / df), the exact interval of normal noise: df sd^2 / chi2(.975 and .025, df)."""
    if df == 0:
        return Spread(None, None, None, 0, reason)
    from scipy.stats import chi2

    low, high = np.sqrt(squares / chi2.ppf([0.975, 0.025], df))
    return Spread(float(np.sqrt(squares / df)), float(low), float(high), df)
