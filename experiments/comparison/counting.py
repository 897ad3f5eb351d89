"""Predictions counted by several processes, with their progress shown."""

from datamodules.dataset import Dataset
from experiments.reporting.progress_bar import shown_progress
from experiments.scoring.metrics import ScoredPredictions, score_predictions
from experiments.scoring.predictions import Predictions


def counted(data: Dataset, predictions: Predictions, jobs: int) -> ScoredPredictions:
    """Scores of the predictions of a split.

    Raises:
        PredictionError: as `score_predictions`.
    """
    with shown_progress("images") as progress:
        return score_predictions(predictions, data, jobs, progress)
