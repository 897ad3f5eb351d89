"""The comparison as rows, and as tables for a terminal or a README."""

import csv
import statistics
from dataclasses import dataclass
from pathlib import Path

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from experiments.store import Result, check_comparable

REFERENCE = Path(__file__).parent / "reference.csv"
COLUMNS = ("params M", "GMACs", "lat ms", "train s", "mem GB", "mIoU %")


@dataclass(frozen=True)
class Row:
    """A model of the comparison, over its finished seeds; all figures are means over them."""

    model: str
    params_m: float
    gmacs: float
    latency_ms: float
    train_s: float
    memory_gb: float
    miou: float  # a fraction
    spread: float | None  # sample standard deviation over seeds; None for one seed
    seeds: tuple[int, ...]
    iou: dict[str, float | None]  # per class, None where no seed has the class
    stale: bool  # made by other code than is here now

    def cells(self) -> list[str]:
        spread = "" if self.spread is None else f" ±{100 * self.spread:.1f}"
        return [
            f"{self.params_m:.2f}",
            f"{self.gmacs:.2f}",
            f"{self.latency_ms:.0f}",
            f"{self.train_s:.0f}",
            f"{self.memory_gb:.1f}",
            f"{100 * self.miou:.1f}{spread}{'*' if self.stale else ''}",
        ]


@dataclass(frozen=True)
class Published:
    """A row of a paper. Its mIoU stands beside ours only where data, split and protocol agree."""

    model: str
    method: str
    metric: str
    value: float
    data: str
    split: str
    protocol: str
    source: str
    locator: str


def rows(results: list[Result], stale: set[str] = frozenset()) -> list[Row]:  # type: ignore[assignment]
    """One row a model in the order of first appearance, finished trials only.

    Args:
        stale: code hashes are compared by the caller; paths of results made by other code.

    Raises:
        ValueError: results that differ in recipe, data or protocol.
    """
    check_comparable(results)
    by_model: dict[str, list[Result]] = {}
    for result in results:
        if result.done:
            by_model.setdefault(result["model"], []).append(result)
    return [_row(model, group, stale) for model, group in by_model.items()]


def _row(model: str, group: list[Result], stale: set[str]) -> Row:
    def mean(part: str, key: str) -> float:
        return statistics.fmean(r[part][key] for r in group)

    mious = [r["metrics"]["miou"] for r in group]
    iou = {}
    for name in group[0]["metrics"]["iou"]:
        values = [r["metrics"]["iou"][name] for r in group]
        present = [v for v in values if v is not None]
        iou[name] = statistics.fmean(present) if present else None
    return Row(
        model=model,
        params_m=mean("cost", "params") / 1e6,
        gmacs=mean("cost", "gmacs"),
        latency_ms=mean("cost", "latency_ms"),
        train_s=mean("timing", "train_seconds"),
        memory_gb=mean("cost", "peak_memory_gb"),
        miou=statistics.fmean(mious),
        spread=statistics.stdev(mious) if len(mious) > 1 else None,
        seeds=tuple(r["seed"] for r in group),
        iou=iou,
        stale=any(str(r.path) in stale for r in group),
    )


def published(path: Path = REFERENCE) -> list[Published]:
    with path.open(newline="") as file:
        return [
            Published(**{**line, "value": float(line["value"])})  # type: ignore[arg-type]
            for line in csv.DictReader(file)
        ]
