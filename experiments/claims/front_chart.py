"""mIoU of the lecture's networks against each cost, and who is on the front (claim C9)."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from experiments.analysis.evidence_types import Cost
from experiments.analysis.intervals import Interval, bounded, interval
from experiments.analysis.pareto import FrontPlace, pareto
from experiments.claims.network_rows import NetworkRow
from experiments.claims.page_texts import COSTS
from experiments.reporting.chart_data import COLOURS, SHAPES, cost_chart
from experiments.reporting.chart_types import CostChart, Mark

COST_NAMES: tuple[Cost, ...] = ("gmacs", "train_s", "params_m", "memory_gb")


@dataclass(frozen=True)
class FrontTable:
    """Of the networks at one budget: each one's mIoU, and its place against each cost."""

    budget: str
    rows: tuple[tuple[NetworkRow, Interval, tuple[FrontPlace, ...]], ...]


def marks(names: Sequence[str]) -> list[Mark]:
    """How each network is drawn, as in report.html."""
    return [Mark(name, i % COLOURS, i // COLOURS % SHAPES) for i, name in enumerate(names)]


def chart_json(names: Sequence[str], rows: Sequence[NetworkRow]) -> dict[str, Any]:
    """What `report_charts.js` reads, with a chart of costs for each budget.

    Args:
        names: of all networks, in the order of their marks.
        rows: of these networks, at every budget.
    """
    budgets = dict.fromkeys(row.budget for row in rows if row.summary)
    charts = {
        budget: asdict(_chart(names, [row for row in rows if row.budget == budget]))
        for budget in budgets
    }
    shown = [asdict(mark) for mark in marks(names)]
    return {"models": shown, "costs": charts, "cost": next(iter(charts.values())), "charts": []}


def _chart(names: Sequence[str], rows: Sequence[NetworkRow]) -> CostChart:
    done = [(row, row.summary) for row in rows if row.summary is not None]
    intervals = {s.model: bounded(interval(row.draws, "seeds")) for row, s in done if row.draws}
    untrained = {s.model for row, s in done if row.untrained}
    chart = cost_chart([s for _, s in done], intervals, untrained)
    return CostChart(
        points=[replace(p, model=names.index(done[p.model][0].name)) for p in chart.points],
        axes={cost: axis for cost, axis in chart.axes.items() if cost in COSTS},
    )


def front_tables(rows: Sequence[NetworkRow]) -> Iterator[FrontTable]:
    """One for each budget that has trials; networks that did not train are on no front."""
    for budget in dict.fromkeys(row.budget for row in rows):
        known = [
            (row, row.draws, row.summary)
            for row in rows
            if row.budget == budget and row.summary and row.draws and not row.untrained
        ]
        if not known:
            continue
        scores = {row.name: draws for row, draws, _ in known}
        places = []
        for cost in COST_NAMES:
            values = {row.name: getattr(summary, cost) for row, _, summary in known}
            places.append(pareto(values, scores) if None not in values.values() else {})
        nowhere = FrontPlace(False, None)
        yield FrontTable(
            budget,
            tuple(
                (
                    row,
                    bounded(interval(draws, "seeds")),
                    tuple(place.get(row.name, nowhere) for place in places),
                )
                for row, draws, _ in known
            ),
        )
