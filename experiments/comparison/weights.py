"""The files of weights that trials start from, here before any of them starts."""

from collections.abc import Sequence

from experiments.trials.trial import Action, Rerun, Trial, action


def fetch_weights(trials: Sequence[Trial], data: str, rerun: Rerun) -> None:
    """Have here what the trials that will start anew need.

    Args:
        data: hash of their data.
        rerun: as of `Trial.prepare`.

    Raises:
        ValueError: what is lacking, and where it belongs.
    """
    from models.imagenet import fetch, imagenet_networks  # it brings torch

    models = dict.fromkeys(trial.model for trial in trials if _starts_anew(trial, data, rerun))
    lacking = []
    for network in imagenet_networks(models):
        try:
            fetch(network)
        except ValueError as error:
            lacking.append(str(error))
    if lacking:
        raise ValueError("; ".join(lacking))


def _starts_anew(trial: Trial, data: str, rerun: Rerun) -> bool:
    todo = action(trial.state(data), rerun)
    goes_on = todo is Action.RUN and any(trial.folder.glob("checkpoints/*.ckpt"))
    return todo is not Action.KEEP and not goes_on
