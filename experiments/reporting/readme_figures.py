"""Pictures for a README: accuracy against cost, and what a grid keeps of a data set's labels."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from experiments.analysis.evidence_types import Evidence
from experiments.analysis.model_summary import BEST_FIRST, ModelSummary, on_one_hardware, summarise
from experiments.analysis.pareto import pareto_front
from experiments.reporting.plots import (
    COLOURS,
    GREY,
    Size,
    Style,
    canvas,
    log_cost,
    look,
    save_figure,
    tidy,
)
from experiments.scoring.stride_ceiling import BAND, STRIDES, CeilingRecord
from experiments.trials.result_types import FinishedTrial, TrialResult
from experiments.trials.results import write_record

if TYPE_CHECKING:  # matplotlib is imported where a figure is drawn, so that --help needs none
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_FRAGILE = 4  # classes that the ceiling shows: those whose IoU at stride 8 is lowest
_CEILING_MARKERS = ("o", "s", "D", "^")


def pareto_figure(
    results: Sequence[TrialResult], path: Path, evidence: Evidence | None = None
) -> None:
    """mIoU against GMACs and against latency, a PNG of 1200 pixels width.

    Raises:
        ValueError: no finished result with costs, or results that differ in recipe, data or
            protocol.
    """
    costed = [result for result in results if isinstance(result, FinishedTrial) and result.cost]
    models = summarise(costed, order=BEST_FIRST)
    if not models:
        raise ValueError("no finished trial with costs to draw: run a comparison first")
    save_figure(pareto_axes(look(models, models), models, evidence, (8, 3.2)), path, dpi=150)


def pareto_axes(
    styles: Mapping[str, Style],
    models: Sequence[ModelSummary],
    evidence: Evidence | None,
    size: Size,
) -> "Figure":
    """mIoU, with its interval where there is one, against GMACs and latency; the Pareto front.

    Args:
        models: those that have costs.
    """
    figure, axes = canvas(styles, size, columns=2)
    first = models[0].trials[0]
    assert first.cost is not None
    axes[0].set_ylabel(f"mIoU, % ({first.data.name.split(':')[0]} {first.data.split})")
    untrained = evidence.did_not_train if evidence else {}
    ranked = [i for i, summary in enumerate(models) if summary.model not in untrained]
    miou = [100 * summary.miou for summary in models]
    gmacs = [_known(summary.gmacs) for summary in models]
    if not on_one_hardware(models, "latency_ms"):
        raise ValueError(
            "latencies of different hardware share no figure: time them again on one, with "
            "python -m experiments.cost --again RESULTS"
        )
    for one, costs in zip(axes, (gmacs, [_known(m.latency_ms) for m in models]), strict=True):
        front = pareto_front([costs[i] for i in ranked], [miou[i] for i in ranked])
        steps = [ranked[place] for place in front for _ in range(2)]  # right, then up
        one.plot([costs[i] for i in steps[1:]], [miou[i] for i in steps[:-1]], color=GREY, lw=0.8)
        for summary, x, y in zip(models, costs, miou, strict=True):
            style = styles[summary.model]
            known = evidence.model(summary.model) if evidence else None
            if known and known.miou.low is not None and known.miou.high is not None:
                one.plot([x, x], [100 * known.miou.low, 100 * known.miou.high], color=style.colour)
            one.plot(x, y, color=style.colour, marker=style.marker)
    cost = first.cost
    axes[0].set_xlabel("GMACs at {}x{} (log scale)".format(*cost.size))
    axes[1].set_xlabel(f"Latency, ms ({cost.device}, {cost.threads} threads)")
    log_cost(axes[0], gmacs)
    return figure


def _known(cost: float | None) -> float:
    assert cost is not None
    return cost


def write_ceiling(record: CeilingRecord, stem: Path) -> list[Path]:
    """`stem`.json and `stem`.png."""
    paths = [stem.with_name(f"{stem.name}.{kind}") for kind in ("json", "png")]
    write_record(paths[0], record)
    save_figure(ceiling_figure(record), paths[1])
    return paths


def ceiling_figure(record: CeilingRecord) -> "Figure":
    """mIoU and boundary mIoU, and the classes that a grid loses first, against stride."""
    from matplotlib.figure import Figure

    strides = record.strides.values()
    figure = Figure(figsize=(9, 4), dpi=150, layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    at_8 = {name: iou for name, iou in record.strides[8].iou.items() if iou is not None}
    fragile = sorted(at_8, key=at_8.__getitem__)[:_FRAGILE]
    both = {
        "all pixels": [scores.miou for scores in strides],
        f"within {BAND} px\nof a boundary": [scores.boundary_miou for scores in strides],
    }
    _lines(left, both, "mIoU")
    lost = {name: [scores.iou[name] for scores in strides] for name in fragile}
    _lines(right, lost, "The classes lost first")
    left.set_ylabel(f"IoU, % ({record.data.name} {record.data.split})", fontsize=9)
    figure.suptitle("True labels, averaged on a grid and brought back", fontsize=11)
    return figure


def _lines(axes: "Axes", curves: Mapping[str, Sequence[float | None]], title: str) -> None:
    """One line a curve, named at its right end, names apart by what their text needs."""
    ends = sorted((100 * (values[-1] or 0.0), name) for name, values in curves.items())
    height = -10.0
    for (end, name), colour, marker in zip(ends, COLOURS, _CEILING_MARKERS, strict=False):
        values = [np.nan if v is None else 100 * v for v in curves[name]]
        axes.plot(STRIDES, values, color=colour, marker=marker, ms=4.5, lw=1.6, clip_on=False)
        height = max(end, height + 6)
        axes.text(STRIDES[-1] * 1.15, height, name, color=colour, fontsize=8, va="center")
    axes.set_title(title, fontsize=10, loc="left")
    axes.set_xscale("log", base=2)
    axes.set_xticks(STRIDES, [str(s) if s == 1 else f"1/{s}" for s in STRIDES])
    axes.set_xlabel("resolution of the grid", fontsize=9)
    axes.set_ylim(0, 100)
    tidy(axes)
    axes.tick_params(labelsize=8)
