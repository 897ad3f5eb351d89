"""The numbers and networks of a contrast in words of either language."""

import math
from collections.abc import Callable

from experiments.analysis.bootstrap import MIN_BLOCKS
from experiments.analysis.intervals import points
from experiments.analysis.untrained import UntrainedRun
from experiments.claims.contrasts import Estimate, Lacking
from experiments.claims.words import LACKING, LANGUAGES, POINTS, RATIO, Language, Text

_PAIR = Text("{better} - {worse}", "{better} − {worse}")


def in_both(say: Callable[[Language], str]) -> Text:
    """What is said, in either language."""
    return Text(*(say(language) for language in LANGUAGES))


def pair_words(one: Estimate, language: Language) -> str:
    """The two networks, as a difference or as a ratio."""
    better, worse = one.contrast.better, one.contrast.worse
    return f"{better} / {worse}" if one.is_ratio else _PAIR(language, better=better, worse=worse)


def quantity_words(one: Estimate, value: float, language: Language) -> str:
    """As `2.1 points` or `1.30 times`."""
    return (RATIO if one.is_ratio else POINTS)(language, value=number(one, value))


def number(one: Estimate, value: float) -> str:
    """Points of a fraction, or the ratio of a logarithm."""
    return f"{math.exp(value):.2f}" if one.is_ratio else points(value)[0]


def lacking_words(lacking: Lacking | None, language: Language) -> str:
    """Why there is no difference, or no interval; a failure's own words stay as they are."""
    if lacking is None:
        return ""
    run = lacking.run or UntrainedRun(0, 0)
    return LACKING[lacking.kind](
        language,
        model=lacking.model,
        seed=run.seed,
        failure=run.failure,
        miou=f"{100 * run.miou:.1f}",
        prior=f"{100 * run.prior:.1f}",
        blocks=lacking.blocks,
        needed=MIN_BLOCKS,
    )
