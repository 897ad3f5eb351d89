"""The lecture in one picture: at which resolution, and how wide, networks look at an image."""

import math
from collections import defaultdict

from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PatchCollection
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from experiments.costs.layer_trace import Layer, Trace

# Okabe and Ito's colours, which also differ in grey; the height says the same.
FINE, COARSE, VECTOR, FLOW, TEXT = "#0072B2", "#E69F00", "#777777", "#b4b8bd", "#5f6368"
FIRST_COARSE = 8  # strides from here up have the coarse colour
PER_ROW = 4  # panels
BOTTOM = 6  # the step of vectors, below 1/32
FULL_HEIGHT = 2048  # channels that fill 0.8 of a step of the ladder; heights go by square roots
_READING = (
    "Left to right: depth, by the longest path. Top to bottom: resolution. "
    "Thickness: √channels. On the right: share of the multiply-adds.\n"
)


def _row(network: Trace, layer: Layer) -> float:
    """Height on the ladder: log2 of the stride, and its last step for what has hardly a place."""
    row = math.log2(network.stride(layer))
    return BOTTOM if layer.cells == 1 or row > BOTTOM - 0.5 else row


def _height(channels: int) -> float:
    return min(0.9, 0.8 * math.sqrt(channels / FULL_HEIGHT))


def _flows(layers: list[Layer], rows: list[float]) -> set[tuple[int, int]]:
    """Pairs (source, reader): all within a step, and from another step none that is also indirect.

    So a skip at one resolution stays, while the sum of many residual units, which comes from all
    of them, reaches another step from the last unit alone.
    """
    before: list[frozenset[int]] = []
    pairs = set()
    for reader, layer in enumerate(layers):
        indirect = frozenset[int]().union(*(before[i] for i in layer.sources))
        before.append(layer.sources | indirect)
        level = {i for i in layer.sources if rows[i] == rows[reader]}
        pairs |= {(i, reader) for i in level | (layer.sources - indirect)}
    return pairs


def _panel(axes: Axes, title: str, network: Trace) -> None:
    """Bars at (depth, stride) as high as they are wide, over lines for who reads whom."""
    layers = network.layers
    step = 1 / max(layer.depth for layer in layers)
    rows = [_row(network, layer) for layer in layers]
    places = [((layer.depth - 0.5) * step, y) for layer, y in zip(layers, rows, strict=True)]
    lines = sorted({(places[i], places[j]) for i, j in _flows(layers, rows)})
    axes.add_collection(LineCollection(lines, colors=FLOW, linewidths=0.9, zorder=1))
    widest: dict[tuple[float, float], int] = defaultdict(int)
    for layer, place in zip(layers, places, strict=True):
        widest[place] = max(widest[place], layer.channels)
    bars = [
        Rectangle((x - step / 2, y - _height(channels) / 2), step, _height(channels))
        for (x, y), channels in widest.items()
    ]
    colours = [_colour(y) for _, y in widest]
    axes.add_collection(PatchCollection(bars, fc=colours, ec="none", zorder=2))
    _label(axes, title, network)


def _colour(row: float) -> str:
    if row == BOTTOM:
        return VECTOR
    return FINE if round(row) < math.log2(FIRST_COARSE) else COARSE


def _label(axes: Axes, title: str, network: Trace) -> None:
    """Title, steps on the left, and on the right the share of multiply-adds of each step."""
    steps = range(BOTTOM + 1)
    work: dict[int, int] = defaultdict(int)
    for layer in network.layers:
        work[round(_row(network, layer))] += layer.macs
    total = sum(work.values())
    axes.set_xlim(-0.01, 1.01)
    axes.set_ylim(BOTTOM + 0.55, -0.45)
    axes.set_xticks([])
    axes.set_yticks(steps, ["1", *(f"1/{2**step}" for step in steps[1:-1]), "vector"])
    axes.tick_params(labelsize=8, length=0, colors=TEXT)
    axes.hlines(steps, -0.01, 1.01, "#eceef0", lw=0.8, zorder=0)
    axes.spines[:].set_visible(False)
    for step, macs in work.items():
        share = 100 * macs / total
        text = f"{share:.0f} %" if share >= 0.5 else "<1 %"
        axes.text(1.03, step, text, fontsize=7.5, color=TEXT, va="center")
    height, width = network.size
    axes.set_title(title.replace(":", "\n"), loc="left", fontsize=11, weight="bold", pad=18)
    facts = f"{height}×{width}, {len(network.layers)} layers, {_macs(total)} multiply-adds"
    axes.annotate(facts, (0, 1), (0, 5), "axes fraction", "offset points", fontsize=8, color=TEXT)


def _macs(macs: int) -> str:
    return f"{macs / 1e9:.{1 if macs < 1e11 else 0}f} G" if macs >= 1e8 else f"{macs / 1e6:.1f} M"


def _legend(figure: Figure) -> None:
    """How to read a panel; its bars are as high as those of the panels."""
    samples = {c: Line2D([], [], color=FINE, solid_capstyle="butt") for c in (64, 256, 1024)}
    entries = {
        **{f"{channels} channels": line for channels, line in samples.items()},
        "maps of 1/4 and finer": Patch(color=FINE),
        "1/8 and coarser": Patch(color=COARSE),
        "vectors, or beyond 1/32": Patch(color=VECTOR),
        "a layer reads another": Line2D([], [], color=FLOW),
    }
    legend = figure.legend(
        list(entries.values()),
        list(entries),
        ncols=len(entries),
        loc="outside lower center",
        frameon=False,
        fontsize=9,
        labelcolor=TEXT,
        title=_READING,
        title_fontsize=9,
    )
    legend.get_title().set_color(TEXT)
    figure.draw_without_rendering()  # sizes follow from the layout
    panel = figure.axes[0].get_window_extent().height * 72 / figure.dpi
    for line, channels in zip(legend.legend_handles, samples, strict=False):
        assert isinstance(line, Line2D)
        line.set_linewidth(_height(channels) * panel / (BOTTOM + 1))


def draw(ancestors: dict[str, Trace], networks: dict[str, Trace]) -> Figure:
    """Four ancestors in the first row, the networks in rows of at most four below."""
    layout = ConstrainedLayoutEngine(wspace=0.05, hspace=0.03)
    per_row = math.ceil(len(networks) / math.ceil(len(networks) / PER_ROW))
    names = list(networks)
    rows = [list(ancestors), *(names[i : i + per_row] for i in range(0, len(names), per_row))]
    figure = Figure(figsize=(13.33, 3.5 * len(rows) + 0.5), dpi=150, layout=layout)
    grid = figure.add_gridspec(len(rows), math.lcm(len(ancestors), per_row))
    for y, row in enumerate(rows):
        wide = grid.ncols // (len(ancestors) if y == 0 else per_row)
        for x, name in enumerate(row):
            axes = figure.add_subplot(grid[y, x * wide : (x + 1) * wide])
            _panel(axes, name, {**ancestors, **networks}[name])
    _legend(figure)
    return figure
