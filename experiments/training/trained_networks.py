"""The two networks of a finished trial: as it was initialised, and as it was scored."""

from dataclasses import dataclass, replace
from pathlib import Path

from torch import nn

from experiments.training.evaluation_plan import plan_evaluation
from experiments.training.evaluation_prediction import load_network
from experiments.training.evaluation_request import EvaluationRequest
from experiments.training.initialisation import build_module
from experiments.trials.protocols import Protocol
from experiments.trials.result_types import Checkpoint, FinishedTrial, TrialIdentity
from experiments.trials.trial import Trial


@dataclass(frozen=True)
class TrainedNetwork:
    """What a trial's predictions were made with.

    Attributes:
        steps: that it was trained.
        identity: what the trial would say of itself now: its `hashes.code` and `version` are of
            the source that runs the network.
    """

    network: nn.Module
    steps: int
    checkpoint: Checkpoint
    identity: TrialIdentity


def trained_network(result: FinishedTrial) -> TrainedNetwork:
    """The network that was scored: the state after the last step, which the trial has kept.

    Raises:
        ValueError: a result without training or without that state, or one of another trial, or
            damaged.
    """
    trial = _trial(result)
    path = result.path.parent / "checkpoints" / f"step{trial.recipe.steps:08d}.ckpt"
    if not path.is_file():
        raise ValueError(
            f"{result.path.parent} has no {path.relative_to(result.path.parent)}, the state that "
            "was scored (kept results have none): name the folder of the trial where it ran, or "
            "run it again"
        )
    evaluation = plan_evaluation(EvaluationRequest(checkpoint=path, protocol=Protocol()))
    network, sha256 = load_network(evaluation, len(result.data.classes))
    checkpoint = Checkpoint(file=path.name, sha256=sha256)
    return TrainedNetwork(network, trial.recipe.steps, checkpoint, trial.identity())


def untrained_network(result: FinishedTrial) -> nn.Module:
    """The same network before its first step, by the function that the trial began with.

    Raises:
        ValueError: a result without training, or first weights from a file that is not here.
    """
    trial = _trial(result)
    # Weights of classes are no part of the network, and a rule for them reads the training split.
    plain = replace(trial, recipe=replace(trial.recipe, class_weights=None))
    network: nn.Module = build_module(plain, result.data.classes).model
    return network


def _trial(result: FinishedTrial) -> Trial:
    if result.recipe is None or result.checkpoint is not None:
        raise ValueError(
            f"{result.path} is of predictions or weights from elsewhere, whose training nobody "
            "knows: name the result of a trial"
        )
    return Trial(result.recipe, result.model, result.seed, Path(), result.repeat)
