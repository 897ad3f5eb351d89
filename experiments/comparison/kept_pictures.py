"""Predictions from elsewhere that a report shows, laid beside their results."""

from collections.abc import Sequence

from datamodules.dataset import Dataset
from experiments.reporting.image_panel import choose
from experiments.scoring.prediction_files import write_prediction
from experiments.scoring.predictions import Predictions
from experiments.trials.result_types import FinishedTrial


def keep_pictures(
    results: Sequence[FinishedTrial], opened: Sequence[Predictions], data: Dataset
) -> None:
    """Write the chosen images' predictions as palette PNGs."""
    for id in choose(results):
        index = data.ids.index(id)
        truth = data.mask(index)
        for result, predictions in zip(results, opened, strict=True):
            classes = predictions(index, truth)
            write_prediction(result.predictions / f"{id}.png", classes, data.labels.palette)
