"""How far the study is, and its record, in both languages."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from experiments.claims.registration import ADDED_NETWORKS, ADDITIONS, GMACS, Addition
from experiments.claims.study import Study, registered
from experiments.claims.verdicts import Verdict
from experiments.claims.words import Text
from experiments.lecture_report.page_texts import REGISTERED, WORDS, filled
from experiments.lecture_report.study_trust import trust, untrained_words, warnings
from experiments.trials.result_types import FailedTrial, FinishedTrial


@dataclass(frozen=True)
class StudyFacts:
    """About the study as a whole.

    Attributes:
        trust: what its numbers are worth; empty where only some claims were asked for.
        failures: network, seed and reason of every failed trial.
        untrained: each trial that did not train.
        prior: mIoU of the position prior; None where it is not known.
        gmacs: of the budget of multiply-adds.
        training: what the seconds of training are.
    """

    progress: tuple[Text, ...]
    trust: tuple[Text, ...]
    failures: tuple[tuple[str, int, str], ...]
    untrained: tuple[Text, ...]
    prior: Text | None
    record: tuple[Text, ...]
    additions: tuple[Addition, ...]
    gmacs: float
    training: Text


def study_facts(study: Study, verdicts: Sequence[Verdict]) -> StudyFacts:
    """Of the trials of these verdicts' claims."""
    return StudyFacts(
        progress=tuple(_progress(study, verdicts)),
        trust=tuple(trust(study, [verdict.claim for verdict in verdicts])),
        failures=tuple(_failures(study)),
        untrained=tuple(untrained_words(study)),
        prior=None if study.prior is None else filled("prior", miou=f"{100 * study.prior:.1f}"),
        record=tuple(_record()),
        additions=ADDITIONS,
        gmacs=GMACS,
        training=_training(study),
    )


def _progress(study: Study, verdicts: Sequence[Verdict]) -> Iterator[Text]:
    """What a reader has to know first, how many trials have finished, and how many claims rest on
    all of theirs."""
    yield from warnings(study)
    finished = sum(isinstance(result, FinishedTrial) for result in study.trials.values())
    failed = len(study.trials) - finished
    wanted = registered(tuple(verdict.claim for verdict in verdicts))
    added = sum(trial.model in ADDED_NETWORKS.values() for trial in wanted)
    if not wanted:
        yield WORDS["no_trials"]
    elif finished:
        told = sum(verdict.started and verdict.complete for verdict in verdicts)
        yield filled("progress", finished=finished, wanted=len(wanted))
        if finished < len(wanted):
            yield filled("told", told=told, claims=len(verdicts))
    else:
        yield filled("nothing", wanted=len(wanted))
    if added:
        yield filled("added_trials", added=added)
    if failed:
        yield filled("failures", failed=failed)


def _training(study: Study) -> Text:
    found = study.step_times
    if found is None:
        return WORDS["training_not_yet"]
    return filled(
        "training_note",
        rounds=found.num_rounds,
        networks=len(found.seconds),
        hardware=found.hardware,
    )


def _failures(study: Study) -> Iterator[tuple[str, int, str]]:
    for trial, result in study.trials.items():
        if isinstance(result, FailedTrial):
            yield trial.model, trial.seed, result.failure.reason


def _record() -> Iterator[Text]:
    """When the study was registered, and what was added since."""
    yield filled("registered", date=REGISTERED)
    if ADDITIONS:
        yield WORDS["additions"]
    else:
        yield WORDS["no_additions"]
