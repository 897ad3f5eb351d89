"""Whether the study can be trusted: who still learns at the end, its schedule's length, how far
runs lie apart, what did not train, and what other code made."""

from dataclasses import dataclass
from statistics import fmean

from experiments.analysis.convergence import Convergence, convergence
from experiments.analysis.intervals import Interval, interval
from experiments.analysis.variance import Spread, noise_floor
from experiments.claims.contrasts import Lacking, untrained_trials
from experiments.claims.registration import LONGER, MARGIN, NETWORKS, REPEATED
from experiments.claims.study import MODELS, Study, StudyTrial, registered
from experiments.trials.result_types import FinishedTrial
from experiments.trials.verification import stale_results


@dataclass(frozen=True)
class LongerSchedule:
    """The difference of two networks with more steps, against the study's own.

    Attributes:
        times: the steps, in those of the study.
        once, longer: mIoU (fractions) of the two with the study's steps and with more, means over
            the seeds.
        change: after minus before, with its interval for new training runs.
    """

    networks: tuple[str, str]
    times: int
    seeds: tuple[int, ...]
    once: tuple[float, float]
    longer: tuple[float, float]
    change: Interval

    @property
    def before(self) -> float:
        """The first minus the second."""
        return self.once[0] - self.once[1]

    @property
    def after(self) -> float:
        return self.longer[0] - self.longer[1]

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
    means = [fmean(float(own[0]) for own in each) for each in (a, b, c, d)]
    once, longer = (means[2], means[3]), (means[0], means[1])
    return LongerSchedule((first, second), times, seeds, once, longer, interval(change, "seeds"))


def still_learning(study: Study) -> Convergence:
    """Whose curves still climb where the study's steps end; all seeds of a network together."""
    trials = [r for trial, r in study.trials.items() if trial.times == 1 and not trial.repeat]
    return convergence([own for own in trials if isinstance(own, FinishedTrial)], MARGIN / 100)


def repeat_difference(study: Study) -> float | None:
    """By how much mIoU (a fraction) of the repeated trial differs from the first run's."""
    name, seed = REPEATED
    runs = [study.trials.get(StudyTrial(NETWORKS[name], seed, repeat=i)) for i in (0, 1)]
    done = [run.miou for run in runs if isinstance(run, FinishedTrial)]
    return abs(done[1] - done[0]) if len(done) == len(runs) else None


def seed_spread(study: Study) -> dict[str, Spread]:
    """SD of mIoU (fractions) over the seeds of each network that has two or more, and trained, at
    the budget `macs`."""
    spread = {}
    for name, model in MODELS.items():
        if any(untrained_trials(model, study)):
            continue
        scores = [result.miou for result in study.finished(model).values()]
        if len(scores) > 1:
            spread[name] = noise_floor([scores])
    return spread


def untrained(study: Study) -> list[Lacking]:
    """Every trial that did not train, by network in the order of the trials."""
    models = dict.fromkeys(trial.model for trial in registered() if trial.times == 1)
    return [lacking for model in models for lacking in untrained_trials(model, study)]


def num_by_other_code(study: Study) -> int:
    """Finished trials that other code than is here now trained, and nobody verified under it."""
    return len(stale_results(study.trials.values()))
