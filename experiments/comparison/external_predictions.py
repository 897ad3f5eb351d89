"""Scores of anybody's label maps, as results that stand beside trials."""

import argparse
import re
from collections import Counter
from pathlib import Path
from typing import Any

from rich.console import Console

from datamodules import dataset_info, open_data
from datamodules.dataset import Dataset
from datamodules.validation.check import checked
from experiments.reporting.image_panel import choose
from experiments.reporting.progress_bar import shown_progress
from experiments.scoring.metrics import ScoredPredictions, Scores, score_predictions
from experiments.scoring.prediction_files import write_prediction
from experiments.scoring.predictions import Predictions, open_predictions
from experiments.trials.atomic_io import write_arrays, write_json
from experiments.trials.comparability import check_comparable
from experiments.trials.result_types import TrialResult
from experiments.trials.results import SCHEMA, read_results
from experiments.trials.trial import slug

_INNER = re.compile(r"predictions|seed\d+.*")  # folders that say nothing of what made them


def score_folders(args: argparse.Namespace, keep: Path, console: Console) -> list[TrialResult]:
    """Results of the folders, written to `keep`, and to a comparison that they are added to."""
    data = open_data(args.data, args.split, args.data_root)
    names = _names(args.folders, args.name)
    others = read_results(args.add) if args.add else []
    trained = {result["model"] for result in others if result.record.get("cost")}
    if trained.intersection(names):
        raise ValueError(
            f"{args.add} has a trained {min(trained.intersection(names))}: give another --name"
        )
    common = _record(args, data)
    if not args.allow_mixed:
        check_comparable([*others, TrialResult(args.folders[0], {**common, "model": names[0]})])
    opened = [open_predictions(folder, data, args.ids) for folder in args.folders]
    scored = [_counted(data, predictions, args.jobs) for predictions in opened]
    for name, (_, _, form) in zip(names, scored, strict=True):
        console.print(f"{name} read as: {form}")
    results = []
    for name, (scores, _, _) in zip(names, scored, strict=True):
        record = {**common, "model": name, **_scored(scores)}
        inner = Path(slug(name), "seed0", "result.json")
        for folder in filter(None, (args.add and args.add / "scored", keep)):
            _write(folder / inner, record, scores)
        results.append(TrialResult(keep / inner, record))
    _keep_pictures(results, [predictions for _, predictions, _ in scored], data)
    return results


def _keep_pictures(results: list[TrialResult], opened: list[Predictions], data: Dataset) -> None:
    """Lay the predictions that a report shows beside their results, as palette PNGs."""
    for id in choose(results):
        index = data.ids.index(id)
        for result, predictions in zip(results, opened, strict=True):
            classes = predictions(index, data.mask(index))
            write_prediction(result.predictions / f"{id}.png", classes, data.labels.palette)


def score_again(args: argparse.Namespace, console: Console) -> list[TrialResult]:
    """Renew the metrics of finished trials and nothing else, once all predictions were found."""
    finished = [result for result in read_results(args.again) if result.done]
    if not finished:
        raise ValueError(f"no finished trial in {args.again}: run a comparison first")
    opened = [_reopen(result, args) for result in finished]
    for result, (data, predictions) in zip(finished, opened, strict=True):
        before, scores = result["metrics"]["miou"], _counted(data, predictions, args.jobs).scores
        # Hashes of the data set would refuse results of versions that hashed it otherwise.
        if scores.confusion.sum(1).tolist() != [sum(row) for row in result["confusion"]]:
            raise ValueError(f"{result.path} is of other labels: name theirs by --data-root")
        record = {**result.record, **_scored(scores)}
        _write(result.path, record, scores)
        result.record.update(record)
        now, name = record["metrics"]["miou"], f"{result.label} seed {result['seed']}"
        console.print(f"{name}: mIoU {100 * before:.2f} % before, {100 * now:.2f} % now")
    return finished


def _reopen(result: TrialResult, args: argparse.Namespace) -> tuple[Dataset, Predictions]:
    """The data set and the kept predictions of a finished trial."""
    name, split = result["data"]["name"], result["data"]["split"]
    if not result.predictions.is_dir():
        raise ValueError(f"{result.path} has no predictions beside it: only kept ones are scored")
    data = open_data(name, split, args.data_root)
    return data, open_predictions(result.predictions, data, "train")


def _names(folders: list[Path], given: list[str] | None) -> list[str]:
    """What tables call each folder: by default its last part but `predictions` and `seed0`."""
    names = given or [
        next(part for part in reversed(folder.resolve().parts) if not _INNER.fullmatch(part))
        for folder in folders
    ]
    if len(names) != len(folders):
        raise ValueError(
            f"{len(names)} --name for {len(folders)} folders: give one for each, in their order"
        )
    (name, times), *_ = Counter(map(slug, names)).most_common()
    if times > 1:
        raise ValueError(f"{times} folders are called {name}: give a --name for each, in order")
    return names


def _counted(data: Dataset, predictions: Predictions, jobs: int) -> ScoredPredictions:
    with shown_progress("images") as progress:
        return score_predictions(predictions, data, jobs, progress)


def _scored(scores: Scores) -> dict[str, Any]:
    return {"confusion": scores.confusion.tolist(), "metrics": scores.metrics()}


def _write(path: Path, record: dict[str, Any], scores: Scores) -> None:
    write_arrays(path.parent / "per_image.npz", scores.arrays())
    write_json(path, record)


def _record(args: argparse.Namespace, data: Dataset) -> dict[str, Any]:
    """A result without recipe, code and cost, which nobody told, and still without its scores.

    What it was trained on is unknown too: data have the scored split's fingerprint and no hash.
    """
    known = dataset_info(args.data)
    split = checked(args.data, args.data_root, [args.split]).splits[args.split]
    return {
        "schema": SCHEMA,
        "status": "done",
        "reason": None,
        "recipe": {"name": "unknown", "data": args.data, "test_split": args.split},
        "model": None,
        "seed": 0,
        "hashes": dict.fromkeys(("recipe", "data", "protocol", "code")),
        "data": {
            "name": args.data,
            "split": args.split,
            "num_images": len(data.ids),
            "classes": list(data.labels.names),
            "block": known.block if known else None,
            "fingerprints": {args.split: split.fingerprint},
        },
        "protocol": {"split": args.split, "size": "the label file's own"},
        "cost": None,
        "timing": None,
        "environment": {},
    }
