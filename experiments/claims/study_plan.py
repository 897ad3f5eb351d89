"""What of the study has no result yet: how long it takes, and the comparisons that run it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from statistics import fmean

from datamodules import open_data
from experiments.claims.study import Study, StudyTrial, lab
from experiments.comparison.request import ComparisonRequest
from experiments.training.trial_request import Resources
from experiments.trials.overrides import load
from experiments.trials.result_types import FailedTrial, FinishedTrial, TrialResult

_USUAL = 600.0  # seconds of training that a trial took on one core where none is known


@dataclass(frozen=True)
class Remaining:
    """Trials without a result, and the seconds that training them is expected to take together."""

    trials: tuple[StudyTrial, ...]
    seconds: float


def remaining(wanted: Sequence[StudyTrial], study: Study) -> Remaining:
    """By what steps of each network take, in turn or else in its finished trials.

    A trial that diverged has its result; one that failed otherwise, as killed, goes on.
    """
    seconds = dict(_seconds_a_run(study))
    usual = fmean(seconds.values()) if seconds else _USUAL
    left = tuple(trial for trial in wanted if not _has_ended(study.trials.get(trial)))
    return Remaining(left, sum(t.times * seconds.get(t.model, usual) for t in left))


def _has_ended(result: TrialResult | None) -> bool:
    if isinstance(result, FailedTrial):
        return result.failure.kind == "diverged"
    return result is not None


def _seconds_a_run(study: Study) -> Iterator[tuple[str, float]]:
    """Of each network under the study's own number of steps."""
    if study.step_times is not None:
        steps = load(lab()).steps
        yield from ((model, steps * own) for model, own in study.step_times.seconds.items())
        return
    found: dict[str, list[float]] = {}
    for trial, result in study.trials.items():
        if isinstance(result, FinishedTrial) and result.timing:
            found.setdefault(trial.model, []).append(result.timing.train_seconds / trial.times)
    for model, each in found.items():
        yield model, fmean(each)


def describe(wanted: Sequence[StudyTrial], study: Study) -> str:
    """How far the study is, in a sentence."""
    left = remaining(wanted, study)
    finished = sum(isinstance(result, FinishedTrial) for result in study.trials.values())
    failed = len(study.trials) - finished
    parts = [f"{finished} of {len(wanted)} trials have finished"]
    parts += [f"{failed} failed"] if failed else []
    if left.trials:
        parts.append(
            f"the other {len(left.trials)} take about {left.seconds / 3600:.1f} core hours"
        )
    return ", ".join(parts)


def requests(
    trials: Iterable[StudyTrial], out: Path, data_root: Path | None, jobs: int
) -> Iterator[ComparisonRequest]:
    """Comparisons that run these trials in their order, some at a time; nothing goes to W&B.

    Raises:
        ValueError: there is no data to train on.
    """
    trials = list(trials)
    if trials:
        recipe = load(trials[0].request)
        open_data(recipe.data, recipe.train_split, data_root)
    for _, together in groupby(trials, lambda t: (t.seed, t.times, t.repeat)):
        some = list(together)
        yield ComparisonRequest(
            models=tuple(trial.model for trial in some),
            recipe=some[0].request,
            seeds=(some[0].seed,),
            repeats=1 + some[0].repeat,
            jobs=jobs,
            out=out,
            resources=Resources(data_root=data_root, wandb="off"),
        )
