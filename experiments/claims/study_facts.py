"""How far the study is, how far its numbers can be trusted, and its record, in both languages."""

from collections.abc import Iterator, Sequence

from experiments.claims.checks import longer_schedule, repeat_difference, seed_spread
from experiments.claims.claim_pages import filled
from experiments.claims.page_texts import REGISTERED, WORDS
from experiments.claims.registration import ADDITIONS, LONGER, NETWORKS, REPEATED
from experiments.claims.study import Study, registered
from experiments.claims.verdicts import Verdict
from experiments.claims.words import Text
from experiments.trials.result_types import FailedTrial, FinishedTrial


def progress(study: Study, verdicts: Sequence[Verdict]) -> Iterator[Text]:
    """How many trials have finished, and how many claims rest on all of theirs."""
    finished = sum(isinstance(result, FinishedTrial) for result in study.trials.values())
    failed = len(study.trials) - finished
    known = {"finished": finished, "registered": len(registered())}
    if finished:
        told = sum(verdict.started and verdict.complete for verdict in verdicts)
        yield filled("progress", told=told, claims=len(verdicts), **known)
    else:
        yield filled("nothing", **known)
    if failed:
        yield filled("failures", failed=failed)


def trust(study: Study) -> Iterator[Text]:
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


def failures(study: Study) -> Sequence[tuple[str, int, str]]:
    """Network, seed and reason of every failed trial."""
    return [
        (trial.model, trial.seed, result.failure.reason)
        for trial, result in study.trials.items()
        if isinstance(result, FailedTrial)
    ]


def record() -> Iterator[Text]:
    """When the study was registered, and what was added since."""
    yield filled("registered", date=REGISTERED)
    if ADDITIONS:
        yield WORDS["additions"]
    else:
        yield WORDS["no_additions"]
