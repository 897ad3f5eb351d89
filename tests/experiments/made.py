"""Finished trials on disk, of counts that are made up."""

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from experiments.analysis.bootstrap import Resampled
from experiments.analysis.evidence import evidence
from experiments.analysis.evidence_types import Evidence
from experiments.analysis.intervals import Interval, Target, interval
from experiments.recipes import camvid_quick
from experiments.trials.atomic_io import write_arrays, write_json
from experiments.trials.results import TrialResult, read_result

Floats = npt.NDArray[np.float64]

IMAGES, PIXELS = 40, 1000  # of each class in each image
WIDTHS, SHARES = (1, 3, 8), (0.1, 0.3, 0.5)  # of the pixels, within each width
COST = {
    "params": 1_000_000,
    "gmacs": 2.0,
    "size": [360, 480],
    "latency_ms": 40.0,
    "peak_memory_gb": 1.0,
    "peak_memory_kind": "resident set",
    "params_paper": 1_000_000,
    "paper_gflops_1024x2048": 30.0,
    "threads": 2,
    "device": "cpu",
    "precision": "32-true",
}


def spread(mean: float, sd: float, seed: int = 0) -> Floats:
    """Accuracies of the images with exactly that mean and SD."""
    noise = np.random.default_rng(seed).normal(size=IMAGES)
    accuracy: Floats = mean + sd * (noise - noise.mean()) / noise.std()
    return accuracy


def arrays(accuracy: Floats | float, near: Floats | float | None = None) -> dict[str, Any]:
    """Counts of two classes without false positives, so that IoU is the accuracy.

    Args:
        near: accuracy within the bands; without it they are not counted.
    """
    truth = np.full((IMAGES, 2), PIXELS)
    tp = np.rint(truth * np.reshape(accuracy, (-1, 1))).astype(np.int64)
    found = {
        "ids": np.array([f"image{i:02d}" for i in range(IMAGES)]),
        "groups": np.array(["clip"] * IMAGES),
        "tp": tp,
        "fp": np.zeros_like(tp),
        "fn": truth - tp,
    }
    if near is None:
        return found
    band = np.zeros((IMAGES, len(WIDTHS), 3, 2), np.int32)
    within = np.rint(np.array(SHARES) * PIXELS)[None, :, None]
    band[:, :, 0] = np.rint(within * np.reshape(near, (-1, 1, 1)))
    band[:, :, 2] = within - band[:, :, 0]
    return {**found, "widths": np.array(WIDTHS), "band": band}


def trial(
    root: Path,
    model: str,
    counts: dict[str, Any] | None,
    seed: int = 0,
    *,
    repeat: int = 0,
    recipe: dict[str, Any] | None = None,
    block: int | None = 1,
    **changes: Any,
) -> TrialResult:
    """A finished trial on disk; of None, one whose counts of images were not kept."""
    fields = dataclasses.asdict(camvid_quick()) | (recipe or {})
    names = [field for field in fields if field != "name"]
    tp, fn = (counts[n].sum(0) if counts else np.array([1, 1]) for n in ("tp", "fn"))
    miou, iou = float((tp / (tp + fn)).mean()), map(float, tp / (tp + fn))
    data = {"name": "camvid", "split": "test", "num_images": IMAGES, "classes": ["a", "b"]}
    data = {**data, "block": block} | changes.pop("data", {})
    record = {
        "schema": 1,
        "status": "done",
        "reason": None,
        "recipe": fields,
        "model": model,
        "seed": seed,
        "repeat": repeat,
        "hashes": {"data": "d", "protocol": "p", "code": "c"}
        | {"recipe": str([fields[name] for name in names])},
        "data": data,
        "protocol": {},
        "metrics": {"miou": miou, "pixel_accuracy": 0.9}
        | {"iou": dict(zip(data["classes"], iou, strict=True))},
        "cost": COST,
        "timing": {"train_seconds": 100.0},
        "environment": {"jobs": 1},
    } | changes
    path = root / re.sub(r"\W", "-", model) / f"seed{seed}-repeat{repeat}" / "result.json"
    if counts:
        write_arrays(path.parent / "per_image.npz", counts)
    write_json(path, json.loads(json.dumps(record)))
    found = read_result(path)
    assert found is not None
    return found


def failed(root: Path, model: str, reason: str, seed: int = 0, repeat: int = 0) -> TrialResult:
    return trial(root, model, None, seed, repeat=repeat, status="failed", reason=reason)


def difference(a: Resampled, b: Resampled, target: Target) -> Interval:
    """a - b by seed and by draw, of one call of `bootstrap`."""
    assert a.miou.shape == b.miou.shape
    return interval(Resampled(a.miou - b.miou, a.draws - b.draws, a.num_blocks), target)


def judge(results: list[TrialResult], **options: Any) -> Evidence:
    """Evidence of few draws."""
    return evidence(results, **{"draws": 2000, **options})
