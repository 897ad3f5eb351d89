"""Predict a split with trained weights under any protocol, and score it."""

from datamodules.loading.cache import open_cached
from experiments.scoring.metrics import score_folder
from experiments.training.evaluation_folder import Evaluated, join, with_origin
from experiments.training.evaluation_plan import Evaluation
from experiments.training.evaluation_prediction import ShowProgress, load_network, predict_split
from experiments.training.evaluation_result import unscored_evaluation
from experiments.trials.data_check import check_splits


def evaluate(evaluation: Evaluation, show_progress: ShowProgress) -> Evaluated:
    """Predict what is not there yet and score it all.

    Raises:
        ValueError: data, weights or earlier predictions that do not fit, or a comparison that the
            result cannot join.
    """
    request, split = evaluation.request, evaluation.split
    with show_progress("images") as progress:
        report = check_splits(evaluation.data, request.data_root, evaluation.splits, progress)
    summary = report.splits[split]
    data = open_cached(evaluation.data, split, request.data_root, summary.fingerprint)
    result = unscored_evaluation(evaluation, report)
    comparison = join(request.add, result)
    network, sha256 = load_network(evaluation, data.labels.num_classes)
    result = with_origin(result, evaluation.checkpoint, sha256)
    predict_split(evaluation, data, network, result.predictions, show_progress)
    if report.inspected and not any(summary.pixels):
        return Evaluated([], result.predictions)
    scores = score_folder(result.predictions, data)
    result = result.scored(scores.confusion.tolist(), scores.metrics(), scores.unpredicted)
    return Evaluated(comparison.keep(result, scores.arrays()), result.predictions)
