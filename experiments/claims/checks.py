"""Whether the study can be trusted: is its schedule long enough, and how far do runs lie apart."""

from dataclasses import dataclass
from statistics import fmean

from experiments.analysis.intervals import Interval, interval
from experiments.analysis.variance import Spread, noise_floor
from experiments.claims.registration import LONGER, NETWORKS, REPEATED
from experiments.claims.study import MODELS, Study, StudyTrial
from experiments.trials.result_types import FinishedTrial


@dataclass(frozen=True)
class LongerSchedule:
    """The difference of two networks with more steps, against the study's own.

    Attributes:
        times: the steps, in those of the study.
        before, after: mIoU of the first minus that of the second, means over the seeds.
        change: after minus before, with its interval for new training runs.
    """

    networks: tuple[str, str]
    times: int
    seeds: tuple[int, ...]
    before: float
    after: float
    change: Interval

    @property
    def long_enough(self) -> bool | None:
        """As registered: the order stays, or seeds alone may change the difference as much.

        None where the order turns and there are too few seeds for an interval.
        """
        if self.before * self.after > 0:
            return True
        if self.change.low is None or self.change.high is None:
            return None
        return self.change.low <= 0 <= self.change.high


def longer_schedule(study: Study) -> LongerSchedule | None:
    """None where no seed has all four trials."""
    (first, second), times = LONGER
    four = [study.finished(NETWORKS[n], t) for t in (times, 1) for n in (first, second)]
    seeds = tuple(sorted(set.intersection(*(set(own) for own in four))))
    if not seeds:
        return None
    a, b, c, d = ([study.values(own[seed], "miou") for seed in seeds] for own in four)
    after = [x - y for x, y in zip(a, b, strict=True)]
    before = [x - y for x, y in zip(c, d, strict=True)]
    change = study.draws().difference(after, before)
    if change is None:
        return None
    then, now = (fmean(float(own[0]) for own in each) for each in (before, after))
    return LongerSchedule((first, second), times, seeds, then, now, interval(change, "seeds"))


def repeat_difference(study: Study) -> float | None:
    """By how much mIoU (a fraction) of the repeated trial differs from the first run's."""
    name, seed = REPEATED
    runs = [study.trials.get(StudyTrial(NETWORKS[name], seed, repeat=i)) for i in (0, 1)]
    done = [run.miou for run in runs if isinstance(run, FinishedTrial)]
    return abs(done[1] - done[0]) if len(done) == len(runs) else None


def seed_spread(study: Study) -> dict[str, Spread]:
    """SD of mIoU (fractions) over the seeds of each registered network that has two or more."""
    spread = {}
    for name, model in MODELS.items():
        scores = [result.miou for result in study.finished(model).values()]
        if len(scores) > 1:
            spread[name] = noise_floor([scores])
    return spread
