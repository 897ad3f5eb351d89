"""One registered contrast: the difference between two networks, and what it says of its claim."""

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from experiments.analysis.bootstrap import MIN_BLOCKS, Floats
from experiments.analysis.intervals import (
    Interval,
    equivalence_p,
    interval,
    minimum_detectable_difference,
)
from experiments.analysis.untrained import UntrainedRun, untrained_run
from experiments.claims.quantities import near_and_beyond
from experiments.claims.registration import FIELD_MARGIN, Contrast
from experiments.claims.study import Study, model_of
from experiments.claims.words import LackingKind, Outcome
from experiments.trials.result_types import FinishedTrial

Radius = Callable[[FinishedTrial], float | None]  # of a trial's receptive field; None: not measured

ALPHA = 0.05


@dataclass(frozen=True)
class Lacking:
    """Why a contrast has no difference, or no interval.

    Attributes:
        model, run: of one that did not train.
        blocks: of images, where there are too few.
    """

    kind: LackingKind
    model: str = ""
    run: UntrainedRun | None = None
    blocks: int = 0


@dataclass(frozen=True)
class Estimate:
    """A contrast on the seeds that both networks have, of radii with both measured.

    Attributes:
        by_seed: the difference of each seed: a fraction; of radii the logarithm of their ratio.
        difference: their mean, with an interval where there are two seeds.
        p_equivalent: of a difference of the margin or more.
        mdd: the true difference that such trials find 4 times in 5.
        lacking: why there is no difference, or no interval; None where there is one.
        near_and_beyond: of a boundary gain the two differences of mIoU whose difference it is,
            fractions.
    """

    contrast: Contrast
    seeds: tuple[int, ...]
    by_seed: tuple[float, ...]
    difference: Interval | None
    p_equivalent: float | None
    mdd: float | None
    outcome: Outcome
    lacking: Lacking | None = None
    near_and_beyond: tuple[float, float] | None = None

    @property
    def is_ratio(self) -> bool:
        return self.contrast.quantity == "field_radius"

    @property
    def untrained(self) -> bool:
        """Whether a network did not train, so that no further seed gives a difference."""
        return self.lacking is not None and self.lacking.run is not None


def estimate(
    contrast: Contrast,
    margin: float,
    seeds: Sequence[int],
    study: Study,
    radius: Radius,
    num_tests: int = 1,
) -> Estimate:
    """What the study's trials give for a contrast.

    Args:
        margin: in points of the quantity; radii have `FIELD_MARGIN`.
        seeds: those registered; others are left out.
        radius: of the receptive field, in pixels.
        num_tests: over how many contrasts a difference is corrected, itself among them.
    """
    models = [model_of(name, contrast.budget) for name in (contrast.better, contrast.worse)]
    for model in models:
        lacking = next(untrained_trials(model, study, seeds), None)
        if lacking is not None:
            return _none(contrast, lacking)
    better, worse = (study.finished(model) for model in models)
    both = tuple(seed for seed in seeds if seed in better and seed in worse)
    if not both:
        return _none(contrast, Lacking("no common seed"))
    pairs = [(better[seed], worse[seed]) for seed in both]
    if contrast.quantity == "field_radius":
        radii = [(radius(better[seed]), radius(worse[seed])) for seed in both]
        ratios = {s: math.log(a / b) for s, (a, b) in zip(both, radii, strict=True) if a and b}
        if not ratios:
            return _none(contrast, Lacking("no field"))
        # They are measured after the training of a whole seed, so that the last may have none yet.
        both, by_seed = tuple(ratios), np.array(list(ratios.values()))
        difference, edge = _of_seeds(by_seed), math.log(FIELD_MARGIN)
    else:
        quantity = contrast.quantity
        draws = [[study.values(own, quantity) for own in side] for side in zip(*pairs, strict=True)]
        paired = study.draws().difference(draws[0], draws[1])
        if paired is None:
            return _none(contrast, Lacking("nothing shown"))
        by_seed, difference, edge = paired.miou, interval(paired, "seeds"), margin / 100
    p = equivalence_p(difference, edge)
    return Estimate(
        contrast=contrast,
        seeds=both,
        by_seed=tuple(map(float, by_seed)),
        difference=difference,
        p_equivalent=p,
        mdd=minimum_detectable_difference(difference, ALPHA / num_tests),
        outcome=outcome(difference, p),
        lacking=_without_interval(difference, study),
        near_and_beyond=_near_and_beyond(pairs) if contrast.quantity == "boundary_gain" else None,
    )


def untrained_trials(
    model: str, study: Study, seeds: Collection[int] | None = None
) -> Iterator[Lacking]:
    """Each trial of a network that did not train, by seed.

    Args:
        seeds: to look at; None for all.
    """
    for seed, result in sorted(study.results(model).items()):
        run = untrained_run([result], study.prior) if seeds is None or seed in seeds else None
        if run is not None:
            yield Lacking("diverged" if run.failure else "at the prior", model, run)


def _near_and_beyond(
    pairs: Sequence[tuple[FinishedTrial, FinishedTrial]],
) -> tuple[float, float] | None:
    """Means over the seeds; None where bands were not counted."""
    sides = [[near_and_beyond(trial) for trial in pair] for pair in pairs]
    known = [(a, b) for a, b in sides if a is not None and b is not None]
    if len(known) < len(pairs):
        return None
    near, beyond = np.mean([np.subtract(a, b) for a, b in known], axis=0)
    return float(near), float(beyond)


def _without_interval(difference: Interval, study: Study) -> Lacking | None:
    if difference.low is not None:
        return None
    blocks = study.draws().num_blocks
    if blocks < MIN_BLOCKS:
        return Lacking("few blocks", blocks=blocks)
    return Lacking("one seed")


def outcome(difference: Interval, p_equivalent: float | None) -> Outcome:
    """As registered: the margin first, then the sign of the interval."""
    if difference.low is None or difference.high is None or p_equivalent is None:
        return "cannot be told"
    if p_equivalent < ALPHA:
        return "no difference"
    if difference.low > 0:
        return "supported"
    return "contradicted" if difference.high < 0 else "cannot be told"


def _of_seeds(values: Floats) -> Interval:
    """The mean with its t interval of seeds alone."""
    mean, num = float(values.mean()), len(values)
    if num < 2:
        return Interval(mean)
    error = float(values.std(ddof=1)) / math.sqrt(num)
    half = float(stdtrit(num - 1, 0.975)) * error
    return Interval(mean, mean - half, mean + half, error, num - 1)


def _none(contrast: Contrast, why: Lacking) -> Estimate:
    return Estimate(contrast, (), (), None, None, None, "cannot be told", why)
