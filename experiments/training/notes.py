"""What every trial notes while it runs, apart from its dashboard."""

from typing import NamedTuple

from lightning.pytorch.callbacks import Callback

from experiments.training.callbacks import (
    Clock,
    FirstLosses,
    OwnSignals,
    Progress,
)
from experiments.training.checkpoints import PredictionWriter
from experiments.training.ending import EndsWhenAsked
from experiments.training.loggers import History, LastPoint
from experiments.trials.history import log_every
from experiments.trials.trial import Trial


class Noting(NamedTuple):
    """Where notes go, and what makes them."""

    history: History
    clock: Clock
    callbacks: list[Callback]


def noting(trial: Trial) -> Noting:
    """Of a trial that is about to run."""
    clock, history = Clock(), History(trial.folder)
    callbacks: list[Callback] = [
        OwnSignals(),
        PredictionWriter(trial.folder / "predictions"),
        clock,
        FirstLosses(history.log_first_loss),
        LastPoint(history, log_every(trial.recipe.steps)),
        Progress(trial.folder / "progress.json", trial.recipe.steps),
        EndsWhenAsked(),
    ]
    return Noting(history, clock, callbacks)
