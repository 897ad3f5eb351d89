"""The one style of all plots: colours, markers, grid, legend, and how a picture gets to disk."""

import math
import warnings
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from experiments.analysis.model_summary import ModelSummary
from experiments.reporting.fonts import show_every_letter
from experiments.trials.atomic_io import write_bytes

if TYPE_CHECKING:  # matplotlib is imported where a figure is drawn, so that --help needs none
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


def look(models: Sequence[ModelSummary], shown: Sequence[ModelSummary]) -> dict[str, Style]:
    """How each model that is shown is drawn, by its place among all."""
    names = [summary.model for summary in models]
    styles = {}
    for summary in shown:
        i = names.index(summary.model)
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


def log_cost(axes: "Axes", values: Sequence[float]) -> None:
    """Ticks at 1, 2 and 5, of which a factor of 5 holds at least two; at 1 alone over decades."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = min(values), max(values)
    space = max(1.35, (5 * low / high) ** 0.5)
    axes.set_xscale("log")
    axes.set_xlim(low / space, high * space)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 100 * low else (1,)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def save_figure(figure: "Figure", path: Path, dpi: float | None = None) -> None:
    """Write a whole picture or nothing; the same figure gives the same bytes.

    Args:
        path: its suffix names the format.
        dpi: of pixels; None takes the figure's own.

    Raises:
        ValueError: a suffix that names no format.
    """
    from matplotlib import rc_context

    kind = path.suffix.removeprefix(".").lower()
    known = figure.canvas.get_supported_filetypes()
    if kind not in known:
        raise ValueError(f"{path} has no suffix of a picture: name it .png, .svg or .pdf")
    dated = {"Date": None} if kind == "svg" else None
    with rc_context({"svg.hashsalt": path.name}):
        write_bytes(path, drawn_as(figure, kind, dpi or figure.dpi, dated))


def drawn_as(
    figure: "Figure", kind: str, dpi: float | None, metadata: Mapping[str, None] | None
) -> bytes:
    """The figure as a file of a format, with fonts for all its letters."""
    show_every_letter(figure)
    buffer = BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")  # it has been said
        figure.savefig(buffer, format=kind, dpi=dpi or "figure", metadata=metadata)
    return buffer.getvalue()
