"""One registered contrast: the difference between two networks, and what it says of its claim."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from experiments.analysis.bootstrap import Floats
from experiments.analysis.intervals import (
    Interval,
    equivalence_p,
    interval,
    minimum_detectable_difference,
)
from experiments.analysis.untrained import did_not_train
from experiments.claims.registration import FIELD_MARGIN, Contrast
from experiments.claims.study import Study, model_of
from experiments.claims.words import Outcome
from experiments.trials.result_types import FinishedTrial

Radius = Callable[[FinishedTrial], float | None]  # of a trial's receptive field; None: not measured

ALPHA = 0.05


@dataclass(frozen=True)
class Estimate:
    """A contrast on the seeds that both networks have.

    Attributes:
        by_seed: the difference of each seed: a fraction; of radii the logarithm of their ratio.
        difference: their mean, with an interval where there are two seeds.
        p_equivalent: of a difference of the margin or more.
        mdd: the true difference that such trials find 4 times in 5.
        lacking: why there is no difference, or no interval; empty where there is one.
    """

    contrast: Contrast
    seeds: tuple[int, ...]
    by_seed: tuple[float, ...]
    difference: Interval | None
    p_equivalent: float | None
    mdd: float | None
    outcome: Outcome
    lacking: str = ""

    @property
    def is_ratio(self) -> bool:
        return self.contrast.quantity == "field_radius"


def estimate(
    contrast: Contrast,
    margin: float,
    seeds: Sequence[int],
    study: Study,
    prior: float | None,
    radius: Radius,
) -> Estimate:
    """What the study's trials give for a contrast.

    Args:
        margin: in points of the quantity; a ratio for radii.
        seeds: those registered; others are left out.
        prior: mIoU of the position prior, a fraction; None where it is not known.
        radius: of the receptive field, in pixels.
    """
    models = [model_of(name, contrast.budget) for name in (contrast.better, contrast.worse)]
    for model in models:
        why = did_not_train(list(study.results(model).values()), prior).get(model)
        if why:
            return _none(contrast, f"{model} did not train, {why}")
    better, worse = (study.finished(model) for model in models)
    both = tuple(seed for seed in seeds if seed in better and seed in worse)
    if not both:
        return _none(contrast, "no seed of both has finished")
    pairs = [(better[seed], worse[seed]) for seed in both]
    if contrast.quantity == "field_radius":
        ratios = _log_ratios(pairs, radius)
        if ratios is None:
            return _none(contrast, "the receptive field of some of its trials is not measured")
        by_seed, difference, edge = ratios, _of_seeds(ratios), math.log(FIELD_MARGIN)
    else:
        quantity = contrast.quantity
        draws = [[study.values(own, quantity) for own in side] for side in zip(*pairs, strict=True)]
        paired = study.draws().difference(draws[0], draws[1])
        if paired is None:
            return _none(contrast, "the images show nothing of it")
        by_seed, difference, edge = paired.miou, interval(paired, "seeds"), margin / 100
    p = equivalence_p(difference, edge)
    return Estimate(
        contrast=contrast,
        seeds=both,
        by_seed=tuple(map(float, by_seed)),
        difference=difference,
        p_equivalent=p,
        mdd=minimum_detectable_difference(difference),
        outcome=outcome(difference, p),
        lacking=difference.reason or "",
    )


def outcome(difference: Interval, p_equivalent: float | None) -> Outcome:
    """As registered: the margin first, then the sign of the interval."""
    if difference.low is None or difference.high is None or p_equivalent is None:
        return "cannot be told"
    if p_equivalent < ALPHA:
        return "no difference"
    if difference.low > 0:
        return "supported"
    return "contradicted" if difference.high < 0 else "cannot be told"


def _log_ratios(
    pairs: Sequence[tuple[FinishedTrial, FinishedTrial]], radius: Radius
) -> Floats | None:
    """Of each seed; None where one was not measured."""
    radii = [(radius(better), radius(worse)) for better, worse in pairs]
    logs = [math.log(better / worse) for better, worse in radii if better and worse]
    return np.array(logs) if len(logs) == len(pairs) else None


def _of_seeds(values: Floats) -> Interval:
    """The mean with its t interval of seeds alone."""
    mean, num = float(values.mean()), len(values)
    if num < 2:
        return Interval(mean, reason="only 1 seed: what new training runs give needs 2 or more")
    error = float(values.std(ddof=1)) / math.sqrt(num)
    half = float(stdtrit(num - 1, 0.975)) * error
    return Interval(mean, mean - half, mean + half, error, num - 1)


def _none(contrast: Contrast, why: str) -> Estimate:
    return Estimate(contrast, (), (), None, None, None, "cannot be told", why)
