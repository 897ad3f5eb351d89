"""Whether networks still learn where their training ends: then their order may not last.

**Progress** is the sum of the learning rates of the steps so far: the first term of the law that
fits loss curves under any schedule (Tissue, Wang and Wang, arXiv 2408.11029, area S1). A schedule
of twice the steps has twice the sum, and steps whose rate is almost 0 can teach nothing: a curve
that is flat there may have been stopped. The *last doubling* of progress, from half the sum on, is
the second half of the steps at a constant rate, and the last 69 % of them at (1 - t)^0.9.

**The test.** Of each network the validation mIoU of the last doubling against log2 of progress:
least squares with one slope for the network and a level for each of its seeds. The slope is the
gain of this doubling. A curve *climbs* where it is above 0 (t test, one-sided p < .05) and at least
the margin; it is *level* where a gain of the margin or more is ruled out (one-sided p < .05); else
it *cannot be told*. Several networks are several tests, so both p are corrected over networks
(Benjamini and Hochberg 1995, Journal of the Royal Statistical Society B 57(1)): where none climbs,
one comparison in twenty says that some do. The margin is a projection, too: as long as doublings
do not bring more and more, a schedule as long again brings at most this gain.

A curve with fewer than three points there is replaced by the training loss, in eight means of
neighbouring batches: log2 of the loss, with a fall by a twentieth for the margin.

**What it assumes**: errors that are independent from one validation to the next, and of one
variance over the last doubling. Errors with a correlation of .5 between neighbours make false
alarms three times as frequent (tests/experiments/analysis/test_convergence.py).

**What it cannot see.** A rate that falls calms the noise of the weights (area S2 there), which
lifts the end of every such curve: part of a climb is what a schedule of any length gains in its
last steps, so that long ones may be called too short. The other way round, a curve of few or noisy
points tells nothing, and one that is level may rise again. Only a longer schedule settles it
(`--set steps=`, then `experiments.evidence` of both). A training loss, besides, falls on while a
network learns its images by heart. *Climbs* is a reason not to trust an order; *level* is no proof.

**Few images.** Whatever the curves, a training that draws fewer than 1,000 images, repeats counted,
is too short: less than a thousandth of what HRNet draws for Cityscapes (120,000 steps of 12). The
bound is a convention; passes over the training set would say more, but results do not have its
size.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy.special import stdtr, stdtrit

from experiments.analysis.bootstrap import Floats
from experiments.analysis.intervals import Interval
from experiments.trials.recipe import Recipe
from experiments.trials.result_types import FinishedTrial, Point

Measure = Literal["validation mIoU", "training loss"]
Kind = Literal["climbs", "level", "cannot be told"]

FEWEST_IMAGES = 1000
_ALPHA = 0.05
_FEWEST_POINTS = 3  # of a curve: two lie on a line whatever their noise
_LOSS_MEANS = 8
_LOSS_MARGIN = 0.05  # of the loss; camvid-quick's fall by 30 % over their last doubling


@dataclass(frozen=True)
class Climb:
    """What the curves of one network do over the second half of the steps.

    Attributes:
        model: the label of its results.
        measure: of which curve; None where none has enough points.
        num_points: of all seeds together.
        gain: fraction of mIoU by which it rises, or of the loss by which that falls, over the last
            doubling, with the 95 % interval; None without a curve.
        p: one-sided, of no gain; p_level: of a gain of the margin or more; both corrected.
        kind: what the three say.
    """

    model: str
    measure: Measure | None
    num_points: int
    gain: Interval | None
    p: float | None
    p_level: float | None
    kind: Kind


@dataclass(frozen=True)
class Convergence:
    """Of a comparison, whether its networks may be ranked.

    Attributes:
        num_images: drawn in training, repeats counted; None where nothing was trained here.
        few_images: fewer than can teach a network.
        since: the first step of the last doubling.
        climbs: an entry a network that was trained here, also one that is not ranked.
        too_short: `few_images`, or a curve that climbs.
    """

    num_images: int | None
    few_images: bool
    since: int | None
    climbs: tuple[Climb, ...]
    too_short: bool

    @property
    def climbing(self) -> tuple[Climb, ...]:
        """Those whose curves climb, the steepest first; validation curves before losses."""
        found = [climb for climb in self.climbs if climb.kind == "climbs" and climb.gain]
        found.sort(key=lambda climb: (climb.measure != "validation mIoU", -_value(climb.gain)))
        return tuple(found)


def convergence(trials: Sequence[FinishedTrial], margin: float) -> Convergence:
    """Of trials of one comparison; label maps from elsewhere have no curve and are passed over.

    Args:
        margin: gains of mIoU below it do not matter; a fraction.
    """
    trained = [trial for trial in trials if trial.recipe is not None]
    if not trained:
        return Convergence(None, False, None, (), False)
    recipe = trained[0].recipe
    assert recipe is not None
    done = progress(recipe)
    since, drawn = int(np.searchsorted(done, -1.0)) + 1, recipe.steps * recipe.batch
    labels = dict.fromkeys(trial.label for trial in trained)
    climbs = _judged([_climb(label, trained, done, margin) for label in labels], margin)
    few = drawn < FEWEST_IMAGES
    return Convergence(drawn, few, since, climbs, few or any(c.kind == "climbs" for c in climbs))


def progress(recipe: Recipe) -> Floats:
    """After each step, log2 of the sum of the learning rates so far over that of all steps.

    The rates are those of `lightning_modules.schedule`, which this room does not import.
    """
    step = np.arange(recipe.steps)
    t = np.maximum(step - recipe.warmup, 0) / (recipe.steps - recipe.warmup)
    decay = {
        "poly": (1 - t) ** recipe.power,
        "cosine": (1 + np.cos(np.pi * t)) / 2,
        "constant": np.ones(len(t)),
    }[recipe.schedule]
    rate = np.where(step < recipe.warmup, (step + 1) / (recipe.warmup + 1), decay)
    done = np.cumsum(rate)
    return np.asarray(np.log2(done / done[-1]))


def _climb(label: str, trials: Sequence[FinishedTrial], done: Floats, margin: float) -> Climb:
    """One network's, with p that are not yet corrected."""
    curves = [trial.curve for trial in trials if trial.label == label]
    val = [part for curve in curves if (part := _late(curve.val, done)) is not None]
    loss = [part for curve in curves if (part := _late(curve.train, done)) is not None]
    measure: Measure = "validation mIoU"
    if not val:
        val, measure, margin = [_smoothed(*part) for part in loss], "training loss", _LOSS_MARGIN
        margin = -float(np.log2(1 - margin))
    if not val or not all(np.isfinite(y).all() for _, y in val):
        return Climb(label, None, 0, None, None, None, "cannot be told")
    slope = _slope(val)
    p, p_level = _upper(slope, 0.0), 1 - _upper(slope, margin)
    gain = _fall(slope) if measure == "training loss" else slope
    return Climb(label, measure, sum(len(x) for x, _ in val), gain, p, p_level, "cannot be told")


def _late(points: Sequence[Point], done: Floats) -> tuple[Floats, Floats] | None:
    """Progress and values of the last doubling; None of fewer than three points."""
    at = [(done[step - 1], value) for step, value in points if 1 <= step <= len(done)]
    late = np.array([(x, value) for x, value in at if x >= -1], np.float64)
    return (late[:, 0], late[:, 1]) if len(late) >= _FEWEST_POINTS else None


def _smoothed(x: Floats, loss: Floats) -> tuple[Floats, Floats]:
    """Means of neighbouring points, the loss as its negative log2: it rises as the loss falls."""
    parts = np.array_split(np.arange(len(x)), min(_LOSS_MEANS, len(x)))
    mean = np.array([loss[part].mean() for part in parts])
    with np.errstate(divide="ignore", invalid="ignore"):  # a loss of one's own may be below 0
        return np.array([x[part].mean() for part in parts]), -np.log2(mean)


def _slope(curves: Sequence[tuple[Floats, Floats]]) -> Interval:
    """The slope that all curves share, each with a level of its own, with its t interval."""
    x = np.concatenate([x - x.mean() for x, _ in curves])
    y = np.concatenate([y - y.mean() for _, y in curves])
    slope = float(x @ y / (x @ x))
    df = float(len(x) - len(curves) - 1)
    error = float(np.sqrt(np.square(y - slope * x).sum() / df / (x @ x)))
    half = float(stdtrit(df, 0.975)) * error
    return Interval(slope, slope - half, slope + half, error, df)


def _upper(slope: Interval, bound: float) -> float:
    """One-sided p of a slope of at most `bound`."""
    assert slope.standard_error is not None
    distance = slope.value - bound
    if slope.standard_error == 0:
        return 0.5 if distance == 0 else float(distance < 0)
    return float(stdtr(slope.df, -distance / slope.standard_error))


def _fall(slope: Interval) -> Interval:
    """Halvings of the loss by doubling as the share by which it falls."""
    assert slope.low is not None and slope.high is not None
    value, low, high = (float(1 - 2**-x) for x in (slope.value, slope.low, slope.high))
    return Interval(value, low, high, df=slope.df)


def _judged(climbs: Sequence[Climb], margin: float) -> tuple[Climb, ...]:
    """With p corrected over the networks, and what they say."""
    told = [i for i, climb in enumerate(climbs) if climb.gain is not None]
    p = corrected([climbs[i].p or 0.0 for i in told])
    p_level = corrected([climbs[i].p_level or 0.0 for i in told])
    found = list(climbs)
    for i, own, level in zip(told, p, p_level, strict=True):
        least = margin if climbs[i].measure == "validation mIoU" else _LOSS_MARGIN
        kind: Kind = "cannot be told"
        if own < _ALPHA and _value(climbs[i].gain) >= least:
            kind = "climbs"
        elif level < _ALPHA:
            kind = "level"
        found[i] = replace(climbs[i], p=own, p_level=level, kind=kind)
    return tuple(found)


def corrected(p: Sequence[float]) -> list[float]:
    """Benjamini and Hochberg's p in the order given: running min over falling p of m / rank p.

    Of those below alpha at most that share is false in the mean, for tests that are independent or
    lean to the same side.
    """
    order = np.argsort(p)[::-1]
    ranks = np.arange(len(p), 0, -1)
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum.accumulate(np.asarray(p, np.float64)[order] * len(p) / ranks)
    return [float(x) for x in np.minimum(adjusted, 1)]


def _value(gain: Interval | None) -> float:
    return gain.value if gain else 0.0
