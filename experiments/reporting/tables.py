"""The comparison as tables for a terminal or a README."""

import statistics
from collections.abc import Callable, Sequence, Set
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table

from experiments.analysis.evidence_types import BAND, Evidence, ModelEvidence
from experiments.analysis.intervals import Interval, Target
from experiments.analysis.model_summary import COLUMNS, NO_PATHS, diverged, rows
from experiments.trials.reference import published_cost
from experiments.trials.result_types import TrialResult
from experiments.trials.trial import Trial

if TYPE_CHECKING:  # it brings torch
    from experiments.costs.training_estimate import TrainingEstimate

TARGETS: dict[Target, str] = {
    "checkpoints": "for these trained networks on other such images",
    "seeds": "for new training runs on other such images",
}


def paper_table(results: list[TrialResult]) -> Table | None:
    """Row 0: published parameters and GFLOPs of the compared networks, and ours counted alike."""
    table = Table(
        title="Published cost at 1024x2048, 19 classes; GFLOPs are the paper's, MACs / 2^30",
        box=box.SIMPLE,
        caption="arXiv 1908.07919 Table III and the authors' README; their mIoU is on other data",
    )
    table.add_column("model", overflow="fold")
    for name in ("params M", "GFLOPs", "ours: params M", "GFLOPs"):
        table.add_column(name, justify="right")
    shown: set[str] = set()
    for result in results:
        theirs = published_cost(result["model"])
        if not result.done or not result["cost"] or not theirs or result["model"] in shown:
            continue
        shown.add(result["model"])
        ours = result["cost"]
        table.add_row(
            result["model"],
            f"{theirs['params_m']:.1f}",
            f"{theirs['paper_gflops_1024x2048']:.1f}",
            f"{ours['params_paper'] / 1e6:.2f}",
            f"{ours['paper_gflops_1024x2048']:.1f}",
        )
    if "deeplabv3p" in shown:
        table.caption = f"{table.caption}; its DeepLabv3+ counts stride 8 (1373.5 here), not 16"
    return table if shown else None


def main_table(
    results: list[TrialResult], stale: Set[str] = NO_PATHS, evidence: Evidence | None = None
) -> Table:
    """A row a model, then failed trials; fits 80 columns.

    With evidence, mIoU has its 95 % interval, and rows that cannot be told apart from the best are
    dim, with a sign for files that have no colours.
    """
    first = next((r for r in results if r.done and r["cost"]), None)
    table = Table(
        title=_title(first or next((r for r in results if r.done), None)),
        box=box.SIMPLE,
        pad_edge=False,
        collapse_padding=True,  # room for the names of models and of files of weights
        caption="\n".join(filter(None, (conditions(first), _evidence_caption(evidence)))),
    )
    table.add_column("model\ninitial weights", overflow="fold", min_width=15)
    for name in COLUMNS:
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows(results, stale):
        *costs, miou = row.cells()
        known = evidence and evidence.model(row.model)
        table.add_row(
            f"{row.model}\n{row.init}",
            *costs,
            _with_interval(miou, known) if known else miou,
            style="dim" if known and (known.indistinguishable or known.did_not_train) else None,
        )
    for result in results:
        if not result.done:
            again = f" again ({result['repeat']})" if result.record.get("repeat") else ""
            failure = "did not\ntrain" if diverged(result) else "failed"
            table.add_row(
                f"{result.label} seed {result['seed']}{again}", *["-"] * 5, failure, style="dim"
            )
    return table


def _title(result: TrialResult | None) -> str:
    """What was scored, how it was predicted, and at which size costs were taken."""
    if result is None:
        return "No trial has finished"
    recipe, data, cost = result["recipe"]["name"], result["data"], result["cost"]
    scored = f"{data['name'].split(':')[0]} {data['split']}, {data['num_images']} images"
    mode = result["protocol"].get("mode", "protocol unknown")
    at = f", costs at {cost['size'][0]}x{cost['size'][1]}" if cost else ""
    return f"{scored if recipe == 'unknown' else f'{recipe}: {scored}'}{at}\n{mode}"


def _with_interval(miou: str, known: ModelEvidence) -> str:
    if known.did_not_train:
        return f"{miou}\ndid not train"
    return f"{'~' * known.indistinguishable}{miou}\n{bounds(known.miou)}"


def _evidence_caption(evidence: Evidence | None) -> str:
    """What the signs of the evidence mean, as far as there are any."""
    shown = evidence.models if evidence else ()
    lines = []
    if evidence and any(model.miou.low is not None for model in shown):
        lines.append(f"[ ]: 95 % interval {TARGETS[evidence.target]}")
    if evidence and any(model.indistinguishable for model in shown):
        lines.append("~ and dim: cannot be told apart from the best, or equivalent to it")
    return "\n".join(lines)


def bounds(interval: Interval, form: str = "[{:.1f}, {:.1f}]") -> str:
    """A 95 % interval in percent; empty where there is none."""
    if interval.low is None or interval.high is None:
        return ""
    return form.format(100 * interval.low, 100 * interval.high)


def conditions(result: TrialResult | None) -> str:
    """How seconds and memory were measured, which a figure without it would not say."""
    if result is None:
        return ""
    cost, environment = result["cost"], result["environment"]
    # Latency may have been taken again, alone on all cores, after trials ran side by side.
    where = f"{cost['threads']} CPU threads" if cost["device"] == "cpu" else environment["device"]
    return (
        f"lat: one image, {cost['precision']}, {where}; train: "
        f"{environment['jobs']} at a time; mem: {cost['peak_memory_kind']}"
    )


def class_table(results: list[TrialResult]) -> Table:
    """Per-class IoU in percent, a row a class; `-` where truth and prediction lack the class."""
    shown = rows(results)
    table = Table(title="IoU % per class", box=box.SIMPLE, pad_edge=False)
    table.add_column("class")
    for row in shown:
        table.add_column(row.model, justify="right", overflow="fold")
    for name in shown[0].iou if shown else ():
        values = [row.iou[name] for row in shown]
        table.add_row(name, *("-" if v is None else f"{100 * v:.1f}" for v in values))
    return table


def boundary_table(results: list[TrialResult]) -> Table:
    """Quality at boundaries, of thin things and of single images in percent; a row a model."""
    columns: dict[str, Callable[[dict[str, Any]], float | None]] = {
        "Boundary\nIoU": lambda m: m["boundary_iou"]["mean"],
        f"mIoU\n<= {BAND} px": lambda m: m["bands"]["within"][m["bands"]["pixels"].index(BAND)],
        f"mIoU\n> {BAND} px": lambda m: m["bands"]["beyond"][m["bands"]["pixels"].index(BAND)],
        "thin\nrecall": lambda m: m["objects"]["width"]["recall"][0],
        "image\nmean": lambda m: m["image_miou"]["mean"],
        "worst\ntenth": lambda m: m["image_miou"]["worst_decile"],
    }
    by_model: dict[str, list[dict[str, Any]]] = {}
    for result in results:
        if result.done:
            by_model.setdefault(result.label, []).append(result["metrics"])
    caption = (
        f"Boundary IoU: arXiv 2103.16562; <= {BAND} px: from a true boundary; thin: objects 1-2 "
        "px wide, mean over classes; worst tenth: of the images, by their own mIoU"
    )
    old = [name for name, seeds in by_model.items() if any("bands" not in m for m in seeds)]
    if old:
        caption += "; -: scored before boundaries were counted: experiments.score --again DIR"
    table = Table(title="Where it is right, %", box=box.SIMPLE, pad_edge=False, caption=caption)
    table.add_column("model", overflow="fold")
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    for model, seeds in by_model.items():
        cells = []
        for value in columns.values():
            found = [f for m in seeds if "bands" in m and (f := value(m)) is not None]
            cells.append(f"{100 * statistics.fmean(found):.1f}" if found else "-")
        table.add_row(model, *cells)
    return table


def markdown(
    results: list[TrialResult], prior: dict[str, float] | None, evidence: Evidence | None = None
) -> str:
    """The main table for a README.

    It has a column for the initial weights where any are trained, and with evidence one for the
    95 % interval of mIoU.
    """
    shown = rows(results)
    inits = any(row.init != "random" for row in shown)
    names = [*COLUMNS, "95 %"] if evidence else [*COLUMNS]
    lines = [
        f"| model |{' init |' * inits} {' | '.join(names)} |",
        f"|---|{'---|' * inits}{'---:|' * len(names)}",
    ]
    for row in shown:
        cells = row.cells()
        if evidence:
            known = evidence.model(row.model)
            cells.append(bounds(known.miou, "{:.1f} to {:.1f}") if known else "")
        lines.append(f"| `{row.model}` |{f' {row.init} |' * inits} {' | '.join(cells)} |")
    if prior is not None:
        last = f" {100 * prior['miou']:.1f} |{' |' * bool(evidence)}"
        lines.append(f"| position prior |{' |' * (inits + 5)}{last}")
    return "\n".join(lines)


def tables(
    results: list[TrialResult], stale: Set[str] = NO_PATHS, evidence: Evidence | None = None
) -> list[Table]:
    """Everything a terminal shows, top to bottom."""
    shown = [paper_table(results), main_table(results, stale, evidence)]
    if any(result.done for result in results):
        shown += [class_table(results), boundary_table(results)]
    return [table for table in shown if table is not None]


def plan_table(plan: Sequence[tuple[Trial, str, "TrainingEstimate"]]) -> Table:
    """Trials to come: state, and what each would take."""
    table = Table(title="plan", box=box.SIMPLE, pad_edge=False)
    table.add_column("trial", overflow="fold")
    for name in ("state", "params M", "GMACs a crop", "hours"):
        table.add_column(name, justify="right")
    for trial, state, estimate in plan:
        table.add_row(
            trial.name,
            state,
            f"{estimate.crop.params / 1e6:.2f}",
            f"{estimate.crop.gmacs:.2f}",
            f"{estimate.hours:.2g}",
        )
    return table


def variants_table(model: str, metrics: dict[str, Any]) -> Table:
    """The right mIoU, and each wrong one with how far it is off."""
    table = Table(title=f"{model} by other definitions", box=box.SIMPLE, pad_edge=False)
    table.add_column("definition")
    table.add_column("mIoU %", justify="right")
    table.add_column("points off", justify="right")
    right = metrics["miou"]
    table.add_row("whole split (reported)", _two_digits(right), "")
    for name, value in metrics["audit"].items():
        off = "-" if None in (value, right) else f"{100 * (value - right):+.2f}"
        table.add_row(name, _two_digits(value), off)
    return table


def _two_digits(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f}"


def ceiling_table(record: dict[str, Any]) -> Table:
    """Percent by stride: mIoU, mIoU at boundaries, and each class."""
    data, strides = record["data"], record["strides"].values()
    shown = Table(
        title=f"Stride ceiling of {data['name']} {data['split']}, {data['num_images']} images, %",
        title_justify="left",
    )
    shown.add_column("IoU after stride")
    for stride in record["strides"]:
        shown.add_column(stride, justify="right")
    lines = {
        "mIoU": [s["miou"] for s in strides],
        f"mIoU within {BAND} px of a boundary": [s["boundary_miou"] for s in strides],
        **{name: [s["iou"][name] for s in strides] for name in data["classes"]},
    }
    for i, (name, values) in enumerate(lines.items()):
        cells = ["-" if value is None else f"{100 * value:.1f}" for value in values]
        shown.add_row(name, *cells, end_section=i == 1)
    return shown
