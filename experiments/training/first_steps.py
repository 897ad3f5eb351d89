"""The first steps of a trial, trained for their losses alone."""

from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from sys import stderr
from tempfile import TemporaryDirectory

from experiments.training.callbacks import FirstLosses
from experiments.training.requested_trial import RequestedTrial
from experiments.training.trainer import build_trainer, fit, prepare
from experiments.training.training_run import quieten


def train_first_steps(ours: RequestedTrial, num_steps: int) -> list[float]:
    """The loss of every one of a trial's first steps, by the recipe's own schedule and stream.

    Nothing is validated, predicted, logged or kept. On ranks other than 0 the list is the same.

    Raises:
        ValueError: as training itself.
    """
    quieten()
    resources, losses = ours.resources, list[float]()
    workers = 1 if resources.workers is None else resources.workers
    ranks = resources.devices * resources.num_nodes
    with TemporaryDirectory() as folder, redirect_stdout(stderr):
        trial = replace(ours.trial, out=Path(folder))
        prepared = prepare(trial, resources.data_root, ours.report, ranks=ranks, workers=workers)
        trainer = build_trainer(
            trial,
            devices=resources.devices,
            num_nodes=resources.num_nodes,
            callbacks=[FirstLosses(lambda _, loss: losses.append(loss), num_steps)],
            first_steps=num_steps,
        )
        fit(trial, trainer, prepared)
    return losses
