"""The study's networks as the page shows them: tables, mIoU against each cost, and the fronts."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from experiments.analysis.evidence_types import Cost
from experiments.analysis.intervals import Interval, bounded, interval
from experiments.analysis.pareto import FrontPlace, pareto
from experiments.claims.study import AnyClaim, Study, names_of
from experiments.lecture_report.network_rows import (
    LECTURE,
    FieldRadii,
    NetworkRow,
    NetworkTable,
    Rows,
    front_rows,
    images_and_blocks,
    network_rows,
    network_tables,
)
from experiments.lecture_report.page_texts import COSTS
from experiments.reporting.chart_data import COLOURS, SHAPES, cost_chart
from experiments.reporting.chart_types import CostChart, Mark

_FIELDS = ("streams1", "streams2", "streams3", *LECTURE)  # whose receptive fields are drawn
COST_NAMES: tuple[Cost, ...] = ("gmacs", "train_s", "params_m", "memory_gb")


@dataclass(frozen=True)
class FrontTable:
    """Of the networks at one budget: each one's mIoU, and its place against each cost.

    Attributes:
        seeds: of all of them.
        untrained: networks that did not train, and so are on no front.
    """

    budget: str
    seeds: tuple[int, ...]
    rows: tuple[tuple[NetworkRow, Interval, tuple[FrontPlace, ...]], ...]
    untrained: tuple[NetworkRow, ...]


@dataclass(frozen=True)
class NetworkPage:
    """What the page shows of networks.

    Attributes:
        of_claim: by the claim's key.
        chart: numbers for `report_charts.js`; None before the first trial.
        fields: of one to four streams and of the lecture's networks.
        images: how many images, and how many blocks of them; None before the first trial.
    """

    tables: tuple[NetworkTable, ...]
    of_claim: dict[str, tuple[NetworkRow, ...]]
    fronts: tuple[FrontTable, ...]
    chart: dict[str, object] | None
    fields: tuple[tuple[FieldRadii, ...], ...]
    images: tuple[int, int] | None


def network_page(study: Study, claims: Sequence[AnyClaim]) -> NetworkPage:
    """Of the networks of these claims."""
    rows = network_rows(study, claims)
    done = [row for row in rows.values() if row.summary]
    fronts = list(front_rows(study, claims))
    return NetworkPage(
        tables=tuple(network_tables(rows)),
        of_claim={claim.key: _of_claim(claim, rows) for claim in claims},
        fronts=tuple(map(_front_table, fronts)),
        chart=_chart_json(LECTURE, fronts) if fronts else None,
        fields=tuple(rows[name, "macs"].fields for name in _FIELDS if (name, "macs") in rows),
        images=images_and_blocks(study) if done else None,
    )


def _of_claim(claim: AnyClaim, rows: Rows) -> tuple[NetworkRow, ...]:
    """Each network once, though HRNetV2 is the same at both budgets."""
    own = {rows[place].model: rows[place] for place in names_of(claim) if place in rows}
    return tuple(own.values())


def _marks(names: Sequence[str]) -> list[Mark]:
    """How each network is drawn, as in report.html."""
    return [Mark(name, i % COLOURS, i // COLOURS % SHAPES) for i, name in enumerate(names)]


def _chart_json(names: Sequence[str], budgets: Sequence[Sequence[NetworkRow]]) -> dict[str, object]:
    """What `report_charts.js` reads, with a chart of costs for each budget.

    Args:
        names: of all networks, in the order of their marks.
        budgets: these networks at each.
    """
    charts = {rows[0].budget: asdict(_chart(names, rows)) for rows in budgets}
    shown = [asdict(mark) for mark in _marks(names)]
    return {"models": shown, "costs": charts, "cost": next(iter(charts.values())), "charts": []}


def _chart(names: Sequence[str], rows: Sequence[NetworkRow]) -> CostChart:
    """Of those that trained."""
    done = [(row, row.summary) for row in rows if row.summary is not None and not row.untrained]
    intervals = {s.model: bounded(interval(row.draws, "seeds")) for row, s in done if row.draws}
    chart = cost_chart([s for _, s in done], intervals, frozenset())
    return CostChart(
        points=[replace(p, model=names.index(done[p.model][0].name)) for p in chart.points],
        axes={cost: axis for cost, axis in chart.axes.items() if cost in COSTS},
    )


def _front_table(rows: Sequence[NetworkRow]) -> FrontTable:
    """Of networks at one budget."""
    known = [
        (row, row.draws, row.summary)
        for row in rows
        if row.summary and row.draws and not row.untrained
    ]
    scores = {row.name: draws for row, draws, _ in known}
    places = []
    for cost in COST_NAMES:
        values = {row.name: getattr(summary, cost) for row, _, summary in known}
        places.append(pareto(values, scores) if None not in values.values() else {})
    nowhere = FrontPlace(False, None)
    return FrontTable(
        rows[0].budget,
        known[0][2].seeds if known else (),
        tuple(
            (
                row,
                bounded(interval(draws, "seeds")),
                tuple(place.get(row.name, nowhere) for place in places),
            )
            for row, draws, _ in known
        ),
        tuple(row for row in rows if row.untrained),
    )
