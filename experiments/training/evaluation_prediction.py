"""Predictions of a split by trained weights under any protocol."""

import sys
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from datamodules.dataset import Dataset, Progress
from experiments.costs.device import autocast, this_device
from experiments.scoring.prediction_files import write_prediction
from experiments.training.evaluation_plan import Evaluation
from lightning_modules.inference import predict
from lightning_modules.normalisation import Normalisation
from models import build_model
from models.weights import Report

ShowProgress = Callable[[str], AbstractContextManager[Progress]]


def load_network(evaluation: Evaluation, num_classes: int) -> tuple[nn.Module, str]:
    """The network with its weights, none of them left to chance, and the hash of their file.

    Raises:
        ValueError: the file does not fill the whole network.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="the weights fit in part")  # refused or told here
        network = build_model(evaluation.network, num_classes, weights=evaluation.checkpoint)
    report = network.load_report
    assert isinstance(report, Report)
    if report.mismatched or report.missing:
        what = "of another shape in" if report.mismatched else "missing in"
        names = ", ".join((report.mismatched or report.missing)[:2])
        raise ValueError(
            f"{names} {what} {evaluation.checkpoint}, and {evaluation.network} with the "
            f"{num_classes} classes of {evaluation.data} needs it whole: give weights that were "
            "trained for these classes"
        )
    if report.unexpected:
        print(f"note: {report}", file=sys.stderr)
    return network, report.sha256


def predict_split(
    evaluation: Evaluation,
    data: Dataset,
    network: nn.Module,
    folder: Path,
    show_progress: ShowProgress,
) -> None:
    """Write a palette PNG for each image that has none yet, each whole or not at all."""
    device = this_device()
    network.to(memory_format=torch.channels_last).to(device).eval()
    normalise = Normalisation().to(device)

    def logits(image: Tensor) -> Tensor:
        found: Tensor = network(normalise(image.permute(0, 2, 3, 1)))
        return found

    todo = [i for i, id in enumerate(data.ids) if not (folder / f"{id}.png").is_file()]
    if len(todo) < len(data.ids):
        print(f"{len(data.ids) - len(todo)} of {len(data.ids)} images are predicted already")
    with (
        show_progress("images") as progress,
        torch.inference_mode(),
        autocast(device, evaluation.precision),
    ):
        for done, index in enumerate(todo, 1):
            image = torch.from_numpy(np.array(data[index][0])).to(device)[None]
            ids = predict(logits, image.permute(0, 3, 1, 2), evaluation.request.protocol)
            path = folder / f"{data.ids[index]}.png"
            write_prediction(path, ids[0].cpu().numpy(), data.labels.palette)
            progress(done, len(todo))
