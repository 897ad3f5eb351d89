"""How a trial that was asked to end does so without losing a step."""

import math

import lightning as L
from lightning.pytorch.callbacks import Callback

from experiments.training.checkpoints import Checkpoints
from experiments.trials.signals import end_request


class EndsWhenAsked(Callback):
    """Ends a process that was asked to end, once its state is saved: at the next step, or after the
    validation that follows it.

    To come after `Checkpoints`. Processes that train together save and end together.
    """

    def __init__(self) -> None:
        self.request = end_request()
        self._checkpoints: Checkpoints | None = None
        self._saved_at = 0.0

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        kept = [one for one in trainer.callbacks if isinstance(one, Checkpoints)]  # type: ignore[attr-defined]
        (self._checkpoints,) = kept
        self._saved_at = self._checkpoints.saved_at
        self.request.saves = True

    def on_train_batch_start(self, *_: object) -> None:
        if self.request.asked and self._checkpoints is not None:
            self._checkpoints.saved_at = self._saved_at = -math.inf  # so long ago that it is due

    def _end_once_saved(self, trainer: L.Trainer) -> None:
        if self._checkpoints is None or self._checkpoints.saved_at == self._saved_at:
            return
        self._saved_at = self._checkpoints.saved_at
        if trainer.strategy.reduce_boolean_decision(self.request.asked, all=False):
            self.request.asked = True
            self.request.obey()

    def on_train_batch_end(self, trainer: L.Trainer, *_: object) -> None:
        self._end_once_saved(trainer)

    def on_validation_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._end_once_saved(trainer)

    def on_exception(self, *_: object) -> None:
        self.request.obey()  # what is met on the way out, as the end of other ranks, is no failure

    def on_train_end(self, *_: object) -> None:
        self.request.saves = False
        self.request.obey()
