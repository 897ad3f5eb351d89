"""Costs as tables for a terminal."""

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from experiments.costs.match_budget import FigureName, MatchBudget, MatchedNetwork, digits
from experiments.costs.measurement import EAGER, Measurement, MeasurementFailure, Timing
from experiments.costs.network_cost import NetworkCost
from experiments.costs.speed_ratios import Benchmark
from experiments.trials.reference import PAPER_COLUMNS


def cost_table(costs: Sequence[NetworkCost], size: tuple[int, int], num_classes: int) -> Table:
    """A row a network, and below it what was published of it, if anything."""
    table = Table(
        title=f"Cost at {size[0]}x{size[1]}, {num_classes} classes",
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
    for cost in costs:
        table.add_row(
            cost.model,
            f"{cost.params / 1e6:.2f}",
            f"{cost.params_trunk / 1e6:.2f}",
            f"{cost.gmacs:.1f}",
            f"{cost.paper_gflops:.1f}",
            f"{cost.deepest_stride}, {cost.classifier_stride}",
        )
        cells = {
            f.metric: f"{f.value:.1f} {'=' if f.same_digits else f'{f.difference_percent:+.1f} %'}"
            for f in cost.published
        }
        if cells:
            params, gflops = (cells.get(metric, "") for metric in PAPER_COLUMNS)
            table.add_row("  published", params, "", "", gflops, "")
    return table


Answer = Measurement | MeasurementFailure


def measured_table(answers: Sequence[Answer]) -> Table:
    """A row a network; below it a row a runtime, where others than eager were asked for."""
    several = any(answer.runtime != EAGER for answer in answers)
    table = Table(title="Measured here", box=box.SIMPLE, pad_edge=False, collapse_padding=True)
    table.add_column("model", overflow="fold")
    names = ["infer ms", "10-90 %", "train ms", "10-90 %", "infer GB", "train GB"]
    if several:  # narrow, so that names of runtimes keep their line
        names = ["infer\nms", "10-90 %", "ready\ns", "same\n%", "train\nms"]
        names += ["infer\nGB", "train\nGB"]
    for name in names:
        table.add_column(name, justify="right")
    done = next((answer for answer in answers if isinstance(answer, Measurement)), None)
    if done is not None:
        table.caption = _conditions(done) + (_RUNTIMES_CAPTION if several else "")
    shown = ""
    for answer in answers:
        if several and answer.model != shown:
            table.add_row(answer.model)
        shown = answer.model
        table.add_row(*_measured_cells(answer, several))
    return table


def _measured_cells(answer: Answer, several: bool) -> list[str]:
    """Failed ones have one cell: the reason was printed when it happened."""
    if isinstance(answer, MeasurementFailure):
        return [f"  {answer.runtime}" if several else answer.model, "failed"]
    step = answer.training
    training = _time_cells(step.time) if step else ("", "")
    agreed = "" if answer.agreement is None else f"{100 * answer.agreement:.2f}"
    return [
        f"  {answer.runtime}, {answer.ran_in}" if several else answer.model,
        *_time_cells(answer.latency),
        *((f"{answer.start_up_s:.1f}", agreed, training[0]) if several else training),
        f"{answer.memory_gb:.2f}",
        f"{step.memory_gb:.2f}" if step else "",
    ]


_RUNTIMES_CAPTION = (
    ". Beside each runtime: what inference really computed in; training runs eager. Ready: from "
    "the network to its first logits. Same: pixels of a procedural street with the class that "
    "eager gives them in fp32, the weights being random"
)


def _conditions(done: Measurement) -> str:
    request = done.request
    return (
        f"{request.size[0]}x{request.size[1]}, {request.precision}, {done.hardware}, "
        f"{done.threads} threads; batch {request.batch}, in training at least what batch norm "
        f"needs; medians; memory: {done.memory_kind}"
    )


def _time_cells(time: Timing) -> tuple[str, str]:
    return f"{time.median:.0f}", f"{time.p10:.0f}-{time.p90:.0f}"


COLUMNS: dict[FigureName, str] = {
    "params_m": "params M",
    "gmacs": "GMACs",
    "latency_ms": "lat ms",
    "train_s": "train s",
}


def match_table(rows: Sequence[MatchedNetwork], budget: MatchBudget) -> Table:
    """A row a network at its width, within 80 columns."""
    figures = [row.figures for row in rows]
    shown = [name for name in COLUMNS if any(known[name] is not None for known in figures)]
    size = f"{budget.size[0]}x{budget.size[1]}"
    title = f"Matched to {budget.value:g} {budget.counted}: {size}, {budget.num_classes} classes"
    table = Table(title=title, box=box.SIMPLE, pad_edge=False)
    timed = {"latency_ms": "lat: one image", "train_s": f"train: a step of {budget.batch} images"}
    if said := [timed[name] for name in shown if name in timed]:
        where = f"{budget.precision}, {budget.hardware}, {budget.threads} CPU threads; medians"
        table.caption = "; ".join([*said, where])
    table.add_column("model", overflow="fold")
    for name in (*(COLUMNS[name] for name in shown), "off %"):
        table.add_column(name, justify="right", no_wrap=True)
    for row, known in zip(rows, figures, strict=True):
        values = (known[name] for name in shown)
        cells = ("failed" if value is None else digits(value) for value in values)
        table.add_row(row.model, *cells, f"{row.off_percent:+.1f}")
    return table


def print_match(rows: Sequence[MatchedNetwork], budget: MatchBudget, console: Console) -> None:
    """The plan as a table, then what it needs words for."""
    console.print(match_table(rows, budget))
    for row in rows:
        if row.note:
            console.print(f"{row.family}: {row.note}", markup=False)
        if row.kept_in is not None:
            note = f"{row.family}: as measured before; to measure anew, delete {row.kept_in}"
            console.print(note, markup=False, soft_wrap=True)


def ratio_table(benchmark: Benchmark) -> Table:
    """A row a ratio, within 80 columns."""
    table = Table(
        title="Speed, as ratios of one run",
        box=box.SIMPLE,
        pad_edge=False,
        caption=f"{benchmark.hardware}, {benchmark.threads} threads, torch {benchmark.torch}; "
        "medians over pairs of blocks that alternate, with the lowest and the highest",
    )
    table.add_column("what", overflow="fold")
    table.add_column("ours", overflow="fold")
    table.add_column("against", overflow="fold")
    for name in ("ratio", "from-to"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in benchmark.ratios:
        spread = f"{min(row.ratios):.2f}-{max(row.ratios):.2f}"
        table.add_row(row.what, row.ours, row.other, f"{row.median:.2f}", spread)
    return table
