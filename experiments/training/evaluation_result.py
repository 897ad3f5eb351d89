"""The result of an evaluation, but for its scores and its weights."""

from datamodules.validation.check_report import CheckReport
from experiments import __version__
from experiments.training.evaluation_plan import Evaluation
from experiments.trials.data_check import scored_data
from experiments.trials.hashing import short_hash
from experiments.trials.protocols import EvaluationProtocol, Selection
from experiments.trials.result_types import FinishedTrial, Hashes, TrialIdentity
from experiments.trials.results import RESULT


def unscored_evaluation(evaluation: Evaluation, report: CheckReport) -> FinishedTrial:
    """What is known before anything is predicted. Costs are left out: passes differ in them."""
    protocol = _protocol(evaluation)
    prints = [report.splits[name].fingerprint for name in evaluation.splits]
    known = evaluation.trial
    identity = known or TrialIdentity(
        version=__version__,
        request=None,
        recipe=None,
        model=evaluation.label,
        seed=0,
        protocol=protocol,
        hashes=Hashes(recipe=None, data=None, protocol=None, code=None),
    )
    hashes = identity.hashes.model_copy(
        update={"data": short_hash(prints) if known else None, "protocol": protocol.hash()}
    )
    identity = identity.model_copy(
        update={"model": evaluation.label, "protocol": protocol, "hashes": hashes}
    )
    data = scored_data(evaluation.data, evaluation.split, report, evaluation.splits)
    result = identity.unscored(evaluation.out / RESULT, data)
    return result.model_copy(update={"precision": evaluation.precision})


def _protocol(evaluation: Evaluation) -> EvaluationProtocol:
    recipe, checkpoint = evaluation.recipe, evaluation.checkpoint.name
    selection: Selection = "unknown"
    if recipe is not None:
        last = checkpoint == f"step{recipe.steps:08d}.ckpt"
        selection = "last step" if last else "by hand"
    other = recipe is not None and evaluation.precision != recipe.precision
    return EvaluationProtocol(
        split=evaluation.split,
        passes=evaluation.request.protocol,
        selection=selection,
        checkpoint=checkpoint if selection == "by hand" else None,
        precision=evaluation.precision if other else None,
    )
