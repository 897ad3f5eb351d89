"""Files of ImageNet weights, fetched before anything that needs them runs."""

from collections.abc import Sequence

from experiments.trials.trial import State, Trial


def fetch_weights(trials: Sequence[Trial], data: str, rerun: str) -> None:
    """Have here what the trials that will start anew need.

    Args:
        data: hash of their data.
        rerun: as of `Trial.prepare`.

    Raises:
        ValueError: what is lacking, and where it belongs.
    """
    from models.imagenet import fetch, imagenet_networks  # it brings torch

    kept = (State.DONE, State.STALE) if rerun == "failed" else ()
    goes_on = (State.STARTED, State.FAILED) if rerun != "all" else ()
    models = dict.fromkeys(
        trial.model
        for trial in trials
        if (state := trial.state(data)) not in kept
        and not (state in goes_on and any(trial.folder.glob("checkpoints/*.ckpt")))
    )
    lacking = []
    for network in imagenet_networks(models):
        try:
            fetch(network)
        except ValueError as error:
            lacking.append(str(error))
    if lacking:
        raise ValueError("; ".join(lacking))
