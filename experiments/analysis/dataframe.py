"""Results as a table of pandas: `load_results("runs/demo")`."""

import math
from collections.abc import Sequence
from pathlib import Path

from pandas import DataFrame

from experiments.analysis.evidence_types import BAND
from experiments.trials.result_types import FailedTrial, FinishedTrial, TrialResult
from experiments.trials.results import read_results

_NUMBERS = (
    "miou",
    "pixel_accuracy",
    "image_miou_mean",
    "image_miou_worst_decile",
    "boundary_iou",
    f"miou_within_{BAND}px",
    f"miou_beyond_{BAND}px",
    "recall_thin",
    "params_m",
    "gmacs",
    "latency_ms",
    "train_s",
    "peak_memory_gb",
)


def results_frame(results: Sequence[TrialResult]) -> DataFrame:
    """One row a result, finished or failed, in the order given.

    Columns; NaN stands where a result lacks the number:
        model (with what tuning chose), seed, repeat (0 unless the trial of this seed ran again)
        status (done or failed), reason
        recipe, data, split, protocol: their names
        miou, pixel_accuracy, boundary_iou, iou/<class>: fractions of the whole split
        image_miou_mean, image_miou_worst_decile: fractions, over images and their worst tenth
        miou_within_3px, miou_beyond_3px: fractions, of pixels up to 3 px from a true boundary, and
            of the others
        recall_thin: fraction of the pixels of objects that are 1 or 2 px wide, mean over classes
        params_m (millions), gmacs (1e9 multiply-adds an image), latency_ms (one image)
        train_s (s), peak_memory_gb (1e9 bytes)
        hash_recipe, hash_data, hash_protocol, hash_code, path (of result.json)
    """
    frame = DataFrame([_flat(result) for result in results])
    return frame[sorted(frame.columns, key=lambda name: name.startswith("iou/"))]


def _flat(result: TrialResult) -> dict[str, object]:
    recipe = result.recipe
    numbers = _numbers(result) if isinstance(result, FinishedTrial) else {}
    return {
        "model": result.label,
        "seed": result.seed,
        "repeat": result.repeat,
        "status": "done" if result.done else "failed",
        "reason": result.failure.reason if isinstance(result, FailedTrial) else None,
        "recipe": recipe.name if recipe else "unknown",
        "data": result.data_name,
        "split": result.protocol.split,
        "protocol": result.protocol.mode if result.protocol.passes else None,
        **dict.fromkeys(_NUMBERS, math.nan),
        **{name: math.nan if value is None else value for name, value in numbers.items()},
        **{f"hash_{part}": value for part, value in result.hashes},
        "path": str(result.path),
    }


def _numbers(result: FinishedTrial) -> dict[str, float | None]:
    """Scores and costs by column, those that the result has."""
    metrics, cost = result.metrics, result.cost
    numbers = {"miou": metrics.miou, "pixel_accuracy": metrics.pixel_accuracy}
    if images := metrics.image_miou:
        numbers["image_miou_mean"] = images.mean
        numbers["image_miou_worst_decile"] = images.worst_decile
    if metrics.boundary_iou:
        numbers["boundary_iou"] = metrics.boundary_iou.mean
    if bands := metrics.bands:
        near = bands.pixels.index(BAND)
        numbers[f"miou_within_{BAND}px"] = bands.within[near]
        numbers[f"miou_beyond_{BAND}px"] = bands.beyond[near]
    if metrics.objects:
        numbers["recall_thin"] = metrics.objects.width.recall[0]
    if cost:
        numbers |= {"params_m": cost.params / 1e6, "gmacs": cost.gmacs}
        numbers |= {"latency_ms": cost.latency_ms, "peak_memory_gb": cost.peak_memory_gb}
    if result.timing:
        numbers["train_s"] = result.timing.train_seconds
    return numbers | {f"iou/{name}": value for name, value in metrics.iou.items()}


def load_results(folder: Path | str) -> DataFrame:
    """Every result below a folder as one row, with the columns that `results_frame` lists.

    Raises:
        ValueError: as `read_results`.
    """
    return results_frame(read_results(folder))
