"""All that lecture.html shows, as one typed value."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from experiments.claims import page_assets, study_facts
from experiments.claims.claim_pages import ClaimPage, claim_page, filled
from experiments.claims.front_chart import FrontTable, chart_json, front_tables
from experiments.claims.network_rows import (
    BUDGETS,
    LECTURE,
    VARIANTS,
    NetworkRow,
    images_and_blocks,
    network_rows,
)
from experiments.claims.pictures import FieldRadii, field_picture
from experiments.claims.registration import ADDITIONS, Addition
from experiments.claims.study import Study, names_of
from experiments.claims.verdicts import Verdict
from experiments.claims.words import Text


@dataclass(frozen=True)
class FieldPanel:
    """A network's receptive field, untrained beside trained, over the street."""

    name: str
    fields: tuple[FieldRadii, ...]
    picture: Markup


@dataclass(frozen=True)
class NetworkTable:
    """Networks at one budget, of the lecture or for single claims."""

    title: str
    budget: str
    rows: tuple[NetworkRow, ...]


@dataclass(frozen=True)
class LecturePage:
    """What the page shows, from top to bottom.

    Attributes:
        networks: of each claim, by its key.
        street: for an `image`; empty where no field is shown.
        chart: numbers of the chart of costs; None before the first trial.
    """

    progress: tuple[Text, ...]
    claims: tuple[ClaimPage, ...]
    ladder: str | None
    ceiling: page_assets.CeilingPage | None
    fields: tuple[FieldPanel, ...]
    street: str
    networks: dict[str, tuple[NetworkRow, ...]]
    fronts: tuple[FrontTable, ...]
    chart: dict[str, Any] | None
    tables: tuple[NetworkTable, ...]
    papers: Sequence[page_assets.PaperLine]
    trust: tuple[Text, ...]
    failures: Sequence[tuple[str, int, str]]
    record: tuple[Text, ...]
    additions: tuple[Addition, ...]


def lecture_page(
    study: Study, verdicts: Sequence[Verdict], fields: Iterable[FieldRadii]
) -> LecturePage:
    """Of the study and its verdicts.

    Args:
        fields: receptive fields that were measured, trained or not.
    """
    rows = network_rows(study)
    lecture = [row for row in rows.values() if row.name in LECTURE]
    known = any(row.summary for row in rows.values())
    images = None
    if known:
        num_images, num_blocks = images_and_blocks(study)
        images = filled("images_of", images=num_images, blocks=num_blocks)
    panels = tuple(_panels(fields))
    return LecturePage(
        progress=tuple(study_facts.progress(study, verdicts)),
        claims=tuple(claim_page(verdict, images) for verdict in verdicts),
        ladder=page_assets.ladder(),
        ceiling=page_assets.ceiling_page(),
        fields=panels,
        street=page_assets.street() if panels else "",
        networks={
            verdict.claim.key: tuple(
                rows[place] for place in names_of(verdict.claim) if place in rows
            )
            for verdict in verdicts
        },
        fronts=tuple(front_tables(lecture)),
        chart=chart_json(LECTURE, lecture) if any(row.summary for row in lecture) else None,
        tables=tuple(_tables(list(rows.values()))),
        papers=page_assets.paper_table(),
        trust=tuple(study_facts.trust(study)),
        failures=study_facts.failures(study),
        record=tuple(study_facts.record()),
        additions=ADDITIONS,
    )


def _panels(fields: Iterable[FieldRadii]) -> Iterable[FieldPanel]:
    """One a network, in the order of their first appearance."""
    by_name: dict[str, list[FieldRadii]] = {}
    for field in fields:
        by_name.setdefault(field.name, []).append(field)
    for name, own in by_name.items():
        own.sort(key=lambda field: field.trained)
        yield FieldPanel(name, tuple(own), field_picture(own))


def _tables(rows: Sequence[NetworkRow]) -> Iterable[NetworkTable]:
    for budget in BUDGETS:
        for title, names in (("families", LECTURE), ("variants", VARIANTS)):
            own = [row for row in rows if row.budget == budget and row.name in names]
            if own:
                yield NetworkTable(title, budget, tuple(own))
