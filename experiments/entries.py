"""Finished models of a comparison, best first, and which of them no other beats."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from experiments.store import Result
from experiments.table import Row, rows


@dataclass(frozen=True)
class Entry:
    """A model of the comparison with its finished trials, one a seed."""

    row: Row
    trials: list[Result]

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


def entries(results: list[Result], stale: Iterable[str] = ()) -> list[Entry]:
    """Finished models with their costs, best mIoU first.

    Raises:
        ValueError: results that differ in recipe, data or protocol.
    """
    trained = [result for result in results if result.done and result["cost"]]
    ranked = sorted(rows(trained, set(stale)), key=lambda row: -row.miou)
    return [Entry(row, [r for r in trained if r["model"] == row.model]) for row in ranked]


def pareto_front(costs: Sequence[float], accuracies: Sequence[float]) -> list[int]:
    """Indices of the points that no other beats, by rising cost; of equal points the first."""
    front: list[int] = []
    for i in sorted(range(len(costs)), key=lambda i: (costs[i], -accuracies[i])):
        if not front or accuracies[i] > accuracies[front[-1]]:
            front.append(i)
    return front
