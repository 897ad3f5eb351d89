"""Predictions from elsewhere: counted by several processes, and those that a report shows kept."""

from collections.abc import Sequence

from datamodules.dataset import Dataset
from experiments.comparison.scoring_request import MANY
from experiments.reporting.image_panel import PANEL, choose
from experiments.reporting.progress_bar import shown_progress
from experiments.scoring.metrics import ScoredPredictions, score_predictions
from experiments.scoring.prediction_files import write_prediction
from experiments.scoring.predictions import Predictions
from experiments.trials.result_types import FinishedTrial


def counted(data: Dataset, predictions: Predictions, jobs: int) -> ScoredPredictions:
    """Scores of the predictions of a split.

    Raises:
        PredictionError: as `score_predictions`.
    """
    with shown_progress("images") as progress:
        return score_predictions(predictions, data, jobs, progress)


def keep_pictures(
    results: Sequence[FinishedTrial], opened: Sequence[Predictions], data: Dataset
) -> None:
    """Write the chosen images' predictions as palette PNGs; of many images, evenly spaced ones."""
    few = len(data.ids) <= MANY
    for id in choose(results) if few else data.ids[:: len(data.ids) // PANEL][:PANEL]:
        index = data.ids.index(id)
        truth = data.mask(index)
        for result, predictions in zip(results, opened, strict=True):
            classes = predictions(index, truth)
            write_prediction(result.predictions / f"{id}.png", classes, data.labels.palette)
