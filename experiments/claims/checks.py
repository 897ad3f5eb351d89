"""Whether the study can be trusted: its schedule's length, how far runs lie apart, what did not
train, and what other code made."""

from dataclasses import dataclass
from statistics import fmean

from experiments.analysis.intervals import Interval, interval
from experiments.analysis.variance import Spread, noise_floor
from experiments.claims.contrasts import Lacking, lacks_training
from experiments.claims.registration import LONGER, NETWORKS, REPEATED
from experiments.claims.study import MODELS, Study, StudyTrial
from experiments.trials.result_types import FinishedTrial
from experiments.trials.verification import stale_results


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
    """SD of mIoU (fractions) over the seeds of each network that has two or more, and trained."""
    spread = {}
    for name, model in MODELS.items():
        if lacks_training(model, study, study.prior):
            continue
        scores = [result.miou for result in study.finished(model).values()]
        if len(scores) > 1:
            spread[name] = noise_floor([scores])
    return spread


def untrained_networks(study: Study) -> list[Lacking]:
    """Of which a trial did not train, in the order of the trials."""
    models = dict.fromkeys(trial.model for trial in study.trials if trial.times == 1)
    found = (lacks_training(model, study, study.prior) for model in models)
    return [lacking for lacking in found if lacking is not None]


def num_by_other_code(study: Study) -> int:
    """Finished trials that other code than is here now trained, and nobody verified under it."""
    return len(stale_results(study.trials.values()))
