"""How far the study is, how far its numbers can be trusted, and its record, in both languages."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from experiments.claims.checks import longer_schedule, repeat_difference, seed_spread
from experiments.claims.registration import (
    ADDITIONS,
    CLAIMS,
    GMACS,
    LONGER,
    NETWORKS,
    REPEATED,
    Addition,
)
from experiments.claims.study import Study, registered
from experiments.claims.verdicts import Verdict
from experiments.claims.words import Text
from experiments.lecture_report.page_texts import REGISTERED, WORDS, filled
from experiments.trials.result_types import FailedTrial, FinishedTrial


@dataclass(frozen=True)
class StudyFacts:
    """About the study as a whole.

    Attributes:
        trust: what its numbers are worth; empty where only some claims were asked for.
        failures: network, seed and reason of every failed trial.
        gmacs: of the budget of multiply-adds.
        training: what the seconds of training are.
    """

    progress: tuple[Text, ...]
    trust: tuple[Text, ...]
    failures: tuple[tuple[str, int, str], ...]
    record: tuple[Text, ...]
    additions: tuple[Addition, ...]
    gmacs: float
    training: Text


def study_facts(study: Study, verdicts: Sequence[Verdict]) -> StudyFacts:
    """Of the trials of these verdicts' claims."""
    whole = tuple(verdict.claim for verdict in verdicts) == CLAIMS
    return StudyFacts(
        progress=tuple(_progress(study, verdicts)),
        trust=tuple(_trust(study)) if whole else (),
        failures=tuple(_failures(study)),
        record=tuple(_record()),
        additions=ADDITIONS,
        gmacs=GMACS,
        training=_training(study),
    )


def _progress(study: Study, verdicts: Sequence[Verdict]) -> Iterator[Text]:
    """How many trials have finished, and how many claims rest on all of theirs."""
    finished = sum(isinstance(result, FinishedTrial) for result in study.trials.values())
    failed = len(study.trials) - finished
    wanted = registered(tuple(verdict.claim for verdict in verdicts))
    known = {"finished": finished, "registered": len(wanted)}
    if finished:
        told = sum(verdict.started and verdict.complete for verdict in verdicts)
        yield filled("progress", told=told, claims=len(verdicts), **known)
    else:
        yield filled("nothing", **known)
    if failed:
        yield filled("failures", failed=failed)


def _training(study: Study) -> Text:
    found = study.step_times
    if found is None:
        return WORDS["training_not_yet"]
    return filled("training_note", rounds=found.num_rounds, hardware=found.hardware)


def _trust(study: Study) -> Iterator[Text]:
    """Noise floor, seeds' SD and the schedule's length."""
    name, seed = REPEATED
    noise, same = repeat_difference(study), {"model": NETWORKS[name], "seed": seed}
    if noise is None:
        yield filled("noise_not_yet", **same)
    else:
        yield filled("noise", value=f"{100 * noise:.2f}", **same)
    spread = sorted(
        (own.sd, name) for name, own in seed_spread(study).items() if own.sd is not None
    )
    if spread:
        (low, lowest), (high, highest) = spread[0], spread[-1]
        ends = {"low": f"{100 * low:.1f}", "high": f"{100 * high:.1f}"}
        yield filled("spread", lowest=lowest, highest=highest, **ends)
    else:
        yield WORDS["spread_not_yet"]
    (better, worse), times = LONGER
    longer, pair = longer_schedule(study), {"better": better, "worse": worse, "times": times}
    if longer is None:
        yield filled("longer_not_yet", **pair)
    else:
        yield filled(
            "longer",
            once=f"{100 * longer.before:+.1f}",
            more=f"{100 * longer.after:+.1f}",
            seeds=", ".join(map(str, longer.seeds)),
            **pair,
        )
        yield WORDS[_LONG_ENOUGH[longer.long_enough]]


_LONG_ENOUGH = {True: "long_enough", False: "too_short", None: "length_untold"}


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
