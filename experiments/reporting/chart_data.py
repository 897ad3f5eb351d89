"""What the report's charts show, as plain numbers in percent; `report_charts.js` draws them."""

import math
import statistics
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from typing import Any

from experiments.analysis.evidence_types import Evidence, PairEvidence
from experiments.analysis.intervals import Interval
from experiments.analysis.model_summary import Entry
from experiments.analysis.pareto import pareto_front

COSTS = {  # fields of Row that a network's accuracy is plotted against: title and scale
    "gmacs": ("GMACs", "log"),
    "params_m": ("Parameters, millions", "log"),
    "latency_ms": ("Latency, ms", "linear"),
    "train_s": ("Training, s", "linear"),
    "memory_gb": ("Peak memory, GB", "linear"),
}
POINTS = 60  # of a curve: the loss of single batches is noise in which lines would vanish
Points = list[tuple[float, float]]


@dataclass(frozen=True)
class Chart:
    """Lines against a common x, one a model.

    Attributes:
        series: dictionaries of model (its index), x, y, low and high (None: no interval), and
            note, what the interval is.
        x: title of the axis; y likewise.
        band: whether low and high are drawn, else they are only told when a point is pointed at.
        log: whether y is logarithmic.
        notes: what else to tell of each point of x.
    """

    id: str
    title: str
    x: str
    y: str
    series: list[dict[str, Any]]
    band: bool = False
    log: bool = False
    notes: Sequence[str] = ()

    @property
    def several(self) -> bool:
        """Whether any model has an interval."""
        return any(line["low"] for line in self.series)


def percent(value: float | None) -> float | None:
    """Percent of a fraction, to the hundredth that a page needs; None for one that is not there."""
    return None if value is None or math.isnan(value) else round(100 * value, 2)


def cost_points(
    models: list[Entry], intervals: dict[str, Interval], untrained: Set[str]
) -> dict[str, Any]:
    """Points of the models that have costs, and for each cost its title, scale and front.

    Args:
        untrained: models that did not train, and so are on no front.
    """
    shown = [i for i, entry in enumerate(models) if entry.row.gmacs is not None]
    points: list[dict[str, Any]] = []
    for i in shown:
        row, found = models[i].row, intervals.get(models[i].row.model)
        points.append(
            {
                "model": i,
                "miou": percent(row.miou),
                "low": percent(found.low if found else None),
                "high": percent(found.high if found else None),
                "cost": {field: getattr(row, field) for field in COSTS},
            }
        )
    axes = {}
    for field, (title, scale) in COSTS.items():
        costs = [point["cost"][field] for point in points]
        if costs and None not in costs:
            ranked = [
                i for i, p in enumerate(points) if models[p["model"]].row.model not in untrained
            ]
            places = pareto_front([costs[i] for i in ranked], [points[i]["miou"] for i in ranked])
            front = [ranked[place] for place in places]
            axes[field] = {"title": title, "scale": scale, "front": front}
    return {"points": points, "axes": axes}


def curves(models: list[Entry], val_split: str) -> list[Chart]:
    """Validation mIoU and training loss against the step, with the range over seeds as a band."""
    kinds = (
        ("val", f"mIoU on {val_split} while training, %", 100, False),
        ("train", "Training loss, means of neighbouring batches", 1, True),
    )
    charts = []
    for key, title, factor, log in kinds:
        series = []
        for i, entry in enumerate(models):
            seeds = [thin(trial.record.get("curve", {}).get(key, [])) for trial in entry.trials]
            points = over_seeds([seed for seed in seeds if seed], factor)
            if points:
                series.append({"model": i, **points})
        if series:
            charts.append(Chart(key, title, "Step", "", series, band=True, log=log))
    return charts


def thin(points: Points) -> Points:
    """At most `POINTS` points, each the mean of neighbouring ones."""
    size = max(1, math.ceil(len(points) / POINTS))
    bins = [points[start : start + size] for start in range(0, len(points), size)]
    return [(_mean(x for x, _ in part), _mean(y for _, y in part)) for part in bins]


def over_seeds(seeds: list[Points], factor: float) -> dict[str, Any] | None:
    """Mean, smallest and largest value at the steps that all seeds have; one seed has no range."""
    if not seeds:
        return None
    values = [dict(points) for points in seeds]
    steps = [x for x, _ in seeds[0] if all(x in seed for seed in values)]
    at = [[factor * seed[x] for seed in values] for x in steps]
    several = len(seeds) > 1
    return {
        "x": steps,
        "y": [round(_mean(ys), 4) for ys in at],
        "low": [round(min(ys), 4) for ys in at] if several else None,
        "high": [round(max(ys), 4) for ys in at] if several else None,
        "note": f"range of {len(seeds)} seeds" if several else "",
    }


def _mean(values: Iterable[float]) -> float:
    return statistics.fmean(values)


def objects(models: list[Entry]) -> list[Chart]:
    """Recall of objects by their width and by their area, means over seeds."""
    titles = {
        "width": ("Recall by width of the object, %", "Largest inscribed width, pixels"),
        "area": ("Recall by area of the object, %", "Area, pixels"),
    }
    charts = []
    for kind, (title, x) in titles.items():
        have = [i for i, e in enumerate(models) if all("objects" in m for m in _metrics(e))]
        if not have:
            continue
        first = _metrics(models[have[0]])[0]["objects"][kind]
        names = bins(first["edges"])
        series = [
            {
                "model": i,
                "x": names,
                "y": _over_trials(models[i], lambda m, kind=kind: m["objects"][kind]["recall"]),
                "low": None,
                "high": None,
                "note": "",
            }
            for i in have
        ]
        notes = [f"{count:,} objects" for count in first["objects"]]
        charts.append(Chart(kind, title, x, "", series, notes=notes))
    return charts


def bins(edges: Sequence[int]) -> list[str]:
    """Names of the bins that lower edges part: 3, 5 are 1–2, 3–4 and 5 up."""
    starts = [1, *edges]
    inner = [
        f"{low}–{high - 1}" if high - 1 > low else f"{low}"
        for low, high in zip(starts, edges, strict=False)
    ]
    return [*inner, f"{starts[-1]} up"]


def _metrics(entry: Entry) -> list[dict[str, Any]]:
    return [trial["metrics"] for trial in entry.trials]


def _over_trials(entry: Entry, find: Any) -> list[float | None]:
    """Percent of the mean over seeds of lists of fractions, place by place."""
    places = zip(*(find(metrics) for metrics in _metrics(entry)), strict=True)
    means = []
    for values in places:
        present = [value for value in values if value is not None]
        means.append(percent(_mean(present)) if present else None)
    return means


def bands(models: list[Entry], found: Evidence) -> list[Chart]:
    """mIoU within and beyond each distance of a true boundary, with its interval."""
    charts = []
    for part, where in (("within", "at most"), ("beyond", "more than")):
        series = []
        for i, entry in enumerate(models):
            model = found.model(entry.row.model)
            if model is None or model.bands is None:
                continue
            scores: tuple[Interval | None, ...] = getattr(model.bands, part)
            low = [percent(s.low) if s else None for s in scores]
            high = [percent(s.high) if s else None for s in scores]
            values = [percent(s.value) if s else None for s in scores]
            x = list(model.bands.pixels)
            series.append({"model": i, "x": x, "y": values, "low": low, "high": high, "note": ""})
        if series:
            title = f"mIoU {where} d pixels from a true boundary, %"
            charts.append(Chart(part, title, "Distance d, pixels", "", series))
    return charts


@dataclass(frozen=True)
class Forest:
    """Differences on one axis; places are percent of its width.

    Attributes:
        ticks: place and text of each.
        zero: place of no difference.
        margin: place and width of the range of differences that do not matter.
        places: low, value and high of each pair; low and high are None without an interval.
    """

    ticks: list[tuple[float, str]]
    zero: float
    margin: tuple[float, float]
    places: list[tuple[float | None, float, float | None]]


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


def audit(models: list[Entry]) -> dict[str, list[float | None]]:
    """mIoU by other definitions, a fraction a model (mean over seeds); empty where none has any."""
    names = dict.fromkeys(name for e in models for m in _metrics(e) for name in m.get("audit", {}))
    found: dict[str, list[float | None]] = {name: [] for name in names}
    for entry in models:
        for name, scores in found.items():
            values = [metrics.get("audit", {}).get(name) for metrics in _metrics(entry)]
            present = [value for value in values if value is not None]
            scores.append(_mean(present) if len(present) == len(values) else None)
    return found
