"""The trials of the study that have not finished, run by the comparison's own means."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from statistics import fmean

from rich.console import Console

from experiments.claims.assessment import ORDER, read_order
from experiments.claims.registration import C5, IdentityClaim
from experiments.claims.study import AnyClaim, Study, StudyTrial, read_study, registered
from experiments.comparison.comparison_runner import run_comparison
from experiments.comparison.request import ComparisonRequest
from experiments.training.trial_request import Resources
from experiments.trials.result_types import FinishedTrial
from experiments.trials.results import write_record

_USUAL = 600.0  # seconds of training that a trial took on one core where none is known


@dataclass(frozen=True)
class Remaining:
    """Trials without a result, and the seconds that training them is expected to take together."""

    trials: tuple[StudyTrial, ...]
    seconds: float


def remaining(wanted: Sequence[StudyTrial], study: Study) -> Remaining:
    """By what finished trials of the same network took, else by the mean of all."""
    seconds = dict(_seconds_a_run(study))
    usual = fmean(seconds.values()) if seconds else _USUAL
    left = tuple(trial for trial in wanted if trial not in study.trials)
    return Remaining(left, sum(t.times * seconds.get(t.model, usual) for t in left))


def _seconds_a_run(study: Study) -> Iterator[tuple[str, float]]:
    """Of each network under the study's own number of steps."""
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


def run_study(
    claims: Sequence[AnyClaim],
    folders: Sequence[Path],
    out: Path,
    resources: Resources,
    jobs: int,
    console: Console,
) -> list[str]:
    """Run and measure what the claims have not.

    Returns:
        A sentence for each trial that has no result.

    Raises:
        BusyError, ValueError: as `run_comparison`.
    """
    if any(isinstance(claim, IdentityClaim) for claim in claims) and read_order(folders) is None:
        from experiments.costs.order_benchmark import measure_order  # it brings torch

        console.print("C5: measuring two orders of the same layers")
        write_record(out / ORDER, measure_order(C5.first, C5.second))
    wanted, study = registered(claims), read_study(folders, claims)
    return _run(remaining(wanted, study).trials, out, resources, jobs, console)


def _run(
    trials: Iterable[StudyTrial], out: Path, resources: Resources, jobs: int, console: Console
) -> list[str]:
    """In their order, some at a time; what was stopped goes on."""
    notes = []
    for _, together in groupby(trials, lambda t: (t.seed, t.times, t.repeat)):
        some = list(together)
        request = ComparisonRequest(
            models=tuple(trial.model for trial in some),
            recipe=some[0].request,
            seeds=(some[0].seed,),
            repeats=1 + some[0].repeat,
            jobs=jobs,
            out=out,
            resources=resources,
        )
        notes += run_comparison(request, console).notes
    return notes
