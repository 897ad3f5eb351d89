"""The position prior of a comparison, which every later call finds kept."""

from collections.abc import Sequence
from pathlib import Path

from datamodules import open_data
from experiments.scoring.position_prior import position_prior
from experiments.trials.result_types import PositionPrior, TrialResult
from experiments.trials.results import PRIOR, finished, read_record, write_record
from experiments.trials.trial import Trial


def kept_prior(
    trial: Trial, results: Sequence[TrialResult], root: Path | None, data: str
) -> PositionPrior | None:
    """Scores of the most frequent training class at each position.

    None before anything has finished, when they are not worth their time.

    Args:
        trial: one of the comparison.
        data: hash of its data.
    """
    if not finished(results):
        return None
    path, recipe = trial.comparison_folder / PRIOR, trial.recipe
    kept = read_record(path, PositionPrior)
    if kept is not None and kept.data == data:
        return kept
    splits = (recipe.train_split, recipe.test_split)
    train, test = (open_data(recipe.data, split, root) for split in splits)
    prior = PositionPrior(data=data, metrics=position_prior(train, test))
    write_record(path, prior)
    return prior
