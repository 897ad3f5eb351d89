"""Finished trials on disk, of counts that are made up."""

import dataclasses
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from experiments.analysis.bootstrap import Resampled
from experiments.analysis.convergence import progress
from experiments.analysis.evidence import evidence
from experiments.analysis.evidence_types import Evidence
from experiments.analysis.intervals import Interval, Target, interval
from experiments.recipes import camvid_quick
from experiments.trials.atomic_io import write_json
from experiments.trials.result_types import (
    FailedTrial,
    FailureKind,
    FinishedTrial,
    Metrics,
    PositionPrior,
    TrialResult,
)
from experiments.trials.results import PRIOR, read_result, write_record, write_result

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
) -> FinishedTrial:
    """A finished trial on disk; of None, one whose counts of images were not kept.

    Args:
        recipe: fields that are not those of `camvid-quick`.
        changes: fields of the result, as its JSON has them.
    """
    tp, fn = (counts[n].sum(0) if counts else np.array([1, 1]) for n in ("tp", "fn"))
    iou = [float(x) for x in tp / (tp + fn)]
    data = {"name": "camvid", "split": "test", "num_images": IMAGES, "classes": ["a", "b"]}
    data = {**data, "block": block} | changes.pop("data", {})
    size = len(data["classes"])
    confusion = np.zeros((size, size), int)
    confusion[: len(tp), : len(tp)] = np.diag(tp)
    confusion[range(len(fn)), (np.arange(len(fn)) + 1) % size] += fn
    record = identity(model, seed, repeat, recipe) | {
        "data": data,
        "confusion": confusion.tolist(),
        "metrics": {
            "miou": float(np.mean(iou)),
            "pixel_accuracy": 0.9,
            "num_classes_counted": size,
            "iou": dict(zip(data["classes"], iou, strict=False)),
        },
        "cost": COST,
        "timing": {"train_seconds": 100.0, "steps": 4000},
    }
    found = _written(root, record | changes, counts)
    assert isinstance(found, FinishedTrial)
    return found


def failed(
    root: Path,
    model: str,
    reason: str,
    seed: int = 0,
    repeat: int = 0,
    *,
    kind: FailureKind = "other",
    recipe: dict[str, Any] | None = None,
) -> FailedTrial:
    """A failed trial on disk."""
    failure = {"kind": kind, "reason": reason}
    found = _written(root, identity(model, seed, repeat, recipe) | {"failure": failure}, None)
    assert isinstance(found, FailedTrial)
    return found


def rising(gain: float, steps: int = 4000) -> dict[str, Any]:
    """The field of a result whose validation mIoU gains this as the sum of its rates doubles."""
    at = range(steps // 8, steps + 1, steps // 8)
    done = progress(dataclasses.replace(camvid_quick(), steps=steps))
    return {"curve": {"val": [[step, float(0.6 + gain * done[step - 1])] for step in at]}}


def write_prior(root: Path, miou: float) -> None:
    """Scores of the position prior beside trials, of their data."""
    metrics = Metrics(miou=miou, pixel_accuracy=None, num_classes_counted=2, iou={})
    write_record(root / PRIOR, PositionPrior(data="d", metrics=metrics))


def identity(
    model: str, seed: int = 0, repeat: int = 0, recipe: dict[str, Any] | None = None
) -> dict[str, Any]:
    """What the JSON of every trial holds."""
    made = dataclasses.replace(camvid_quick(), **(recipe or {}))
    return {
        "schema": 2,
        "version": "0.2.0",
        "request": {"recipe": "camvid-quick", "overrides": [], "data": None},
        "recipe": dataclasses.asdict(made),
        "model": model,
        "seed": seed,
        "repeat": repeat,
        "init_seed": seed if made.init_seed is None else made.init_seed,
        "data_seed": seed if made.data_seed is None else made.data_seed,
        "protocol": {"split": "test", "passes": {}},
        "hashes": {"data": "d", "protocol": "p", "code": "c", "recipe": made.hash()},
    }


def _written(
    root: Path, record: dict[str, Any], counts: dict[str, Any] | None
) -> FinishedTrial | FailedTrial:
    name = f"seed{record['seed']}-repeat{record['repeat']}"
    path = root / re.sub(r"\W", "-", record["model"]) / name / "result.json"
    write_json(path, json.loads(json.dumps(record)))
    result = read_result(path)
    assert result is not None
    if counts:
        write_result(result, counts)
        result = read_result(path)
    assert result is not None
    return result


def difference(a: Resampled, b: Resampled, target: Target) -> Interval:
    """a - b by seed and by draw, on the same draws."""
    assert a.miou.shape == b.miou.shape
    return interval(Resampled(a.miou - b.miou, a.draws - b.draws, a.num_blocks), target)


def judge(results: Sequence[TrialResult], **options: Any) -> Evidence:
    """Evidence of few draws."""
    return evidence(results, **{"draws": 2000, **options})
