"""What a trial costs above the arithmetic of its network, its loss and its optimiser."""

import copy
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import lightning as L
from lightning.pytorch.callbacks import Callback

from experiments.costs.device import synchronise, this_device
from experiments.speed.plain_loop import WARM_UP, Call, random_batch, sgd_step
from experiments.speed.speed_ratios import SpeedRatio
from experiments.training.hardware import reading_processes
from experiments.training.notes import noting
from experiments.training.preparation import prepare
from experiments.training.requested_trial import RequestedTrial
from experiments.training.trainer import build_trainer, fit


class Alternate(Callback):
    """After each block of training steps runs as many calls of another way, and times both.

    Then it ends the training. What is due after some time, as saving, does not see the other way's.

    Attributes:
        ours, other: milliseconds a step, block by block.

    Args:
        warm_up: steps before the first block.
        block: steps.
    """

    def __init__(self, call: Call, *, warm_up: int, blocks: int, block: int) -> None:
        self.call, self.warm_up, self.blocks, self.size = call, warm_up, blocks, block
        self.ours: list[float] = []
        self.other: list[float] = []
        self._since = 0.0

    def on_train_batch_end(self, trainer: L.Trainer, *__: object) -> None:
        step = trainer.global_step - self.warm_up
        if step < 0 or step % self.size:
            return
        if step > 0:
            self.ours.append(self._elapsed())
        began = time.monotonic()
        self._restart()
        for _ in range(self.size if step else WARM_UP):
            self.call()
        if step > 0:
            self.other.append(self._elapsed())
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            if hasattr(callback, "saved_at"):  # the one that saves a state after some time
                callback.saved_at += time.monotonic() - began
        trainer.should_stop = len(self.ours) == self.blocks
        self._restart()

    def _restart(self) -> None:
        synchronise(this_device())
        self._since = time.perf_counter()

    def _elapsed(self) -> float:
        synchronise(this_device())
        return 1000 * (time.perf_counter() - self._since) / self.size


def trial_against_bare_loop(ours: RequestedTrial, *, blocks: int, block: int) -> SpeedRatio:
    """A trial with all that it notes, reads and saves, against its network, loss and optimiser.

    The bare loop's batch stays in memory. Nothing of the trial is kept. It is timed from its second
    pass over the training images on.

    Args:
        block: steps that are timed together.
    """
    device, recipe = this_device(), ours.trial.recipe
    num_classes = len(ours.report.classes)
    batch = random_batch(recipe.batch, recipe.crop, num_classes, device, channels_last=True)
    with TemporaryDirectory() as folder:
        trial = replace(ours.trial, out=Path(folder))
        identity = trial.identity(ours.data_hash)
        root = ours.resources.data_root
        workers = reading_processes(devices=1)
        prepared = prepare(trial, identity, root, ours.report, ranks=1, workers=workers)
        once = len(prepared.splits.train.ids) // recipe.batch  # then all images are in memory
        bare = copy.deepcopy(prepared.module.model).to(device).train()
        call = sgd_step(bare, *batch, recipe.precision)
        timed = Alternate(call, warm_up=once + WARM_UP, blocks=blocks, block=block)
        notes = noting(trial)
        trainer = build_trainer(
            trial, identity, loggers=[notes.history], callbacks=[*notes.callbacks, timed]
        )
        fit(trainer, prepared)
    return SpeedRatio(
        what=f"training step, {recipe.batch} crops of {recipe.crop[0]}x{recipe.crop[1]}, "
        f"{recipe.precision}",
        ours=f"trial of {trial.model}",
        other="bare loop",
        ours_ms=tuple(timed.ours),
        other_ms=tuple(timed.other),
    )
