"""Costs as tables for a terminal."""

from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from experiments.costs.width_search import KINDS, MatchBudget, digits
from experiments.trials.reference import PAPER_COLUMNS


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


COLUMNS = {"params_m": "params M", "gmacs": "GMACs", "latency_ms": "lat ms", "train_s": "train s"}


def print_match(rows: list[dict[str, Any]], terms: MatchBudget, console: Console) -> None:
    """The plan as a table that fits 80 columns, then what it needs words for."""
    keys = [key for key in COLUMNS if any(key in row for row in rows)]
    size, counts = "x".join(map(str, terms.size)), KINDS[terms.kind][2]
    title = f"Matched to {terms.budget:g} {counts}: {size}, {terms.num_classes} classes"
    table = Table(title=title, box=box.SIMPLE, pad_edge=False)
    timed = {"latency_ms": "lat: one image", "train_s": f"train: a step of {terms.batch} images"}
    if said := [timed[key] for key in keys if key in timed]:
        where = f"{terms.precision}, {terms.hardware}, {terms.threads} CPU threads; medians"
        table.caption = "; ".join([*said, where])
    table.add_column("model", overflow="fold")
    for name in (*(COLUMNS[key] for key in keys), "off %"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        figures = (digits(row[key]) if key in row else "failed" for key in keys)
        table.add_row(row["model"], *figures, f"{row['off_percent']:+.1f}")
    console.print(table)
    for row in rows:
        if row["note"]:
            console.print(f"{row['family']}: {row['note']}", markup=False)
        if "kept" in row:
            note = f"{row['family']}: as measured before; to measure anew, delete {row['kept']}"
            console.print(note, markup=False, soft_wrap=True)
