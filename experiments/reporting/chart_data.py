"""What the report's charts show, as plain numbers in percent; `report_charts.js` draws them."""

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import asdict, dataclass

from experiments.analysis.evidence_types import Cost, Evidence, PairEvidence
from experiments.analysis.intervals import Interval
from experiments.analysis.model_summary import ModelSummary, mean_over_seeds, on_one_hardware
from experiments.analysis.pareto import pareto_front
from experiments.reporting.chart_types import (
    Chart,
    CostAxis,
    CostChart,
    CostPoint,
    Forest,
    Mark,
    Scale,
    Series,
    Values,
)
from experiments.trials.command_line import visible
from experiments.trials.result_types import FinishedTrial, ObjectBins

POINTS = 60  # of a curve: the loss of single batches is noise in which lines would vanish
COLOURS, SHAPES = 6, 3  # of marks: report.css has six colours, and the next shape starts them anew

Points = Sequence[tuple[float, float]]

_COSTS: dict[Cost, tuple[str, Scale]] = {
    "gmacs": ("GMACs", "log"),
    "params_m": ("Parameters, millions", "log"),
    "latency_ms": ("Latency, ms", "linear"),
    "train_s": ("Training, s", "linear"),
    "memory_gb": ("Peak memory, GB", "linear"),
}


@dataclass(frozen=True)
class Charts:
    """All charts of a report."""

    marks: list[Mark]
    cost: CostChart
    forest: Forest
    curves: list[Chart]
    bands: list[Chart]
    objects: list[Chart]

    @property
    def json(self) -> dict[str, object]:
        """What `report_charts.js` draws from."""
        lines = (*self.curves, *self.bands, *self.objects)
        return {
            "models": [asdict(mark) for mark in self.marks],
            "cost": asdict(self.cost),
            "charts": [asdict(chart) for chart in lines],
        }


def make_charts(models: Sequence[ModelSummary], evidence: Evidence, val_split: str) -> Charts:
    """Of models in the order of the page, with what is known of them."""
    intervals = {model.model: model.miou for model in evidence.models}
    return Charts(
        marks=[
            Mark(visible(summary.model), i % COLOURS, i // COLOURS % SHAPES)
            for i, summary in enumerate(models)
        ],
        cost=cost_chart(models, intervals, set(evidence.did_not_train)),
        forest=forest(evidence.pairs, evidence.margin),
        curves=curve_charts(models, val_split),
        bands=band_charts(models, evidence),
        objects=object_charts(models),
    )


def percent(fraction: float | None) -> float | None:
    """To the hundredth that a page needs; None for one that is not there."""
    return None if fraction is None else round(100 * fraction, 2)


def cost_chart(
    models: Sequence[ModelSummary], intervals: Mapping[str, Interval], untrained: Set[str]
) -> CostChart:
    """Points of the models that have costs, and for each cost its title, scale and front.

    Args:
        untrained: models that did not train, and so are on no front.
    """
    points = []
    for i, summary in enumerate(models):
        if summary.gmacs is None:
            continue
        interval = intervals.get(summary.model)
        ends = (percent(interval.low), percent(interval.high)) if interval else (None, None)
        costs: dict[Cost, float | None] = {cost: getattr(summary, cost) for cost in _COSTS}
        points.append(CostPoint(i, round(100 * summary.miou, 2), *ends, costs))
    ranked = [i for i, p in enumerate(points) if models[p.model].model not in untrained]
    axes: dict[Cost, CostAxis] = {}
    for cost, (title, scale) in _COSTS.items():
        values = [value for point in points if (value := point.cost[cost]) is not None]
        one = on_one_hardware(models, cost)
        if one and values and len(values) == len(points):
            places = pareto_front([values[i] for i in ranked], [points[i].miou for i in ranked])
            axes[cost] = CostAxis(title, scale, [ranked[place] for place in places])
    return CostChart(points, axes)


def curve_charts(models: Sequence[ModelSummary], val_split: str) -> list[Chart]:
    """Validation mIoU and training loss against the step, with the range over seeds as a band."""
    val = [over_seeds(i, [t.curve.val for t in m.trials], 100) for i, m in enumerate(models)]
    train = [over_seeds(i, [t.curve.train for t in m.trials], 1) for i, m in enumerate(models)]
    val_title = f"mIoU on {val_split} while training, %"
    train_title = "Training loss, means of neighbouring batches"
    charts = [
        Chart("val", val_title, "Step", [line for line in val if line], band=True),
        Chart("train", train_title, "Step", [line for line in train if line], band=True, log=True),
    ]
    return [chart for chart in charts if chart.series]


def thin(points: Points) -> list[tuple[float, float]]:
    """At most `POINTS` points, each the mean of neighbouring ones."""
    size = max(1, math.ceil(len(points) / POINTS))
    bins = [points[start : start + size] for start in range(0, len(points), size)]
    return [
        (statistics.fmean(x for x, _ in part), statistics.fmean(y for _, y in part))
        for part in bins
    ]


def over_seeds(model: int, curves: Iterable[Points], factor: float) -> Series | None:
    """Mean, smallest and largest value at the steps that all thinned curves have.

    None without a curve; one alone has no range.
    """
    seeds = [dict(thin(curve)) for curve in curves if curve]
    steps = [x for x in seeds[0] if all(x in seed for seed in seeds)] if seeds else []
    if not steps:
        return None
    at = [[factor * seed[x] for seed in seeds] for x in steps]
    mean = tuple(round(statistics.fmean(values), 4) for values in at)
    if len(seeds) == 1:
        return Series(model, steps, mean)
    low, high = (tuple(round(end(values), 4) for values in at) for end in (min, max))
    return Series(model, steps, mean, low, high, f"range of {len(seeds)} seeds")


def object_charts(models: Sequence[ModelSummary]) -> list[Chart]:
    """Recall of objects by their width and by their area, means over seeds."""
    counted = [
        (i, summary)
        for i, summary in enumerate(models)
        if all(trial.metrics.objects for trial in summary.trials)
    ]
    if not counted:
        return []
    kinds: dict[str, tuple[str, str, Callable[[FinishedTrial], ObjectBins]]] = {
        "width": ("Recall by width of the object, %", "Largest inscribed width, pixels", _widths),
        "area": ("Recall by area of the object, %", "Area, pixels", _areas),
    }
    charts = []
    for kind, (title, x, bins_of) in kinds.items():
        first = bins_of(counted[0][1].trials[0])
        names = bin_names(first.edges)
        series = [
            Series(i, names, _mean_recall([bins_of(trial) for trial in summary.trials]))
            for i, summary in counted
        ]
        notes = [f"{count:,} objects" for count in first.objects]
        charts.append(Chart(kind, title, x, series, notes=notes))
    return charts


def _widths(trial: FinishedTrial) -> ObjectBins:
    assert trial.metrics.objects is not None
    return trial.metrics.objects.width


def _areas(trial: FinishedTrial) -> ObjectBins:
    assert trial.metrics.objects is not None
    return trial.metrics.objects.area


def _mean_recall(seeds: Sequence[ObjectBins]) -> Values:
    places = zip(*(bins.recall for bins in seeds), strict=True)
    return tuple(percent(mean_over_seeds(values)) for values in places)


def bin_names(edges: Sequence[float]) -> list[str]:
    """Names of the bins that lower edges part: 3, 5 are 1–2, 3–4 and 5 up."""
    starts = [1, *edges]
    inner = [
        f"{low:g}–{high - 1:g}" if high - 1 > low else f"{low:g}"
        for low, high in zip(starts, edges, strict=False)
    ]
    return [*inner, f"{starts[-1]:g} up"]


def band_charts(models: Sequence[ModelSummary], evidence: Evidence) -> list[Chart]:
    """mIoU within and beyond each distance of a true boundary, with its interval."""
    within, beyond = [], []
    for i, summary in enumerate(models):
        known = evidence.model(summary.model)
        if known is not None and known.bands is not None:
            within.append(_band_series(i, known.bands.pixels, known.bands.within))
            beyond.append(_band_series(i, known.bands.pixels, known.bands.beyond))
    charts = []
    for id, where, series in (("within", "at most", within), ("beyond", "more than", beyond)):
        if series:
            title = f"mIoU {where} d pixels from a true boundary, %"
            charts.append(Chart(id, title, "Distance d, pixels", series))
    return charts


def _band_series(model: int, pixels: Sequence[int], scores: Sequence[Interval | None]) -> Series:
    return Series(
        model,
        pixels,
        y=tuple(percent(s.value) if s else None for s in scores),
        low=tuple(percent(s.low) if s else None for s in scores),
        high=tuple(percent(s.high) if s else None for s in scores),
    )


def forest(pairs: Sequence[PairEvidence], margin: float) -> Forest:
    """Where each pair's difference and interval lie on an axis that holds all of them and 0."""
    ends = [d for p in pairs for d in (p.difference.low, p.difference.value, p.difference.high)]
    points = [100 * end for end in ends if end is not None] + [-200 * margin, 200 * margin]
    step = next(s for s in (0.5, 1, 2, 5, 10, 20, 50) if (max(points) - min(points)) / s <= 7)
    low, high = step * math.floor(min(points) / step), step * math.ceil(max(points) / step)

    def place(points: float) -> float:
        return round(4 + 92 * (points - low) / (high - low), 2)  # room for the outer ticks' text

    def maybe(fraction: float | None) -> float | None:
        return None if fraction is None else place(100 * fraction)

    marks = [low + i * step for i in range(round((high - low) / step) + 1)]
    differences = [pair.difference for pair in pairs]
    return Forest(
        [(place(mark), f"{mark:+g}" if mark else "0") for mark in marks],
        place(0),
        (place(-100 * margin), round(92 * 200 * margin / (high - low), 2)),
        [(maybe(d.low), place(100 * d.value), maybe(d.high)) for d in differences],
    )


def variant_scores(models: Sequence[ModelSummary]) -> dict[str, list[float | None]]:
    """mIoU by other definitions, a fraction a model (mean over seeds); empty where none has any.

    A model of which a seed lacks one has none.
    """
    counted = [[trial.metrics.miou_variants for trial in m.trials] for m in models]
    names = dict.fromkeys(name for seeds in counted for variants in seeds for name in variants)
    scores: dict[str, list[float | None]] = {}
    for name in names:
        of_models = [[variants.get(name) for variants in seeds] for seeds in counted]
        scores[name] = [None if None in s else mean_over_seeds(s) for s in of_models]
    return scores
