"""Of each claim in lecture.html: its verdict, the picture, and what the verdict rests on."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from markupsafe import Markup

from experiments.claims.contrasts import Estimate
from experiments.claims.registration import FIELD_MARGIN, Claim, FrontClaim
from experiments.claims.verdicts import Verdict
from experiments.claims.words import (
    LANGUAGES,
    QUANTITIES,
    SAYS_KO,
    SUPPORTED_KO,
    Language,
    Text,
)
from experiments.lecture_report import pictures
from experiments.lecture_report.page_texts import WORDS, filled
from experiments.lecture_report.sentences import (
    brief_words,
    number,
    outcome_words,
    pair_words,
    quantity_words,
    sentence,
)


@dataclass(frozen=True)
class Row:
    """A contrast in numbers and as a strip; empty texts for what is not known.

    Attributes:
        absent: why there is no value.
    """

    names: str
    quantity: Text
    budget: Text
    value: str
    absent: Text
    interval: str
    detectable: str
    seeds: Text
    strip: Markup


@dataclass(frozen=True)
class Plot:
    """Rows on one axis; `known` says whether any of them has a value."""

    title: Text
    scale: Markup
    primary: tuple[Row, ...]
    secondary: tuple[Row, ...]

    @property
    def known(self) -> bool:
        return any(row.value for row in (*self.primary, *self.secondary))

    @property
    def by_quantity(self) -> list[tuple[str, Text, Text]]:
        """Networks of all rows, by quantity and budget."""
        names: dict[tuple[Text, Text], list[str]] = {}
        for row in (*self.primary, *self.secondary):
            names.setdefault((row.quantity, row.budget), []).append(row.names)
        return [(", ".join(own), *key) for key, own in names.items()]


@dataclass(frozen=True)
class ClaimPage:
    """One claim, in words of both languages.

    Attributes:
        kind: of the outcome, for its colour and sign; `nothing` where nothing was measured.
        brief: the deciding differences with their intervals, of at most two.
        facts: what the verdict rests on, by their names.
    """

    key: str
    kind: str
    says: Text
    outcome: Text
    sentence: Text
    brief: Text
    plots: tuple[Plot, ...]
    facts: Mapping[Text, Text]


def claim_page(verdict: Verdict, images: Text | None) -> ClaimPage:
    """Of one verdict.

    Args:
        images: how many images and blocks; None before the first trial.
    """
    claim = verdict.claim
    return ClaimPage(
        key=claim.key,
        kind=verdict.outcome.split()[0] if verdict.started else "nothing",
        says=Text(claim.says, SAYS_KO[claim.key]),
        outcome=_both(lambda language: outcome_words(verdict, language)),
        sentence=_both(lambda language: sentence(verdict, language)),
        brief=_both(lambda language: brief_words(verdict, language)),
        plots=tuple(_plots(verdict)),
        facts=dict(_facts(verdict, images)),
    )


def _both(say: Callable[[Language], str]) -> Text:
    return Text(*(say(language) for language in LANGUAGES))


def _plots(verdict: Verdict) -> Iterator[Plot]:
    """One for differences in points and one for ratios; of the front one for each budget."""
    front = isinstance(verdict.claim, FrontClaim)
    groups: dict[tuple[bool, str], list[Estimate]] = {}
    for one in (*verdict.primary, *verdict.secondary):
        key = one.is_ratio, one.contrast.budget if front else ""
        groups.setdefault(key, []).append(one)
    for (is_ratio, budget), estimates in groups.items():
        margin = math.log(FIELD_MARGIN) if is_ratio else 0.01
        axis = pictures.axis_of(estimates, margin)
        title = WORDS["ratio" if is_ratio else "points"]
        if budget:
            title = Text(*(f"{WORDS[budget](own)}: {title(own)}" for own in LANGUAGES))
        primary = [one for one in estimates if one in verdict.primary]
        secondary = [one for one in estimates if one not in verdict.primary]
        yield Plot(
            title,
            pictures.scale(axis),
            tuple(_row(one, axis) for one in primary),
            tuple(_row(one, axis) for one in secondary),
        )


def _row(one: Estimate, axis: pictures.Axis) -> Row:
    contrast, found = one.contrast, one.difference
    ends = [] if found is None else [found.low, found.high]
    known = [number(one, end) for end in ends if end is not None]
    return Row(
        names=pair_words(one, "ko"),  # its minus is longer
        quantity=QUANTITIES[contrast.quantity],
        budget=WORDS[contrast.budget],
        value="" if found is None else number(one, found.value),
        absent=WORDS["did_not_train" if one.untrained else "not_yet"],
        interval=f"[{', '.join(known)}]" if known else "",
        detectable="" if one.mdd is None else number(one, one.mdd),
        seeds=filled("row_seeds", n=len(one.seeds)),
        strip=pictures.strip(one, axis),
    )


def _facts(verdict: Verdict, images: Text | None) -> Iterator[tuple[Text, Text]]:
    claim = verdict.claim
    if isinstance(claim, Claim):
        yield WORDS["support"], Text(claim.supported_if, SUPPORTED_KO[claim.key])
        yield WORDS["contradict"], WORDS["below"]
        is_ratio = claim.margin == FIELD_MARGIN
        yield (
            WORDS["margin"],
            filled("margin_ratio" if is_ratio else "margin_points", value=claim.margin),
        )
    elif isinstance(claim, FrontClaim):
        yield WORDS["support"], WORDS["front_support"]
        yield WORDS["contradict"], WORDS["front_contradict"]
        yield WORDS["margin"], filled("margin_points", value=claim.margin)
    else:
        yield WORDS["support"], WORDS["order_support"]
        yield WORDS["contradict"], WORDS["order_contradict"]
        return
    n, of = verdict.seeds
    yield WORDS["seeds"], filled("seeds_of", n=n, of=of)
    if images is not None:
        yield WORDS["images"], images
    found = [(one.mdd, one) for one in verdict.primary if one.mdd is not None]
    if found:
        _, one = max(found, key=lambda pair: pair[0])
        yield WORDS["detectable"], _both(lambda own: quantity_words(one, one.mdd or 0.0, own))
