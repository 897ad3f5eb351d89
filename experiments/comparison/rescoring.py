"""The kept predictions of finished trials, scored once more."""

from rich.console import Console

from datamodules import open_data
from datamodules.dataset import Dataset
from experiments.comparison.scored_predictions import counted
from experiments.comparison.scoring_request import ScoringRequest
from experiments.scoring.predictions import Predictions, open_predictions
from experiments.trials.result_types import FinishedTrial
from experiments.trials.results import finished, read_identity, read_results, write_result


def score_again(request: ScoringRequest, console: Console) -> list[FinishedTrial]:
    """Renew the metrics of finished trials and nothing else, once all predictions were found.

    Raises:
        PredictionError: predictions that cannot be scored.
        ValueError: no finished trial, none of its predictions, or other labels.
    """
    assert request.again is not None
    trials = finished(read_results(request.again))
    if not trials:
        raise ValueError(f"no finished trial in {request.again}: run a comparison first")
    opened = [_reopen(trial, request) for trial in trials]
    renewed = []
    for trial, (data, predictions) in zip(trials, opened, strict=True):
        scores = counted(data, predictions, request.processes).scores
        # Hashes of the data set would refuse results of versions that hashed it otherwise.
        if scores.with_void[:-1].sum(1).tolist() != trial.true_pixels:
            raise ValueError(f"{trial.path} is of other labels: name theirs by --data-root")
        now = trial.scored(scores.confusion.tolist(), scores.metrics(), scores.unpredicted)
        write_result(now, scores.arrays())
        renewed.append(now)
        console.print(
            f"{now.label} seed {now.seed}: mIoU {100 * trial.miou:.2f} % before, "
            f"{100 * now.miou:.2f} % now"
        )
    return renewed


def _reopen(trial: FinishedTrial, request: ScoringRequest) -> tuple[Dataset, Predictions]:
    """The data set and the kept predictions of a finished trial."""
    started = read_identity(trial.path.parent)
    if started is not None and (started.model, started.seed) != (trial.model, trial.seed):
        raise ValueError(
            f"{trial.path} is of {trial.model} seed {trial.seed}, and what lies beside it of "
            f"{started.model} seed {started.seed}: put the right result there"
        )
    if not trial.predictions.is_dir():
        raise ValueError(f"{trial.path} has no predictions beside it: only kept ones are scored")
    data = open_data(trial.data.name, trial.data.split, request.data_root)
    return data, open_predictions(trial.predictions, data, "train")
