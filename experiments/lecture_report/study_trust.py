"""How far the study's numbers can be trusted, in both languages."""

from collections.abc import Iterator
from functools import partial

from experiments.analysis.recipe_effects import signed
from experiments.claims.checks import (
    longer_schedule,
    num_by_other_code,
    repeat_difference,
    seed_spread,
    untrained_networks,
)
from experiments.claims.registration import LONGER, NETWORKS, REPEATED
from experiments.claims.study import Study
from experiments.claims.words import Text
from experiments.lecture_report.estimate_words import in_both, lacking_words
from experiments.lecture_report.page_texts import WORDS, filled


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
            once=signed(longer.before),
            more=signed(longer.after),
            seeds=", ".join(map(str, longer.seeds)),
            **pair,
        )
        yield WORDS[_LONG_ENOUGH[longer.long_enough]]


_LONG_ENOUGH = {True: "long_enough", False: "too_short", None: "length_untold"}


def warnings(study: Study) -> Iterator[Text]:
    """What a reader of any number has to know first."""
    num_untrained, num_by_others = len(untrained_networks(study)), num_by_other_code(study)
    if num_untrained:
        yield filled("untrained_networks", num=num_untrained)
    if num_by_others:
        yield filled("other_code", num=num_by_others)


def untrained(study: Study) -> Iterator[Text]:
    """Each network that did not train, with the reason."""
    for lacking in untrained_networks(study):
        yield in_both(partial(lacking_words, lacking))
