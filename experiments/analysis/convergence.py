"""Whether networks still learn where their training ends: then their order may not last.

**The test.** Of each network, the validation mIoU from half the steps on, which is one doubling of
the schedule, against log2 of the step: least squares with one slope for the network and a level for
each of its seeds. The slope is the gain of this last doubling. A curve *climbs* where the gain is
above 0 (t test, one-sided p < .05) and is at least the margin; it is *level* where a gain of the
margin or more is ruled out (one-sided p < .05); else it *cannot be told*. Several networks are
several tests, so both p are corrected over networks (Benjamini and Hochberg 1995, Journal of the
Royal Statistical Society B 57(1)): where none climbs, at most one comparison in twenty says that
some do. The margin reads as a projection, too: as long as gains of doublings do not grow, another
one brings at most what the last brought.

A curve with fewer than three points there is replaced by the training loss, in eight means of
neighbouring batches: log2 of the loss, and for a margin a fall by a twentieth.

**What it assumes**: errors that are independent from one validation to the next, and of one
variance over the second half of the steps. Errors with a correlation of .5 between neighbours make
false alarms nearly three times as frequent (tests/experiments/analysis/test_convergence.py).

**What it cannot see.** A falling learning rate bends a curve in both directions. It slows learning
down, so that a flat end does not prove a schedule long enough: this is why half of the steps count
and not the end alone. And it calms the noise of the weights, which lifts the end of long schedules
as well: part of a climb may be what any schedule gains in its last steps. Only a longer schedule
tells the two apart (`--set steps=`, then `experiments.evidence` of both). A training loss falls on
while a network learns its images by heart. So *climbs* is a reason not to trust an order, *level*
is no proof, and a schedule that is far too short may show neither, where its curve is all noise.

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
            doubling of the steps, with the 95 % interval; None without a curve.
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
        climbs: an entry a network that was trained here, also one that is not ranked.
        too_short: `few_images`, or a curve that climbs.
    """

    num_images: int | None
    few_images: bool
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
    recipe = trained[0].recipe if trained else None
    drawn = recipe.steps * recipe.batch if recipe else None
    labels = dict.fromkeys(trial.label for trial in trained)
    climbs = _judged([_climb(label, trained, margin) for label in labels], margin)
    few = drawn is not None and drawn < FEWEST_IMAGES
    return Convergence(drawn, few, climbs, few or any(c.kind == "climbs" for c in climbs))


def _climb(label: str, trials: Sequence[FinishedTrial], margin: float) -> Climb:
    """One network's, with p that are not yet corrected."""
    own = [trial for trial in trials if trial.label == label]
    val = [part for trial in own if (part := _second_half(trial, trial.curve.val)) is not None]
    loss = [part for trial in own if (part := _second_half(trial, trial.curve.train)) is not None]
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


def _second_half(trial: FinishedTrial, points: Sequence[Point]) -> tuple[Floats, Floats] | None:
    """log2 of the steps from half of them on, and the values; None of fewer than three."""
    assert trial.recipe is not None
    late = [(step, value) for step, value in points if 2 * step >= trial.recipe.steps]
    if len(late) < _FEWEST_POINTS:
        return None
    x, y = np.array(late, np.float64).T
    return np.log2(x), y


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
