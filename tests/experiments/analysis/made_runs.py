"""Runs of networks that differ in their seeds, or in the steps that they were trained for."""

from pathlib import Path

import numpy as np

from experiments.trials.result_types import FinishedTrial
from tests.experiments.made import COST, arrays, spread, trial

BUDGETS = (1000, 2000, 4000)


def crossed(root: Path) -> tuple[list[FinishedTrial], dict[tuple[int, int], float]]:
    """Three initialisations by three data orders: `--set data_seed=k --seeds 0,1,2` for each k."""
    noise = np.random.default_rng(0).normal(0, 0.01, (3, 3))
    made = {(i, d): round(0.5 + 0.05 * i + noise[i, d], 3) for i in range(3) for d in range(3)}
    results = [
        trial(root / f"data{d}", "net", arrays(miou), i, recipe={"data_seed": d})
        for (i, d), miou in made.items()
    ]
    return results, made


def budgets(root: Path, gain: float = 0.1) -> dict[int, list[FinishedTrial]]:
    """A has at each number of steps what B has at twice as many; its GMACs are three times B's."""
    noise = spread(0, 0.01)
    found = {}
    for doublings, steps in enumerate(BUDGETS):
        found[steps] = [
            trial(
                root / str(steps),
                model,
                arrays(start + gain * doublings + noise),
                recipe={"steps": steps},
                cost={**COST, "gmacs": gmacs},
                timing={"train_seconds": steps * second, "steps": steps},
            )
            for model, start, gmacs, second in (("a", 0.5, 6.0, 0.5), ("b", 0.4, 2.0, 1.0))
        ]
    return found
