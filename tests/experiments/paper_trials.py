"""Finished trials with every metric, in made-up numbers that tell each other apart."""

from pathlib import Path
from typing import Any

from experiments.trials.result_types import FinishedTrial, Metrics, PositionPrior
from tests.experiments.made import COST, arrays, spread, trial

PIXELS = (1, 2, 3, 5, 8, 12, 20)


def metrics(miou: float) -> dict[str, Any]:
    """All that a scorer says."""
    objects = {
        "edges": [3, 5, 9, 17],
        "objects": [13103, 3400, 0, 1756, 3080],
        "recall": [miou - 0.4, miou - 0.3, None, miou, miou + 0.1],
        "iou": [miou - 0.5, miou - 0.4, None, miou - 0.1, miou],
    }
    return {
        "miou": miou,
        "pixel_accuracy": miou + 0.1,
        "num_classes_counted": 2,
        "iou": {"a": miou + 0.05, "b": miou - 0.05},
        "image_miou": {"mean": miou - 0.01, "worst_decile": miou - 0.2},
        "boundary_iou": {"fraction": 0.02, "mean": miou - 0.11, "iou": {"a": miou, "b": None}},
        "bands": {
            "pixels": list(PIXELS),
            "within": [miou - 0.3 + d / 100 for d in PIXELS],
            "beyond": [miou + d / 100 for d in PIXELS],
        },
        "objects": {"width": objects, "area": objects},
    }


def prior(miou: float = 0.17) -> PositionPrior:
    iou: dict[str, float | None] = {"a": 0.2, "b": None}
    scores = Metrics(miou=miou, pixel_accuracy=0.6, num_classes_counted=1, iou=iou)
    return PositionPrior(data="d", metrics=scores)


def write(root: Path, model: str, miou: float, seed: int = 0, **changes: Any) -> FinishedTrial:
    """Accuracies of images that have this mean, and metrics that follow from nothing."""
    counts = arrays(spread(miou, 0.01, seed), near=miou - 0.1)
    curve = {"train": [], "val": [[10, miou / 2], [20, miou]]}
    known = {"metrics": metrics(miou), "curve": curve, "cost": {**COST, "gmacs": 5 * miou}}
    return trial(root, model, counts, seed, **(known | changes))
