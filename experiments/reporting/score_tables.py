"""Where the scores come from: classes, boundaries, other definitions, the stride ceiling."""

from collections.abc import Callable, Sequence

from rich import box
from rich.table import Table

from experiments.analysis.evidence_types import BAND
from experiments.analysis.model_summary import mean_over_seeds, summarise
from experiments.scoring.stride_ceiling import BAND as CEILING_BAND
from experiments.scoring.stride_ceiling import CeilingRecord
from experiments.trials.command_line import visible
from experiments.trials.result_types import Metrics, TrialResult
from experiments.trials.results import finished


def class_table(results: Sequence[TrialResult]) -> Table:
    """Per-class IoU in percent, a row a class; `-` where truth and prediction lack the class."""
    models = summarise(results)
    table = Table(title="IoU % per class", box=box.SIMPLE, pad_edge=False)
    table.add_column("class")
    for summary in models:
        table.add_column(summary.model, justify="right", overflow="fold")
    for name in models[0].iou if models else ():
        table.add_row(name, *(_percent(summary.iou[name]) for summary in models))
    return table


def boundary_table(results: Sequence[TrialResult]) -> Table:
    """Quality at boundaries, of thin things and of single images in percent; a row a model.

    Means over every run, with those that repeat a seed.
    """
    runs: dict[str, list[Metrics]] = {}
    for result in finished(results):
        runs.setdefault(result.label, []).append(result.metrics)
    caption = (
        f"Boundary IoU: arXiv 2103.16562; <= {BAND} px: from a true boundary; thin: objects 1-2 "
        "px wide, mean over classes; worst tenth: of the images, by their own mIoU"
    )
    if any(metrics.bands is None for seeds in runs.values() for metrics in seeds):
        caption += "; -: scored before boundaries were counted: experiments.score --again DIR"
    table = Table(title="Where it is right, %", box=box.SIMPLE, pad_edge=False, caption=caption)
    table.add_column("model", overflow="fold")
    for name in _PARTS:
        table.add_column(name, justify="right", no_wrap=True)
    for model, seeds in runs.items():
        means = [mean_over_seeds(map(value, seeds)) for value in _PARTS.values()]
        table.add_row(model, *map(_percent, means))
    return table


def _within(metrics: Metrics) -> float | None:
    bands = metrics.bands
    return bands.within[bands.pixels.index(BAND)] if bands else None


def _beyond(metrics: Metrics) -> float | None:
    bands = metrics.bands
    return bands.beyond[bands.pixels.index(BAND)] if bands else None


_PARTS: dict[str, Callable[[Metrics], float | None]] = {
    "Boundary\nIoU": lambda m: m.boundary_iou.mean if m.boundary_iou else None,
    f"mIoU\n<= {BAND} px": _within,
    f"mIoU\n> {BAND} px": _beyond,
    "thin\nrecall": lambda m: m.objects.width.recall[0] if m.objects else None,
    "image\nmean": lambda m: m.image_miou.mean if m.image_miou else None,
    "worst\ntenth": lambda m: m.image_miou.worst_decile if m.image_miou else None,
}


def variants_table(model: str, metrics: Metrics) -> Table:
    """The right mIoU, and each wrong one with how far it is off."""
    table = Table(title=f"{model} by other definitions", box=box.SIMPLE, pad_edge=False)
    table.add_column("definition")
    table.add_column("mIoU %", justify="right")
    table.add_column("points off", justify="right")
    right = metrics.miou
    table.add_row("whole split (reported)", _percent(right, 2), "")
    for name, value in metrics.miou_variants.items():
        off = "-" if value is None or right is None else f"{100 * (value - right):+.2f}"
        table.add_row(name, _percent(value, 2), off)
    return table


def markdown_name(name: str) -> str:
    """A name as code in a cell of a Markdown table, which ends at a bar and at a line's end."""
    text = visible(" ".join(name.split())).replace("`", "'").replace("|", r"\|")
    return f"`{text}`"


def _percent(fraction: float | None, digits: int = 1) -> str:
    return "-" if fraction is None else f"{100 * fraction:.{digits}f}"


def ceiling_table(record: CeilingRecord) -> Table:
    """Percent by stride: mIoU, mIoU at boundaries, and each class."""
    data, strides = record.data, record.strides.values()
    shown = Table(
        title=f"Stride ceiling of {data.name} {data.split}, {data.num_images} images, %",
        title_justify="left",
    )
    shown.add_column("IoU after stride")
    for stride in record.strides:
        shown.add_column(str(stride), justify="right")
    lines = {
        "mIoU": [scores.miou for scores in strides],
        f"mIoU within {CEILING_BAND} px of a boundary": [s.boundary_miou for s in strides],
        **{name: [scores.iou[name] for scores in strides] for name in data.classes},
    }
    for i, (name, values) in enumerate(lines.items()):
        shown.add_row(name, *map(_percent, values), end_section=i == 1)
    return shown
