"""Accuracy against cost as a picture for a README, and what all pictures of a comparison share."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from experiments.claims import Evidence
from experiments.rows import Entry, entries, pareto_front
from experiments.store import Result

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


def pareto_figure(results: list[Result], path: Path, evidence: Evidence | None = None) -> None:
    """mIoU against GMACs and against latency, a PNG of 1200 pixels width.

    Raises:
        ValueError: no finished result with costs, or results that differ in recipe, data or
            protocol.
    """
    models = entries([result for result in results if result.done and result["cost"]])
    if not models:
        raise ValueError("no finished trial with costs to draw: run a comparison first")
    path.parent.mkdir(parents=True, exist_ok=True)
    pareto(look(models, models), models, evidence, (8, 3.2)).savefig(path, dpi=150)


def pareto(
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
