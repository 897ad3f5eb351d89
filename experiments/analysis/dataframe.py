"""Results as a table of pandas: `load_results("runs/demo")`."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pandas import DataFrame

from experiments.analysis.evidence_types import BAND
from experiments.trials.results import TrialResult, read_results


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


def _flat(result: TrialResult) -> dict[str, Any]:
    record = result.record
    metrics = record.get("metrics") or {}
    near = metrics["bands"]["pixels"].index(BAND) if "bands" in metrics else 0
    return {
        "model": result.label,
        "seed": record["seed"],
        "repeat": record.get("repeat", 0),
        "status": record["status"],
        "reason": record["reason"],
        "recipe": record["recipe"]["name"],
        "data": record["recipe"]["data"],
        "split": record["recipe"]["test_split"],
        "protocol": record.get("protocol", {}).get("mode"),
        "miou": _inside(metrics, "miou"),
        "pixel_accuracy": _inside(metrics, "pixel_accuracy"),
        "image_miou_mean": _inside(metrics, "image_miou", "mean"),
        "image_miou_worst_decile": _inside(metrics, "image_miou", "worst_decile"),
        "boundary_iou": _inside(metrics, "boundary_iou", "mean"),
        f"miou_within_{BAND}px": _inside(metrics, "bands", "within", near),
        f"miou_beyond_{BAND}px": _inside(metrics, "bands", "beyond", near),
        "recall_thin": _inside(metrics, "objects", "width", "recall", 0),
        "params_m": _inside(record, "cost", "params") / 1e6,
        "gmacs": _inside(record, "cost", "gmacs"),
        "latency_ms": _inside(record, "cost", "latency_ms"),
        "train_s": _inside(record, "timing", "train_seconds"),
        "peak_memory_gb": _inside(record, "cost", "peak_memory_gb"),
        **{f"hash_{part}": value for part, value in record["hashes"].items()},
        "path": str(result.path),
        **{f"iou/{name}": _inside(metrics, "iou", name) for name in metrics.get("iou", ())},
    }


def _inside(value: Any, *keys: str | int) -> Any:
    """A number inside nested mappings and lists; NaN where a key or the number is missing."""
    for key in keys:
        if value is None or (isinstance(key, str) and key not in value):
            return math.nan
        value = value[key]
    return math.nan if value is None else value


def load_results(folder: Path | str) -> "DataFrame":
    """Every result below a folder as one row, with the columns that `results_frame` lists.

    Raises:
        ValueError: as `read_results`.
    """
    from experiments.analysis.dataframe import results_frame

    return results_frame(read_results(folder))
