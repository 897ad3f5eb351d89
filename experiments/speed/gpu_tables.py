"""What GPUs have shown (`results/gpu/`), as Markdown for the README of this folder."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from datamodules.json_file import DamagedError, as_object, read_json
from experiments.costs.measurement import Json
from experiments.speed.gpu_machine import GpuMachine
from experiments.speed.throughput import Roofline, Row, Task, Throughput, row_from_json

NOTHING = (
    "Nothing of this project has run on a GPU yet, so there is no figure here: `make gpu` on a "
    "machine with one writes them and renews this part."
)
_REMEDY = "delete it, or run make gpu again"


@dataclass(frozen=True)
class KeptThroughput:
    """What `throughput.json` holds, and of `tests.json` beside it the numbers of outcomes."""

    machine: GpuMachine
    date: str
    roofline: Roofline
    rows: tuple[Row, ...]
    cut_short: str | None
    tests: Mapping[str, int] | None


def kept(folder: Path) -> list[KeptThroughput]:
    """Of every card whose throughput was measured, in the order of their names.

    Raises:
        ValueError: a file that does not hold what it has to.
    """
    found = [_read(path) for path in sorted(folder.glob("*/throughput.json"))]
    return [one for one in found if one is not None]


def _read(path: Path) -> KeptThroughput | None:
    """None of a card that could not be measured."""
    record = _object(path)
    tests = path.parent / "tests.json"
    counts = _object(tests).get("counts") if tests.is_file() else None
    try:
        if record["roofline"] is None:
            return None
        return KeptThroughput(
            GpuMachine.from_json(record["machine"]),
            record["date"],
            Roofline.from_json(record["roofline"]),
            tuple(row_from_json(row) for row in record["rows"]),
            record["cut_short"],
            counts,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedError(f"{path} holds no throughput ({error}): {_REMEDY}") from None


def _object(path: Path) -> Json:
    return as_object(read_json(path, _REMEDY), str(path), _REMEDY)


def gpu_summary(cards: Sequence[KeptThroughput]) -> str:
    """A part a card: what it is, images a second, and where the time of a step goes."""
    return "\n\n".join(_card(card) for card in cards) or NOTHING


def _card(card: KeptThroughput) -> str:
    machine, roofline = card.machine, card.roofline
    head = (
        f"**{machine.card}** ({machine.cards} in the machine, {machine.memory_gb:g} GB, driver "
        f"{machine.driver or 'unknown'}, torch {machine.torch}, {card.date[:10]}): matrix products "
        f"of bf16 {roofline.bf16_tflops:.3g}, TF32 {roofline.tf32_tflops:.3g} and fp32 "
        f"{roofline.fp32_tflops:.3g} TFLOP/s, copies {roofline.copy_gb_s:.0f} GB/s."
    )
    if card.tests is not None:
        counts = ", ".join(f"{number} {name}" for name, number in sorted(card.tests.items()))
        head += f" Its tests: {counts or 'none ended'}."
    if card.cut_short:
        head += f" Cut short: {card.cut_short}."
    time_use = _time_use(card.rows)
    return "\n\n".join([head, _speeds(card.rows), *([time_use] if time_use else [])])


def _speeds(rows: Sequence[Row]) -> str:
    """A row a network and way, training and inference beside each other."""
    lines = [
        "| network | way | training images/s | GB | % of products | % of roofline "
        "| inference images/s | GB | % of products | % of roofline |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for model, way in dict.fromkeys((row.model, row.way) for row in rows):
        ours = {row.task: row for row in rows if (row.model, row.way) == (model, way)}
        cells = _cells(ours, "training") + _cells(ours, "inference")
        lines.append(f"| `{model}` | {way} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cells(rows: Mapping[Task, Row], task: Task) -> list[str]:
    row = rows.get(task)
    if not isinstance(row, Throughput):
        reason = "" if row is None else row.failed.replace("|", "/").replace("\n", " ")
        return [reason if len(reason) <= 80 else f"{reason[:77]}...", "", "", ""]
    return [
        f"{row.images_per_second:.1f}",
        f"{row.peak_gb:.1f}",
        f"{100 * row.of_products:.0f}",
        f"{100 * row.of_roofline:.0f}",
    ]


def _time_use(rows: Sequence[Row]) -> str:
    profiled = [row for row in rows if isinstance(row, Throughput) and row.time_use]
    if not profiled:
        return ""
    kinds = list(profiled[0].time_use)
    lines = [
        f"| % of a training step | way | {' | '.join(kinds)} |",
        f"|---|---|{'---:|' * len(kinds)}",
    ]
    for row in profiled:
        cells = [f"{100 * row.time_use.get(kind, 0.0):.0f}" for kind in kinds]
        lines.append(f"| `{row.model}` | {row.way} | {' | '.join(cells)} |")
    return "\n".join(lines)
