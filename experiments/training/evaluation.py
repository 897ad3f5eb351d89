"""Predict a split with trained weights under any protocol, and score it."""

import io
import json
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from datamodules.dataset import Dataset
from datamodules.labels import DataError
from datamodules.loading.cache import open_cached
from datamodules.validation.check import checked
from experiments.reporting.progress_bar import shown_progress
from experiments.training.evaluation_request import EvaluationRequest, unscored
from experiments.trials.atomic_io import write_arrays, write_bytes, write_json
from experiments.trials.comparability import check_comparable
from experiments.trials.result_types import TrialResult
from experiments.trials.results import read_results
from experiments.trials.trial import seed_folder, slug
from models import build_model

if TYPE_CHECKING:
    from torch import nn

    from models.weights import Report


def evaluate(job: EvaluationRequest, comparison: Path | None) -> list[TrialResult]:
    """Predict what is not there yet and score it all; the results to show.

    Raises:
        ValueError: data, weights or earlier predictions that do not fit, or a comparison that the
            result cannot join.
    """
    splits = list(dict.fromkeys(job.splits))
    with shown_progress("images") as progress:
        found = checked(job.data, job.root, splits, progress=progress)
    if found.refused:
        raise DataError(
            f"{job.data} is refused for {len(found.errors)} errors, the first: {found.errors[0]}; "
            f"python -m experiments.data check {job.data} --data-root {job.root} shows them all"
        )
    data = open_cached(job.data, job.split, job.root, found.splits[job.split].fingerprint)
    record = unscored(job, found, data)
    others, target = _comparison(comparison, record)
    network, report = _load(job, data.labels.num_classes)
    record |= {"checkpoint": {"file": job.checkpoint.name, "sha256": report.sha256}}
    _claim(job.out, record)
    _predict(job, data, network)
    predictions = job.out / "predictions"
    if found.inspected and not any(found.splits[job.split].pixels):
        print(
            f"{job.split} of {job.data} has no label to score against; its predictions are in "
            f"{predictions}, and python -m experiments.data export writes them for a server"
        )
        return []
    from experiments.scoring.metrics import score_folder

    scores = score_folder(predictions, data)
    record |= {"confusion": scores.confusion.tolist(), "metrics": scores.metrics()}
    for path in filter(None, (job.out / "result.json", target)):
        write_arrays(path.parent / "per_image.npz", scores.arrays())
        write_json(path, record)
    return [*others, TrialResult(target or job.out / "result.json", record)]


def _comparison(
    folder: Path | None, record: dict[str, Any]
) -> tuple[list[TrialResult], Path | None]:
    """The other results of a comparison, and where in it this one goes.

    Raises:
        ValueError: they cannot share a table, or it has this model, seed and repeat already.
    """
    if folder is None:
        return [], None
    tuned = record["recipe"].get("tuned") is not None
    seed = seed_folder(record["seed"], tuned, record.get("repeat", 0))
    target = folder / "scored" / slug(record["model"]) / seed / "result.json"
    ours = TrialResult(target, record)
    found = read_results(folder)
    others = [r for r in found if (r.path, _row(r)) != (target, _row(ours))]
    for other in others:
        if other.path == target or _row(other) == _row(ours):
            raise ValueError(
                f"{folder} has {other.label} seed {other['seed']} already: compare it elsewhere"
            )
    check_comparable([*others, ours])
    return others, target


def _row(result: TrialResult) -> tuple[str, int, int]:
    return result.label, result["seed"], result.record.get("repeat", 0)


def _load(job: EvaluationRequest, classes: int) -> "tuple[nn.Module, Report]":
    """The network with its weights, none of them left to chance.

    Raises:
        ValueError: the file does not fill the whole network.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="the weights fit in part")  # refused or told here
        network = build_model(job.network, classes, weights=job.checkpoint)
    report: Report = network.load_report  # type: ignore[assignment]
    if report.mismatched or report.missing:
        what = "of another shape in" if report.mismatched else "missing in"
        names = ", ".join((report.mismatched or report.missing)[:2])
        raise ValueError(
            f"{names} {what} {job.checkpoint}, and {job.network} with the {classes} classes of "
            f"{job.data} needs it whole: give weights that were trained for these classes"
        )
    if report.unexpected:
        print(f"note: {report}", file=sys.stderr)
    return network, report


def _claim(out: Path, record: dict[str, Any]) -> None:
    """Say beside the predictions how they are made, before the first.

    Raises:
        ValueError: there are some that were made otherwise.
    """
    path, predictions = out / "evaluation.json", out / "predictions"
    data = record["hashes"]["data"] or record["data"]["fingerprints"]
    ours = {"weights": record["checkpoint"]["sha256"], "data": data}
    ours |= {key: record[key] for key in ("model", "protocol", "precision")}
    theirs = json.loads(path.read_text()) if path.is_file() else {}
    differ = [key for key in ours if theirs.get(key) != ours[key]]
    if differ and predictions.is_dir() and any(predictions.iterdir()):
        raise ValueError(
            f"{predictions} has predictions of other {' and '.join(differ)}: delete them, or name "
            "another folder with --out"
        )
    predictions.mkdir(parents=True, exist_ok=True)
    write_json(path, ours)


def _predict(job: EvaluationRequest, data: Dataset, network: "nn.Module") -> None:
    """Write a palette PNG for each image that has none yet, each whole or not at all."""
    import torch

    from experiments.costs.device import autocast, this_device
    from lightning_modules.inference import predict
    from lightning_modules.normalisation import Normalisation

    device, folder = this_device(), job.out / "predictions"
    network.to(memory_format=torch.channels_last).to(device).eval()
    normalise = Normalisation().to(device)
    todo = [i for i, id in enumerate(data.ids) if not (folder / f"{id}.png").is_file()]
    if len(todo) < len(data.ids):
        print(f"{len(data.ids) - len(todo)} of {len(data.ids)} images are predicted already")
    with (
        shown_progress("images") as progress,
        torch.inference_mode(),
        autocast(device, job.precision),
    ):
        for done, index in enumerate(todo, 1):
            image = torch.from_numpy(np.array(data[index][0])).to(device)[None]
            ids = predict(
                lambda image: network(normalise(image.permute(0, 2, 3, 1))),
                image.permute(0, 3, 1, 2),
                job.protocol,
            )
            picture = Image.fromarray(ids[0].cpu().numpy(), mode="P")
            picture.putpalette(data.labels.palette)
            picture.save(png := io.BytesIO(), "PNG")
            write_bytes(folder / f"{data.ids[index]}.png", png.getvalue())
            progress(done, len(todo))
