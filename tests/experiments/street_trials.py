"""Finished trials on small streets, with predictions that are scored as all are."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from datamodules.datasets.camvid import CAMVID
from datamodules.labels import IGNORE, UInt8
from experiments.recipes import camvid_quick
from experiments.scoring.metrics import score_folder
from experiments.trials.result_types import FailedTrial, FinishedTrial
from experiments.trials.results import write_result

IDS = [f"{clip}_{i:03d}" for clip in ("A", "B") for i in range(8)]
MODELS = ("hrnetv2_w18_small_v1", "deeplabv3p:trunk=mobilenetv2_100", "unet:width=9")
RECIPE = dataclasses.replace(camvid_quick(), name="camvid-quick+steps=9", steps=9)
HASHES = {"recipe": "r1", "data": "d1", "protocol": "p1", "code": "c1"}
COST = {
    "params": 615_638,
    "gmacs": 2.62,
    "size": [360, 480],
    "latency_ms": 41.2,
    "latency_ms_p10": 39.0,
    "latency_ms_p90": 44.0,
    "peak_memory_gb": 1.9,
    "peak_memory_kind": "resident set",
    "params_paper": 1_545_000,
    "paper_gflops_1024x2048": 31.1,
    "threads": 2,
    "device": "cpu",
    "precision": "bf16-mixed",
}


class Streets:
    """Sixteen scenes of 36x48 pixels: sky, houses, road, a pole and a car, one part not scored."""

    def __init__(self) -> None:
        self.labels, self.ids, self.groups = CAMVID, IDS, [name[0] for name in IDS]

    def __getitem__(self, index: int) -> tuple[UInt8, UInt8]:
        return np.full((36, 48, 3), 10 * index, np.uint8), self.mask(index)

    def mask(self, index: int) -> UInt8:
        mask = np.zeros((36, 48), np.uint8)
        mask[10:24], mask[24:], mask[:4, :6] = 1, 3, IGNORE
        mask[4:28, 5 + 2 * index] = 2
        mask[22:30, 30 - index : 40 - index] = 8
        return mask

    def fingerprint(self) -> str:
        return "d1"


def predict(index: int, wrong: float, seed: int) -> UInt8:
    """The truth with a share of its pixels as `Fence`, and road where nothing is scored."""
    mask = Streets().mask(index)
    mask[mask == IGNORE] = 3
    mask[np.random.default_rng([index, seed]).random(mask.shape) < wrong] = 7
    return mask


def write(
    folder: Path, model: str, wrong: float = 0.2, seed: int = 0, **changes: Any
) -> FinishedTrial:
    """A finished trial with its predictions; `changes` replace fields of its JSON."""
    for i, name in enumerate(IDS):
        image = Image.fromarray(predict(i, wrong, seed))
        image.putpalette(CAMVID.palette)
        (folder / "predictions").mkdir(exist_ok=True, parents=True)
        image.save(folder / "predictions" / f"{name}.png")
    scores = score_folder(folder / "predictions", Streets())
    record = _identity(model, seed) | {
        "data": {
            "name": "camvid",
            "split": "test",
            "num_images": 16,
            "classes": CAMVID.names,
            "block": 1,
            "warnings": ["train shares 3 views with test"],
        },
        "confusion": scores.confusion.tolist(),
        "metrics": scores.metrics().model_dump(),
        "cost": COST,
        "timing": {"train_seconds": 1500.0, "steps": 4000},
        "curve": {"train": [[1, 2.4], [2, 1.2]], "val": [[1, 0.25], [2, 0.3 + seed / 100]]},
        "path": folder / "result.json",
    }
    trial = FinishedTrial.model_validate(record | changes)
    write_result(trial, scores.arrays())
    return trial


def write_failed(folder: Path, model: str, reason: str) -> None:
    failure = {"kind": "other", "reason": reason}
    record = _identity(model, 0) | {"failure": failure, "path": folder / "result.json"}
    write_result(FailedTrial.model_validate(record))


def edit(path: Path, **parts: Any) -> None:
    """Replace parts of a result's JSON; of a part that is a dictionary the values named alone."""
    record = json.loads(path.read_text())
    for name, value in parts.items():
        record[name] = record[name] | value if isinstance(value, dict) else value
    path.write_text(json.dumps(record))


def _identity(model: str, seed: int) -> dict[str, Any]:
    return {
        "version": "0.2.0",
        "request": {"recipe": "camvid-quick", "overrides": ["steps=9"]},
        "recipe": dataclasses.asdict(RECIPE),
        "model": model,
        "seed": seed,
        "protocol": {"split": "test", "passes": {}},
        "hashes": HASHES,
        "environment": {"python": "3.11", "torch": "2.9", "jobs": 2, "device": "1 CPU threads"},
    }
