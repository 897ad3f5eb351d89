"""How far the study's numbers can be trusted, in both languages."""

from collections.abc import Iterator, Sequence
from functools import partial

from experiments.analysis.intervals import points
from experiments.analysis.recipe_effects import signed
from experiments.claims.checks import (
    LongerSchedule,
    longer_schedule,
    num_by_other_code,
    repeat_difference,
    seed_spread,
    still_learning,
    untrained,
)
from experiments.claims.registration import CLAIMS, LONGER, MARGIN, NETWORKS, REPEATED
from experiments.claims.study import AnyClaim, Study
from experiments.claims.words import Text
from experiments.lecture_report.estimate_words import in_both, lacking_words
from experiments.lecture_report.page_texts import WORDS, filled


def trust(study: Study, claims: Sequence[AnyClaim]) -> Iterator[Text]:
    """Noise floor, seeds' SD and the schedule's length; nothing of a study of some claims alone."""
    if tuple(claims) != CLAIMS:
        return
    name, seed = REPEATED
    noise, same = repeat_difference(study), {"model": NETWORKS[name], "seed": seed}
    if noise is None:
        yield filled("noise_not_yet", **same)
    else:
        yield filled("noise", value=f"{100 * noise:.2f}", margin=MARGIN, **same)
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
    longer = longer_schedule(study)
    if longer is None:
        yield filled("longer_not_yet", better=better, worse=worse, times=times)
    else:
        yield _longer(longer)
        yield WORDS[_LONG_ENOUGH[longer.long_enough]]


def _longer(found: LongerSchedule) -> Text:
    better, worse = found.networks
    change, low, high = found.change.value, found.change.low, found.change.high
    between = "" if low is None or high is None else f" [{', '.join(points(low, high))}]"
    return filled(
        "longer",
        times=found.times,
        seeds=", ".join(map(str, found.seeds)),
        better=better,
        worse=worse,
        better_once=points(found.once[0])[0],
        better_more=points(found.longer[0])[0],
        worse_once=points(found.once[1])[0],
        worse_more=points(found.longer[1])[0],
        once=signed(found.before),
        more=signed(found.after),
        change=signed(change) + between,
    )


_LONG_ENOUGH = {True: "long_enough", False: "too_short", None: "length_untold"}


def warnings(study: Study) -> Iterator[Text]:
    """What a reader of any number has to know first."""
    short, not_trained, num_by_others = guard(study), untrained(study), num_by_other_code(study)
    if short is not None:
        yield short
    if not_trained:
        networks = {lacking.model for lacking in not_trained}
        yield filled("untrained_trials", trials=len(not_trained), networks=len(networks))
    if num_by_others:
        yield filled("other_code", num=num_by_others)


def guard(study: Study) -> Text | None:
    """That networks still learn where their training ends; None where none is seen to."""
    found = still_learning(study)
    of_val = [climb.gain for climb in found.climbing if climb.measure == "validation mIoU"]
    gains = [gain.value for gain in of_val if gain]
    if not gains:
        return None
    low, high = points(min(gains), max(gains))
    return filled(
        "still_climbs",
        num=len(gains),
        of=len(found.climbs),
        low=low,
        high=high,
        since=found.since,
    )


def untrained_words(study: Study) -> Iterator[Text]:
    """Each trial that did not train, with the reason."""
    for lacking in untrained(study):
        yield in_both(partial(lacking_words, lacking))
