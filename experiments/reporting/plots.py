"""Pictures for a README, and what all pictures of a comparison share."""

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from experiments.analysis.evidence_types import Evidence
from experiments.analysis.model_summary import Entry, entries
from experiments.analysis.pareto import pareto_front
from experiments.scoring.stride_ceiling import BAND, STRIDES
from experiments.trials.atomic_io import write_json
from experiments.trials.results import TrialResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Size = tuple[float, float]  # width and height in inches, the height without the legend

GREY, GRID = "#9aa0a6", "#e8eaed"
# Okabe and Ito, "Color Universal Design" (2008), told apart with any colour vision; its yellow is
# left out, as it is too faint for a line on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")  # 9 and 7 share no factor: 63 pairs


class Style(NamedTuple):
    colour: str
    marker: str
    line: str


def pareto_figure(results: list[TrialResult], path: Path, evidence: Evidence | None = None) -> None:
    """mIoU against GMACs and against latency, a PNG of 1200 pixels width.

    Raises:
        ValueError: no finished result with costs, or results that differ in recipe, data or
            protocol.
    """
    models = entries([result for result in results if result.done and result["cost"]])
    if not models:
        raise ValueError("no finished trial with costs to draw: run a comparison first")
    path.parent.mkdir(parents=True, exist_ok=True)
    pareto_axes(look(models, models), models, evidence, (8, 3.2)).savefig(path, dpi=150)


def pareto_axes(
    styles: Mapping[str, Style],
    models: Sequence[Entry],
    evidence: Evidence | None,
    size: Size,
) -> "Figure":
    """mIoU, with its interval where there is one, against GMACs and latency; the Pareto front."""
    figure, axes = canvas(styles, size, columns=2)
    data = models[0].trials[0]["data"]
    axes[0].set_ylabel(f"mIoU, % ({data['name'].split(':')[0]} {data['split']})")
    miou = [100 * entry.row.miou for entry in models]
    untrained = evidence.did_not_train if evidence else {}
    ranked = [i for i, entry in enumerate(models) if entry.row.model not in untrained]
    for one, field in zip(axes, ("gmacs", "latency_ms"), strict=True):
        costs = [getattr(entry.row, field) for entry in models]
        front = pareto_front([costs[i] for i in ranked], [miou[i] for i in ranked])
        steps = [ranked[place] for place in front for _ in range(2)]  # right, then up
        one.plot([costs[i] for i in steps[1:]], [miou[i] for i in steps[:-1]], color=GREY, lw=0.8)
        for entry, x, y in zip(models, costs, miou, strict=True):
            style, known = styles[entry.row.model], evidence and evidence.model(entry.row.model)
            if known and known.miou.low is not None and known.miou.high is not None:
                one.plot([x, x], [100 * known.miou.low, 100 * known.miou.high], color=style.colour)
            one.plot(x, y, color=style.colour, marker=style.marker)
    cost = models[0].trials[0]["cost"]
    axes[0].set_xlabel("GMACs at {}x{} (log scale)".format(*cost["size"]))
    axes[1].set_xlabel(f"Latency, ms ({cost['device']}, {cost['threads']} threads)")
    _log_scale(axes[0], [entry.row.gmacs or math.nan for entry in models])
    return figure


def look(models: Sequence[Entry], shown: Sequence[Entry]) -> dict[str, Style]:
    """How each model that is shown is drawn, by its place among all."""
    names = [entry.row.model for entry in models]
    styles = {}
    for entry in shown:
        i = names.index(entry.row.model)
        line = ("-", "--", ":")[i // len(COLOURS) % 3]
        styles[names[i]] = Style(COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)], line)
    return styles


def canvas(
    styles: Mapping[str, Style], size: Size, columns: int = 1
) -> tuple["Figure", list["Axes"]]:
    """Axes beside each other, which share y, below a legend that never covers them."""
    from matplotlib import rcParams
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    em = rcParams["font.size"] / 72  # inches; a letter is 0.58 of it, the marker of an entry 4.5
    beside = max(1, int(size[0] / (em * (4.5 + 0.58 * max(map(len, styles))))))
    rows = math.ceil(len(styles) / beside)
    figure = Figure(figsize=(size[0], size[1] + 1.45 * em * rows), layout="constrained")
    axes = figure.subplots(1, columns, sharey=True, squeeze=False)[0]
    handles = [
        Line2D([], [], color=style.colour, marker=style.marker, ls=style.line, label=name)
        for name, style in styles.items()
    ]
    figure.legend(handles=handles, loc="outside upper left", ncols=beside, frameon=False)
    for one in axes:
        tidy(one)
    return figure, list(axes)


def tidy(axes: "Axes") -> None:
    """A light grid behind the data, and no frame but the two axes."""
    axes.grid(color=GRID, lw=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(color=GREY, which="both")
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["bottom", "left"]].set_color(GREY)


def _log_scale(axes: "Axes", values: Sequence[float]) -> None:
    """Ticks at 1, 2 and 5, of which a factor of 5 holds at least two; at 1 alone over decades."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = min(values), max(values)
    space = max(1.35, (5 * low / high) ** 0.5)
    axes.set_xscale("log")
    axes.set_xlim(low / space, high * space)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 100 * low else (1,)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


_FRAGILE = 4  # classes that the figure shows: those whose IoU at stride 8 is lowest
_CEILING_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")  # Okabe and Ito's, for all eyes
_CEILING_MARKS = "osD^"


def ceiling_figure(record: dict[str, Any]) -> "Figure":
    """mIoU and boundary mIoU, and the classes that a grid loses first, against stride."""
    from matplotlib.figure import Figure

    strides, data = list(record["strides"].values()), record["data"]
    figure = Figure(figsize=(9, 4), dpi=150, layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    at_8 = {n: v for n, v in record["strides"]["8"]["iou"].items() if v is not None}
    fragile = sorted(at_8, key=at_8.__getitem__)[:_FRAGILE]
    both = {
        "all pixels": [s["miou"] for s in strides],
        f"within {BAND} px\nof a boundary": [s["boundary_miou"] for s in strides],
    }
    _lines(left, both, "mIoU")
    _lines(right, {n: [s["iou"][n] for s in strides] for n in fragile}, "The classes lost first")
    left.set_ylabel(f"IoU, % ({data['name']} {data['split']})", fontsize=9)
    figure.suptitle("True labels, averaged on a grid and brought back", fontsize=11)
    return figure


def _lines(axes: "Axes", curves: dict[str, list[float | None]], title: str) -> None:
    """One line a curve, named at its right end, names apart by what their text needs."""
    ends = sorted((100 * (values[-1] or 0.0), name) for name, values in curves.items())
    height = -10.0
    for (end, name), colour, mark in zip(ends, _CEILING_COLOURS, _CEILING_MARKS, strict=False):
        values = [np.nan if v is None else 100 * v for v in curves[name]]
        axes.plot(STRIDES, values, color=colour, marker=mark, ms=4.5, lw=1.6, clip_on=False)
        height = max(end, height + 6)
        axes.text(STRIDES[-1] * 1.15, height, name, color=colour, fontsize=8, va="center")
    axes.set_title(title, fontsize=10, loc="left")
    axes.set_xscale("log", base=2)
    axes.set_xticks(STRIDES, [str(s) if s == 1 else f"1/{s}" for s in STRIDES])
    axes.set_xlabel("resolution of the grid", fontsize=9)
    axes.set_ylim(0, 100)
    axes.grid(color="#e8eaed", lw=0.6)
    axes.tick_params(labelsize=8, color="#9aa0a6")
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["bottom", "left"]].set_color("#9aa0a6")


def write_ceiling(record: dict[str, Any], stem: Path) -> list[Path]:
    """`stem`.json and `stem`.png."""
    paths = [stem.with_name(f"{stem.name}.{kind}") for kind in ("json", "png")]
    write_json(paths[0], record)
    save_figure(ceiling_figure(record), paths[1])
    return paths


def save_figure(figure: "Figure", path: Path) -> None:
    """Write a whole picture or nothing; the same figure gives the same bytes."""
    from matplotlib import rc_context

    draft = path.with_name(f".{path.name}.{os.getpid()}{path.suffix}")
    path.parent.mkdir(parents=True, exist_ok=True)
    dated = {"metadata": {"Date": None}} if path.suffix == ".svg" else {}
    try:
        with rc_context({"svg.hashsalt": path.name}):
            figure.savefig(draft, **dated)  # type: ignore[arg-type]
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
