"""Accuracy against cost as a picture for a README."""

from itertools import pairwise, product
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.rows import Entry, entries, pareto_front
from experiments.store import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Annotation

DPI = 150


def pareto_figure(results: list[Result], path: Path) -> None:
    """mIoU against GMACs and against latency, a PNG of 1200x600 pixels.

    Raises:
        ValueError: no finished result, or results that differ in recipe, data or protocol.
    """
    from matplotlib.figure import Figure

    models = entries(results)
    if not models:
        raise ValueError("no finished trial to draw: run a comparison first")
    cost, data = models[0].trials[0]["cost"], models[0].trials[0]["data"]
    figure = Figure(figsize=(8, 4), dpi=DPI, layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    left.set_xscale("log")
    left.set_ylabel(f"mIoU, % ({data['name'].split(':')[0]} {data['split']})", fontsize=9)
    left.set_xlabel("GMACs at {}x{} (log scale)".format(*cost["size"]), fontsize=9)
    right.set_xlabel(f"Latency, ms ({cost['device']}, {cost['threads']} threads)", fontsize=9)
    labels = [_bubbles(left, models, "gmacs"), _bubbles(right, models, "latency_ms")]
    figure.draw_without_rendering()  # labels are placed by pixels, so the layout comes first
    for axes, texts in zip((left, right), labels, strict=True):
        _place(axes, texts)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def _bubbles(axes: "Axes", models: list[Entry], field: str) -> list[tuple["Annotation", float]]:
    """Draw points and front; returns a label on every point with the bubble's radius in points."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    costs = [getattr(entry.row, field) for entry in models]
    miou = [100 * entry.row.miou for entry in models]
    params = [entry.row.params_m or 0.0 for entry in models]
    front = pareto_front(costs, miou)
    steps = [i for i in front for _ in range(2)]  # right at one's height, then up to the next
    axes.plot([costs[i] for i in steps[1:]], [miou[i] for i in steps[:-1]], "#9aa0a6", lw=0.8)
    areas = [max(600 * value / max(params), 12) for value in params]  # square points
    axes.scatter(costs, miou, areas, "#0072B2", alpha=0.75, edgecolors="white", zorder=3)
    axes.margins(x=0.2, y=0.2)
    axes.grid(color="#e8eaed", lw=0.6)
    axes.tick_params(labelsize=8, color="#9aa0a6", which="both")
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["bottom", "left"]].set_color("#9aa0a6")
    axes.set_axisbelow(True)
    if axes.get_xscale() == "log":
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
    labels = []
    for entry, x, y, area in zip(models, costs, miou, areas, strict=True):
        text = f"{entry.row.model}\n{entry.row.params_m:.1f} M params".replace(":", "\n")
        label = axes.annotate(text, (x, y), (0, 0), textcoords="offset points", fontsize=7.5)
        label.set_in_layout(False)
        labels.append((label, area**0.5 / 2))
    return labels


def _place(axes: "Axes", labels: list[tuple["Annotation", float]]) -> None:
    """Move each label to the nearest of 32 places at its point that covers the least."""
    from matplotlib.transforms import Bbox

    frame, pixels = axes.get_window_extent(), DPI / 72
    centres = axes.transData.transform([label.xy for label, _ in labels])
    taken = [
        Bbox([centre - radius * pixels, centre + radius * pixels])
        for centre, (_, radius) in zip(centres, labels, strict=True)
    ]
    front = axes.transData.transform(axes.lines[0].get_xydata())
    taken += [Bbox([a, b]).padded(1) for a, b in pairwise(front)]

    def move(label: "Annotation", radius: float, gap: int, way: tuple[int, int]) -> float:
        """Pixels that the label covers or that are cut off there."""
        label.set_position(((radius + gap) * way[0], (radius + gap) * way[1]))
        label.set_horizontalalignment(("center", "left", "right")[way[0]])
        label.set_verticalalignment(("center", "bottom", "top")[way[1]])
        box = label.get_window_extent()
        shared = [Bbox.intersection(box, other) for other in taken]
        inside = Bbox.intersection(box, frame)
        cut = box.width * box.height - (inside.width * inside.height if inside else 0)
        return cut + sum(both.width * both.height for both in shared if both)

    ways = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1))
    for label, radius in labels:
        places = list(product((2, 8, 16, 26), ways))
        best = min(places, key=lambda place: move(label, radius, *place))
        move(label, radius, *best)
        taken.append(label.get_window_extent())
