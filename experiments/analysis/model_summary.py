"""Rows of a comparison: a model over its seeds, and which of them no other beats."""

import statistics
from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Any

from experiments.trials.comparability import check_comparable
from experiments.trials.results import DID_NOT_TRAIN, TrialResult

COLUMNS = ("params M", "GMACs", "lat ms", "train s", "mem GB", "mIoU %")
NO_PATHS: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Row:
    """A model of the comparison, over its finished seeds; all figures are means over them."""

    model: str
    init: str  # what the weights were before training, with the file's name
    params_m: float | None  # costs are None for predictions that came from elsewhere
    gmacs: float | None
    latency_ms: float | None
    train_s: float | None
    memory_gb: float | None
    miou: float  # a fraction
    spread: float | None  # sample standard deviation over seeds; None for one seed
    seeds: tuple[int, ...]
    iou: dict[str, float | None]  # per class, None where no seed has the class
    stale: bool  # made by other code than is here now

    def numbers(self) -> list[float | None]:
        """In the order and units of COLUMNS."""
        return [
            self.params_m,
            self.gmacs,
            self.latency_ms,
            self.train_s,
            self.memory_gb,
            100 * self.miou,
        ]

    def cells(self) -> list[str]:
        digits = (2, 2, 0, 0, 1, 1)
        texts = [
            "-" if value is None else f"{value:.{n}f}"
            for value, n in zip(self.numbers(), digits, strict=True)
        ]
        spread = "" if self.spread is None else f" ±{100 * self.spread:.1f}"
        texts[-1] += f"{spread}{'*' if self.stale else ''}"
        return texts


def first_runs(results: Sequence[TrialResult]) -> list[TrialResult]:
    """Of each trial the first run that finished, or the first where none did.

    Repeats are no seeds, but one of them stands for a run that failed. Trials are told apart by
    network, recipe and seed.
    """
    runs: dict[tuple[str, str | None, int], TrialResult] = {}
    for result in results:
        key = result.label, result["hashes"]["recipe"], result["seed"]
        if key not in runs or _place(result) < _place(runs[key]):
            runs[key] = result
    return list(runs.values())


def _place(result: TrialResult) -> tuple[bool, int]:
    return not result.done, result.record.get("repeat", 0)


def rows(results: list[TrialResult], stale: Set[str] = NO_PATHS) -> list[Row]:
    """One row a model in the order of first appearance, finished trials only, each once.

    Args:
        stale: paths of results that other code made, as the caller found by their hashes.

    Raises:
        ValueError: results that differ in recipe, data or protocol.
    """
    check_comparable(results)
    by_model: dict[str, list[TrialResult]] = {}
    for result in first_runs(results):
        if result.done:
            by_model.setdefault(result.label, []).append(result)
    return [_row(model, group, stale) for model, group in by_model.items()]


def diverged(result: TrialResult) -> bool:
    """Whether a trial failed because its loss was no number: it did not train under its recipe."""
    return not result.done and str(result["reason"]).startswith((DID_NOT_TRAIN, "the loss is "))


def _row(model: str, group: list[TrialResult], stale: Set[str]) -> Row:
    def mean(part: str, key: str, unit: float = 1) -> float | None:
        values = [r[part][key] / unit for r in group if r[part] is not None]
        return statistics.fmean(values) if values else None

    mious = [r["metrics"]["miou"] for r in group]
    iou = {}
    for name in group[0]["metrics"]["iou"]:
        values = [r["metrics"]["iou"][name] for r in group]
        present = [v for v in values if v is not None]
        iou[name] = statistics.fmean(present) if present else None
    return Row(
        model=model,
        init=", ".join(dict.fromkeys(r.init for r in group)),
        params_m=mean("cost", "params", 1e6),
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


@dataclass(frozen=True)
class Entry:
    """A model of the comparison with its finished trials, one a seed."""

    row: Row
    trials: list[TrialResult]

    @property
    def pixel_accuracy(self) -> float:
        return self.mean("metrics", "pixel_accuracy") or 0.0

    def mean(self, *keys: str) -> float | None:
        """Over seeds, of a number inside the records; None where no seed has one."""
        found = []
        for trial in self.trials:
            value: Any = trial
            for key in keys:
                value = value[key]
            found.append(value)
        present = [value for value in found if value is not None]
        return statistics.fmean(present) if present else None


def entries(
    results: Sequence[TrialResult], stale: Set[str] = NO_PATHS, order: Sequence[str] = ()
) -> list[Entry]:
    """Finished models, those of `order` in that order and then the best mIoU first.

    Raises:
        ValueError: results that differ in recipe, data or protocol.
    """
    once = [result for result in first_runs(results) if result.done]
    place = {name: position for position, name in enumerate(order)}
    ranked = sorted(
        rows(once, stale), key=lambda row: (place.get(row.model, len(place)), -row.miou)
    )
    return [Entry(row, [r for r in once if r.label == row.model]) for row in ranked]
