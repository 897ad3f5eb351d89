"""What a comparison can say: intervals, tests, noise, and the verdict in one sentence.

An interval is for these very networks ("checkpoints": the images could have been others) or for
new training runs ("seeds": images and seeds could have been others). A bootstrap of both levels
covers too rarely with three seeds, so seeds enter as a variance component with their own degrees
of freedom.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy.stats import chi2
from scipy.stats import f as fisher
from scipy.stats import t as student

from experiments.resampling import Floats, Resampled

Target = Literal["checkpoints", "seeds"]


@dataclass(frozen=True)
class Interval:
    """A score or a difference with its 95 % interval, all as fractions.

    Where no interval can be given all but `value` are None, and `reason` says why.
    """

    value: float
    low: float | None = None
    high: float | None = None
    standard_error: float | None = None
    df: float | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Pair:
    """The difference a - b of two models; p values are None where it has no interval.

    Both are corrected over all pairs: that of no difference, and that of the margin or more.
    """

    a: str
    b: str
    difference: Interval
    p_holm: float | None
    p_equivalent_holm: float | None


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


@dataclass(frozen=True)
class Verdict:
    """What may be said of a pair, in a word and in a sentence with numbers.

    `reason` is the part of the sentence that says why two cannot be told apart.
    """

    kind: Literal["better", "worse", "equivalent", "cannot be told apart"]
    sentence: str
    reason: str = ""


def untold(a: str, b: str, reason: str | None) -> Verdict:
    """That a and b cannot be told apart, and why."""
    return Verdict(
        "cannot be told apart", f"{a} and {b} cannot be told apart: {reason}", reason or ""
    )


def interval(score: Resampled, target: Target) -> Interval:
    """The mean over seeds with its t interval: value +- t(.975, df) sqrt(V).

    checkpoints: V = V_image = n / (n - 1) times the bootstrap variance of the mean over seeds, and
    df = n - 1, for n blocks. seeds: V = V_image + s^2 / S, where s^2 is the sample variance between
    the S seeds, and df = V^2 / (V_image^2 / (n - 1) + (s^2 / S)^2 / (S - 1)) (Satterthwaite 1946,
    Biometrics Bulletin 2(6)).

    s^2 / S holds the interaction of seeds and images, and V_image a part of it too, which is left
    in: to subtract it saves about a tenth of the width, and what is left can be far too small.
    Simulated on frames like CamVid's, with 3 to 10 seeds of SD 0 to 2 points, it covers the truth
    in 93 to 94 % for checkpoints, in 93 to 96 % for seeds (tests/experiments/test_stats.py), and
    for seeds in up to 98.5 % where images tell seeds apart far more than they tell models apart.
    """
    n, seeds = score.num_blocks, len(score.miou)
    reason = score.too_few_blocks
    if reason is None and target == "seeds" and seeds < 2:
        reason = "only 1 seed: what new training runs would give needs 2 or more"
    if reason:
        return Interval(score.mean, reason=reason)
    image = n / (n - 1) * float(np.var(score.draws.mean(1)))
    seed = float(score.miou.var(ddof=1)) / seeds if target == "seeds" else 0.0
    df = float(n - 1)
    if seed > 0:
        df = (image + seed) ** 2 / (image**2 / (n - 1) + seed**2 / (seeds - 1))
    standard_error = float(np.sqrt(image + seed))
    half = float(student.ppf(0.975, df)) * standard_error
    return Interval(score.mean, score.mean - half, score.mean + half, standard_error, df)


def _upper_tail(distance: float, difference: Interval) -> float | None:
    """P(T > distance / standard error); None without an interval."""
    if difference.standard_error is None:
        return None
    if difference.standard_error == 0:
        return 0.5 if distance == 0 else float(distance < 0)
    return float(student.sf(distance / difference.standard_error, difference.df))


def bounded(score: Interval) -> Interval:
    """The interval of a score without what no score can be: below 0 or above 1."""
    if score.low is None or score.high is None:
        return score
    return replace(score, low=max(score.low, 0.0), high=min(score.high, 1.0))


def p_value(difference: Interval) -> float | None:
    """Two-sided p of no difference, 2 P(T > |value| / standard error), as the interval has it."""
    tail = _upper_tail(abs(difference.value), difference)
    return None if tail is None else 2 * tail


def equivalence_p(difference: Interval, margin: float) -> float | None:
    """p of a difference of `margin` (a fraction) or more, the larger of two one-sided tests.

    max(P(T > (margin + value) / se), P(T > (margin - value) / se)); of one pair alone it is below
    .05 when the 90 % interval lies within +-margin (Schuirmann 1987, Journal of Pharmacokinetics
    and Biopharmaceutics 15(6)). Of several pairs it needs `holm` as well.
    """
    # The side that the difference leans to has the larger p.
    return _upper_tail(margin - abs(difference.value), difference)


def minimum_detectable_difference(
    difference: Interval, alpha: float = 0.05, power: float = 0.8
) -> float | None:
    """The smallest true difference (a fraction) that such an experiment finds with that power.

    (t(1 - alpha / 2, df) + t(power, df)) se (Bloom 1995, Evaluation Review 19(5)). It depends on
    the noise alone, not on the difference that was observed.
    """
    if difference.standard_error is None:
        return None
    factor = student.ppf(1 - alpha / 2, difference.df) + student.ppf(power, difference.df)
    return float(factor) * difference.standard_error


def holm(p: Sequence[float]) -> list[float]:
    """Adjusted p values in the order given: running max over rising p of (m - rank) p, at most 1.

    Rejecting those below alpha keeps the chance of any false one below alpha, whatever their
    dependence (Holm 1979, Scandinavian Journal of Statistics 6(2)).
    """
    order = np.argsort(p, kind="stable")
    steps = np.arange(len(p), 0, -1) * np.asarray(p, np.float64)[order]
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return [float(x) for x in adjusted]


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
    return float(student.ppf(0.975, noise.df) * noise.sd * np.sqrt(2 / num_runs))


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
    low, high = np.sqrt(squares / chi2.ppf([0.975, 0.025], df))
    return Spread(float(np.sqrt(squares / df)), float(low), float(high), df)


def verdict(pair: Pair, margin: float, mdd: float | None) -> Verdict:
    """What may be said of a and b, with 95 % intervals and Holm's p of both tests.

    Equivalence comes first: the margin says which differences do not matter, even real ones.

    Args:
        margin: differences below it do not matter; a fraction, chosen before the runs.
        mdd: `minimum_detectable_difference`, a fraction.
    """
    d, a, b = pair.difference, pair.a, pair.b
    p, p_margin = pair.p_holm, pair.p_equivalent_holm
    if d.low is None or d.high is None or p is None or p_margin is None or mdd is None:
        return untold(a, b, d.reason)
    value, low, high, edge, seen = points(d.value, d.low, d.high, margin, mdd)
    range_ = f"95 % interval {low} to {high}"
    if p_margin < 0.05:
        sentence = (
            f"{a} and {b} are equivalent within {edge} points: {a} - {b} is {value} ({range_})"
        )
        return Verdict("equivalent", sentence)
    if p < 0.05 and d.value > 0:
        return Verdict("better", f"{a} is better than {b} by {value} points ({range_})")
    if p < 0.05:
        value, low, high = points(-d.value, -d.high, -d.low)
        sentence = f"{a} is worse than {b} by {value} points (95 % interval {low} to {high})"
        return Verdict("worse", sentence)
    reason = (
        f"{a} - {b} is {value} points ({range_}, p {p:.2f} over all pairs), and {seen} points "
        "could have been seen 4 times in 5"
    )
    return untold(a, b, reason)


def points(*fractions: float) -> list[str]:
    """Percent points with one digit; with two where one would make a bound look like 0."""
    digits = 1 if all(abs(x) >= 5e-4 or x == 0 for x in fractions) else 2
    return [f"{100 * x:.{digits}f}" for x in fractions]
