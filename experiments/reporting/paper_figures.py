"""Figures of a comparison for a paper: 8 pt text, a column (3.4 in) or the text (7 in) wide.

Each is None where the results do not hold what it shows. A model has the same colour and marker in
all of them, by its rank. Nothing is drawn as pixels, and text stays text.
"""

import math
import statistics
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from experiments.analysis.evidence_types import BandEvidence, Evidence
from experiments.analysis.intervals import Interval
from experiments.analysis.model_summary import ModelSummary
from experiments.reporting.plots import COLOURS, GREY, GRID, canvas, drawn_as, look, tidy
from experiments.reporting.readme_figures import pareto_axes
from experiments.trials.result_types import PositionPrior

if TYPE_CHECKING:  # matplotlib is imported where a figure is drawn, so that --help needs none
    from matplotlib.figure import Figure

COLUMN, TEXT = 3.4, 7.0  # inches, as in the usual two-column styles
MAX_CLASSES = 40  # of a heat map that can be read at the width of the text
MAX_PAIRS = 45  # of ten models, which fill a page
SETTINGS = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.linewidth": 0.6,
    "lines.linewidth": 1.2,
    "lines.markersize": 4,
    "pdf.fonttype": 42,  # TrueType: publishers refuse matplotlib's own Type 3
    "svg.fonttype": "none",
    "svg.hashsalt": "comparison",  # else ids are random
}


def paper_figures(
    models: Sequence[ModelSummary], evidence: Evidence, prior: PositionPrior | None
) -> dict[str, bytes]:
    """Every figure that the results support as PDF and as SVG, by file name.

    The same results give the same bytes.

    Args:
        models: best first.
    """
    from matplotlib import rc_context

    files = {}
    with rc_context(SETTINGS):  # type: ignore[arg-type]
        for name, figure in drawn(models, evidence, prior).items():
            files[f"{name}.pdf"] = drawn_as(figure, "pdf", None, {"CreationDate": None})
            files[f"{name}.svg"] = drawn_as(figure, "svg", None, {"Date": None})
    return files


def drawn(
    models: Sequence[ModelSummary], evidence: Evidence, prior: PositionPrior | None
) -> dict[str, "Figure"]:
    figures = {
        "pareto": _pareto(models, evidence),
        "learning": learning(models),
        "bands": bands(models, evidence),
        "thinness": thinness(models),
        "classes": classes(models, prior),
        "pairs": pairs(evidence),
    }
    return {name: figure for name, figure in figures.items() if figure is not None}


def _percent(fractions: Sequence[float | None]) -> float:
    """Their mean; NaN, which leaves a gap, where there is none."""
    present = [100 * value for value in fractions if value is not None]
    return statistics.fmean(present) if present else math.nan


def _points(interval: Interval | None) -> tuple[float, float, float]:
    """Value, low and high in percent; NaN for what is not known."""
    if interval is None:
        return math.nan, math.nan, math.nan
    value, low, high = (_percent([x]) for x in (interval.value, interval.low, interval.high))
    return value, low, high


def _pareto(models: Sequence[ModelSummary], evidence: Evidence) -> "Figure | None":
    costly = [summary for summary in models if summary.gmacs is not None]
    return pareto_axes(look(models, costly), costly, evidence, (TEXT, 2.4)) if costly else None


def learning(models: Sequence[ModelSummary]) -> "Figure | None":
    """mIoU on the validation split over training: the mean of the seeds, and their range."""
    curves = {summary.model: _validation(summary) for summary in models}
    known = [summary for summary in models if len(curves[summary.model]) > 1]
    if not known:
        return None
    styles = look(models, known)
    figure, (axes,) = canvas(styles, (COLUMN, 2.2))
    for model, style in styles.items():
        steps, values = zip(*curves[model].items(), strict=True)
        mean, every = [statistics.fmean(v) for v in values], math.ceil(len(steps) / 10)
        axes.plot(steps, mean, style.line, color=style.colour, marker=style.marker, markevery=every)
        low, high = [min(v) for v in values], [max(v) for v in values]
        axes.fill_between(steps, low, high, color=style.colour, alpha=0.2, lw=0)
    several = any(summary.num_seeds > 1 for summary in known)
    axes.set_xlabel("Training step" + " (shaded: range of the seeds)" * several)
    axes.set_ylabel("Validation mIoU, %")
    return figure


def _validation(summary: ModelSummary) -> dict[int, list[float]]:
    """mIoU in percent of each seed, by the steps at which all seeds have one."""
    seeds = [dict(trial.curve.val) for trial in summary.trials]
    steps = sorted(set.intersection(*map(set, seeds)))
    return {step: [100 * seed[step] for seed in seeds] for step in steps}


def bands(models: Sequence[ModelSummary], evidence: Evidence) -> "Figure | None":
    """mIoU of the pixels within d pixels of a true boundary, and of those beyond."""
    counted = {m.model: m.bands for m in evidence.models if m.bands is not None}
    known = [summary for summary in models if summary.model in counted]
    if not known:
        return None
    styles = look(models, known)
    figure, axes = canvas(styles, (COLUMN, 2.2), columns=2)
    sides: dict[str, Callable[[BandEvidence], Sequence[Interval | None]]] = {
        "within": lambda bands: bands.within,
        "beyond": lambda bands: bands.beyond,
    }
    for one, (name, side) in zip(axes, sides.items(), strict=True):
        one.set_title(f"{name} d pixels")
        one.set_xscale("log")
        for model, style in styles.items():
            pixels = counted[model].pixels
            points = [_points(score) for score in side(counted[model])]
            value, low, high = zip(*points, strict=True)
            one.plot(pixels, value, style.line, color=style.colour, marker=style.marker, ms=3)
            one.fill_between(pixels, low, high, color=style.colour, alpha=0.15, lw=0)
        one.set_xticks(counted[known[0].model].pixels, map(str, counted[known[0].model].pixels))
        one.minorticks_off()
        one.set_xlabel("d")
    axes[0].set_ylabel("mIoU, %")
    return figure


def thinness(models: Sequence[ModelSummary]) -> "Figure | None":
    """Share of the pixels of objects that are found, by the objects' inscribed width."""
    counted = {
        summary.model: [t.metrics.objects.width for t in summary.trials if t.metrics.objects]
        for summary in models
    }
    known = [summary for summary in models if len(counted[summary.model]) == summary.num_seeds]
    if not known:
        return None
    styles = look(models, known)
    figure, (axes,) = canvas(styles, (COLUMN, 2.2))
    first = counted[known[0].model][0]
    edges, places = [1, *first.edges], range(len(first.objects))
    names = [f"{a:g}\N{EN DASH}{b - 1:g}" for a, b in pairwise(edges)] + [f"{edges[-1]:g} or more"]
    for model, style in styles.items():
        seeds = [bins.recall for bins in counted[model]]
        means = [_percent(values) for values in zip(*seeds, strict=True)]
        axes.plot(places, means, style.line, color=style.colour, marker=style.marker)
    ticks = [f"{name}\n({count:,})" for name, count in zip(names, first.objects, strict=True)]
    axes.set_xticks(places, ticks)
    axes.set_xlabel("Width of an object, pixels (number of objects)")
    axes.set_ylabel("Recall of their pixels, %")
    axes.set_ylim(0, 100)
    return figure


def classes(models: Sequence[ModelSummary], prior: PositionPrior | None) -> "Figure | None":
    """IoU of every class as a heat map with numbers."""
    from matplotlib.figure import Figure

    names = list(models[0].iou) if models else []
    if not 0 < len(names) <= MAX_CLASSES:
        return None
    shown = {summary.model: summary.iou for summary in models}
    if prior is not None:
        shown["position prior"] = prior.metrics.iou
    values = [[_percent([row.get(name)]) for name in names] for row in shown.values()]
    figure = Figure(figsize=(TEXT, 0.9 + 0.22 * len(shown)), layout="constrained")
    axes = figure.subplots()
    axes.pcolormesh(values, cmap="cividis", vmin=0, vmax=100, edgecolors="white", lw=0.8)
    digits = 1 if len(names) <= 12 else 0
    for i, row in enumerate(values):
        for j, value in enumerate(row):
            text = "\N{EN DASH}" if math.isnan(value) else f"{value:.{digits}f}"
            # From about 55 % on, cividis is lighter than mid grey.
            colour = "white" if value < 55 else "black"
            axes.text(j + 0.5, i + 0.5, text, color=colour, ha="center", va="center", fontsize=7)
    axes.set_yticks([i + 0.5 for i in range(len(shown))], shown)
    axes.set_xticks([j + 0.5 for j in range(len(names))], names, rotation=40, ha="left")
    axes.xaxis.tick_top()
    axes.invert_yaxis()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return figure


def pairs(evidence: Evidence) -> "Figure | None":
    """Differences of mIoU with their intervals, a row a pair; filled where it is settled."""
    from matplotlib.figure import Figure

    known = [p for p in evidence.pairs if p.difference.low is not None]
    if not 0 < len(known) <= MAX_PAIRS:
        return None
    figure = Figure(figsize=(TEXT, 0.7 + 0.2 * len(known)), layout="constrained")
    axes = figure.subplots()
    tidy(axes)
    axes.grid(visible=False, axis="y")
    edge = 100 * evidence.margin
    axes.axvspan(-edge, edge, color=GRID, lw=0)
    axes.axvline(0, color=GREY, lw=0.8)
    numbers = []
    for i, pair in enumerate(known):
        value, low, high = _points(pair.difference)
        open_ = pair.verdict.kind == "cannot be told apart"
        axes.plot([low, high], [i, i], color=COLOURS[0])
        axes.plot(value, i, "o", color=COLOURS[0], mfc="white" if open_ else COLOURS[0])
        numbers.append(f"{value:+.1f} [{low:.1f}, {high:.1f}]")
    axes.set_yticks(range(len(known)), [f"{p.a} \N{MINUS SIGN} {p.b}" for p in known])
    axes.set_ylim(len(known) - 0.5, -0.5)
    axes.set_xlabel(f"Difference of mIoU, points (grey: margin of \N{PLUS-MINUS SIGN}{edge:g})")
    right = axes.secondary_yaxis("right")
    right.set_yticks(range(len(known)), numbers)
    for side in (axes, right):
        side.tick_params(axis="y", length=0, labelsize=7)
    right.spines[:].set_visible(False)
    return figure
