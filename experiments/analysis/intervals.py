"""What a comparison can say: intervals, tests, noise, and the verdict in one sentence.

An interval is for these very networks ("checkpoints": the images could have been others) or for
new training runs ("seeds": images and seeds could have been others). A bootstrap of both levels
covers too rarely with three seeds, so seeds enter as a variance component with their own degrees
of freedom.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy.special import stdtr, stdtrit  # scipy.stats, which calls them, takes half a second

from experiments.analysis.bootstrap import Resampled

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
    in 93 to 94 % for checkpoints and in 93 to 96 % for seeds, up to 98.5 % where images tell seeds
    apart far more than they tell models apart; with 2 seeds in 89 to 95 %, as little is known of
    their variance (tests/experiments/analysis/test_intervals.py).
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
    half = float(stdtrit(df, 0.975)) * standard_error
    return Interval(score.mean, score.mean - half, score.mean + half, standard_error, df)


def _upper_tail(distance: float, difference: Interval) -> float | None:
    """P(T > distance / standard error); None without an interval."""
    if difference.standard_error is None:
        return None
    if difference.standard_error == 0:
        return 0.5 if distance == 0 else float(distance < 0)
    return float(stdtr(difference.df, -distance / difference.standard_error))


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
    factor = stdtrit(difference.df, 1 - alpha / 2) + stdtrit(difference.df, power)
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
    return [f"{round(100 * x, digits) + 0.0:.{digits}f}" for x in fractions]  # never -0.0
