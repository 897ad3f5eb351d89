"""The contrasts of a claim in lecture.html, in numbers and as strips on one axis."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from markupsafe import Markup

from experiments.claims.contrasts import Estimate
from experiments.claims.registration import FIELD_MARGIN, FrontClaim
from experiments.claims.verdicts import Verdict
from experiments.claims.words import LANGUAGES, QUANTITIES, Text
from experiments.lecture_report import pictures
from experiments.lecture_report.estimate_words import number, pair_words
from experiments.lecture_report.page_texts import WORDS, filled


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


def claim_plots(verdict: Verdict) -> Iterator[Plot]:
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
        seeds=filled("row_seeds", n=len(one.seeds)),
        strip=pictures.strip(one, axis),
    )
