"""Results on disk: one JSON a trial, with a compressed array of per-image counts beside it.

Nothing here imports torch, so that a report or a notebook starts anywhere in a second.
"""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

SCHEMA = 1
PRIOR = "position-prior.json"
EVALUATED = "evaluated"  # folder of what `experiments.evaluate` makes of a trial
TUNED = "tuned.json"  # beside a tuned network's result: the trials it was chosen from
DID_NOT_TRAIN = "did not train under"  # how the reason begins where a loss was no number


@dataclass(frozen=True)
class TrialResult:
    """A finished or failed trial as `result.json` holds it.

    Keys of `record`: schema, status ("done" or "failed"), reason, recipe, untuned (hash of the
    recipe without tuning; not in older files), model, seed, repeat (of the same seed; absent is 0),
    hashes (recipe, data, protocol, code), init (kind, and of a file source, sha256, licence and
    load report; not in older files), data, protocol, confusion (rows truth, columns prediction),
    metrics, cost, timing, environment, curve.
    """

    path: Path
    record: dict[str, Any]

    def __getitem__(self, key: str) -> Any:
        return self.record[key]

    @property
    def done(self) -> bool:
        return bool(self.record["status"] == "done")

    @property
    def label(self) -> str:
        """The model as a row of its own is called, with what tuning chose."""
        recipe = self.record["recipe"]
        if recipe.get("tuned") is None:
            return str(self.record["model"])
        lr, decay = recipe["lr"], recipe["weight_decay"]
        return f"{self.record['model']} (tuned: lr {lr:g}, wd {decay:g})"

    @property
    def init(self) -> str:
        """The initial weights, as `random` or `imagenet (resnet101.a1h_in1k)`.

        `unknown` for predictions that came from elsewhere.
        """
        kind = self.record["recipe"].get("init", "unknown")
        source = self.record.get("init", {}).get("source")
        return f"{kind} ({source})" if source else str(kind)

    @property
    def predictions(self) -> Path:
        return self.path.parent / "predictions"

    def per_image(self) -> dict[str, Any]:
        """ids (n,), groups (n,) and tp, fp, fn (n, K) of the scored split."""
        with np.load(self.path.parent / "per_image.npz") as arrays:
            return dict(arrays)


def read_result(path: Path) -> TrialResult | None:
    """The result of a trial, or None where there is none.

    Raises:
        ValueError: a file of another schema, or one that is not JSON.
    """
    if not path.is_file():
        return None
    try:
        record = json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise ValueError(
            f"{path} is not JSON ({error}): delete it to run the trial again"
        ) from None
    if record.get("schema") != SCHEMA:
        raise ValueError(
            f"{path} has schema {record.get('schema')}, this code reads {SCHEMA}: "
            "read it with the version that wrote it, or delete it to run the trial again"
        )
    return TrialResult(path, record)


def read_results(folder: Path | str) -> list[TrialResult]:
    """Every result below a folder, finished or failed, in the order of their paths.

    Raises:
        ValueError: no such folder, or a result that cannot be read.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"no results folder at {folder.absolute()}: run a comparison first")
    paths = sorted(folder.rglob("result.json"))
    # What `evaluate` left beside a trial has another protocol or split.
    found = (read_result(p) for p in paths if EVALUATED not in p.relative_to(folder).parts)
    return [result for result in found if result is not None]


def read_prior(folder: Path, results: Sequence[TrialResult]) -> dict[str, Any] | None:
    """Scores of the position prior that `compare` left in a folder; None if of other data."""
    path = folder / PRIOR
    prior: dict[str, Any] | None = json.loads(path.read_text()) if path.is_file() else None
    known = prior is not None and any(r["hashes"]["data"] == prior.get("data") for r in results)
    return prior if known else None


def publish(results: list[TrialResult], folder: Path, panel: list[str]) -> None:
    """Copy finished results, with the panel's predictions, into a folder that is kept.

    Raises:
        ValueError: two of them would be copied to one place, as of two recipes.
    """
    done = [result for result in results if result.done]
    targets = [folder / r.path.parent.parent.name / r.path.parent.name for r in done]
    twice = next((target for target in targets if targets.count(target) > 1), None)
    if twice is not None:
        raise ValueError(
            f"two results would be copied to {twice}: publish each comparison's folder apart"
        )
    for result, target in zip(done, targets, strict=True):
        source = result.path.parent
        names = ["result.json", "per_image.npz", *(f"predictions/{id}.png" for id in panel)]
        names += [name for name in (TUNED,) if (source / name).is_file()]
        (target / "predictions").mkdir(parents=True, exist_ok=True)
        for name in names:
            shutil.copyfile(source / name, target / name)
        prior = source.parent.parent / PRIOR
        if prior.is_file():
            shutil.copyfile(prior, folder / PRIOR)
