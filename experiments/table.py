"""The comparison as tables for a terminal or a README."""

from collections.abc import Set
from typing import Any

from rich import box
from rich.table import Table

from experiments.published import published_cost
from experiments.rows import COLUMNS, NO_PATHS, rows
from experiments.store import Result
from experiments.trial import Trial

PAPER_COLUMNS = ("params_m", "paper_gflops_1024x2048")  # metrics of reference.csv


def paper_table(results: list[Result]) -> Table | None:
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


def cost_table(profiles: list[dict[str, Any]], size: tuple[int, int], classes: int) -> Table:
    """A row a network of `cost.profile`, and below it what was published of it, if anything."""
    table = Table(
        title=f"Cost at {size[0]}x{size[1]}, {classes} classes",
        box=box.SIMPLE,
        pad_edge=False,
        caption="Trunk: parameters before the head. GMACs: multiply-adds of convolutions and "
        "matrix products / 1e9, half of the FLOPs. GFLOPs: the HRNet paper's unit, MACs / 2^30. "
        "Stride: of the deepest layer, and of the classifier. Published: arXiv 1908.07919, Table "
        "III, and the authors' README; = where ours has its digits, else by how much ours is off.",
    )
    table.add_column("model", overflow="fold")
    for name in ("params M", "trunk", "GMACs", "GFLOPs", "stride"):
        table.add_column(name, justify="right", no_wrap=True)
    for p in profiles:
        table.add_row(
            p["model"],
            f"{p['params'] / 1e6:.2f}",
            f"{p['params_trunk'] / 1e6:.2f}",
            f"{p['gmacs']:.1f}",
            f"{p['paper_gflops']:.1f}",
            f"{p['deepest_stride']}, {p['classifier_stride']}",
        )
        theirs, differs = p["published"], p["difference_percent"]
        ours = dict(zip(PAPER_COLUMNS, (p["params"] / 1e6, p["paper_gflops"]), strict=True))
        cells = {
            k: f"{v:.1f} {'=' if round(ours[k], 1) == v else f'{differs[k]:+.1f} %'}"
            for k, v in theirs.items()
        }
        if cells:
            params, gflops = (cells.get(k, "") for k in PAPER_COLUMNS)
            table.add_row("  published", params, "", "", gflops, "")
    return table


def measured_table(measured: list[dict[str, Any]]) -> Table:
    """A row a network of `measure.measure_apart`."""
    done = next((m for m in measured if "failed" not in m), None)
    table = Table(title="Measured here", box=box.SIMPLE, pad_edge=False, collapse_padding=True)
    table.add_column("model", overflow="fold")
    for name in ("infer ms", "10-90 %", "train ms", "10-90 %", "infer GB", "train GB"):
        table.add_column(name, justify="right")
    if done is not None:
        size = "x".join(map(str, done["size"]))
        table.caption = (
            f"{size}, {done['precision']}, {done['hardware']}, {done['threads']} threads; batch "
            f"{done['batch']}, in training at least what batch norm needs; medians; memory: "
            f"{done['memory_kind']}"
        )
    for m in measured:
        if "failed" in m:  # the reason was printed when it happened
            table.add_row(m["model"], "failed")
            continue
        cells = []
        for name in ("latency_ms", "train_step_ms"):
            cells += [f"{m[name]:.0f}", f"{m[f'{name}_p10']:.0f}-{m[f'{name}_p90']:.0f}"]
        memory = (f"{m[f'{name}_memory_gb']:.2f}" for name in ("inference", "train"))
        table.add_row(m["model"], *cells, *memory)
    return table


def main_table(results: list[Result], stale: Set[str] = NO_PATHS) -> Table:
    """A row a model, failed trials with their reason; fits 80 columns."""
    first = next((r for r in results if r.done and r["cost"]), None)
    title = "No trial has finished"
    if first is not None:
        height, width = first["cost"]["size"]
        data = first["data"]
        title = (
            f"{first['recipe']['name']}: {data['name'].split(':')[0]} {data['split']}, "
            f"{data['num_images']} images, costs at {height}x{width}"
        )
    table = Table(
        title=title,
        box=box.SIMPLE,
        pad_edge=False,
        collapse_padding=True,  # room for the names of models and of files of weights
        caption=conditions(first),
    )
    table.add_column("model\ninitial weights", overflow="fold", min_width=15)
    for name in COLUMNS:
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows(results, stale):
        table.add_row(f"{row.model}\n{row.init}", *row.cells())
    for result in results:
        if not result.done:
            table.add_row(f"{result['model']} seed {result['seed']}", *["-"] * 5, "failed")
    return table


def conditions(result: Result | None) -> str:
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


def class_table(results: list[Result]) -> Table:
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


def markdown(results: list[Result], prior: dict[str, float] | None) -> str:
    """The main table for a README; with a column for the initial weights where any are trained."""
    shown = rows(results)
    inits = any(row.init != "random" for row in shown)
    lines = [
        f"| model |{' init |' * inits} {' | '.join(COLUMNS)} |",
        f"|---|{'---|' * inits}{'---:|' * len(COLUMNS)}",
        *(
            f"| `{row.model}` |{f' {row.init} |' * inits} {' | '.join(row.cells())} |"
            for row in shown
        ),
    ]
    if prior is not None:
        lines.append(f"| position prior |{' |' * (inits + 5)} {100 * prior['miou']:.1f} |")
    return "\n".join(lines)


def tables(results: list[Result], stale: Set[str] = NO_PATHS) -> list[Table]:
    """Everything a terminal shows, top to bottom."""
    shown = [paper_table(results), main_table(results, stale)]
    if any(result.done for result in results):
        shown.append(class_table(results))
    return [table for table in shown if table is not None]


def plan_table(plan: list[tuple[Trial, str, dict[str, float]]]) -> Table:
    """Trials to come: state, and the estimates of `cost.estimate`."""
    table = Table(title="plan", box=box.SIMPLE, pad_edge=False)
    table.add_column("trial", overflow="fold")
    for name in ("state", "params M", "GMACs a crop", "hours"):
        table.add_column(name, justify="right")
    for trial, state, cost in plan:
        table.add_row(
            f"{trial.model} seed {trial.seed}",
            state,
            f"{cost['params'] / 1e6:.2f}",
            f"{cost['gmacs']:.2f}",
            f"{cost['train_hours']:.2g}",
        )
    return table
