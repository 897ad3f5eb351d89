"""Trials that have ended, without having run: their result files and nothing else."""

from experiments.trials.result_types import Data, Failure, FailureKind, FinishedTrial, Metrics
from experiments.trials.results import write_record
from experiments.trials.trial import Trial

DATA = "0123456789ab"  # hash of what they are of


def finished(trial: Trial, miou: float | None = 0.5, data: str = DATA) -> FinishedTrial:
    """The result of a trial, in memory alone."""
    recipe = trial.recipe
    known = Data(
        name=recipe.data, split=recipe.test_split, num_images=1, classes=("a", "b"), block=None
    )
    scores = Metrics(miou=miou, pixel_accuracy=0.9, num_classes_counted=2, iou={"a": 0.5, "b": 0.5})
    result = trial.identity(data).unscored(trial.result_path, known)
    return result.scored([[5, 1], [1, 5]], scores)


def finish(trial: Trial, miou: float | None = 0.5, data: str = DATA, **hashes: str) -> None:
    """Leave a finished result; `hashes` are not those of the trial."""
    result = finished(trial, miou, data)
    other = result.hashes.model_copy(update=hashes)
    write_record(trial.result_path, result.model_copy(update={"hashes": other}))


def fail(
    trial: Trial, reason: str = "no memory", kind: FailureKind = "other", **hashes: str
) -> None:
    """Leave a failed result; `hashes` are not those of the trial."""
    result = trial.identity(DATA).fail(trial.result_path, Failure(kind=kind, reason=reason))
    other = result.hashes.model_copy(update=hashes)
    write_record(trial.result_path, result.model_copy(update={"hashes": other}))
