"""What a trial costs above the arithmetic of its network, its loss and its optimiser."""

import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback

from experiments.costs.device import synchronise, this_device
from experiments.costs.plain_loop import WARM_UP, Call, random_batch, sgd_step
from experiments.costs.speed_ratios import SpeedRatio
from experiments.training.hardware import reading_processes
from experiments.training.notes import noting
from experiments.training.requested_trial import RequestedTrial
from experiments.training.trainer import build_trainer, fit, prepare
from models import build_model


class Alternate(Callback):
    """After each block of training steps runs as many calls of another way, and times both.

    Attributes:
        ours, other: milliseconds a step, block by block.

    Args:
        block: steps.
    """

    def __init__(self, other: Call, block: int) -> None:
        self.other_call, self.steps = other, block
        self.ours: list[float] = []
        self.other: list[float] = []
        self._since = 0.0

    def on_train_batch_end(self, trainer: L.Trainer, *__: object) -> None:
        step = trainer.global_step - WARM_UP
        if step < 0 or step % self.steps:
            return
        if step == 0:
            for _ in range(WARM_UP):
                self.other_call()
        else:
            self.ours.append(self._elapsed())
            self._restart()
            for _ in range(self.steps):
                self.other_call()
            self.other.append(self._elapsed())
        self._restart()

    def _restart(self) -> None:
        synchronise(this_device())
        self._since = time.perf_counter()

    def _elapsed(self) -> float:
        synchronise(this_device())
        return 1000 * (time.perf_counter() - self._since) / self.steps


def trial_against_bare_loop(ours: RequestedTrial, *, blocks: int, block: int) -> SpeedRatio:
    """A trial with all that it notes, reads and saves, against its network, loss and optimiser.

    The bare loop's batch stays in memory. Nothing of the trial is kept.

    Args:
        block: steps that are timed together.
    """
    device, recipe = this_device(), ours.trial.recipe
    num_classes = len(ours.report.classes)
    bare = build_model(ours.trial.model, num_classes)
    bare = bare.to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    batch = random_batch(recipe.batch, recipe.crop, num_classes, device, channels_last=True)
    steps = WARM_UP + blocks * block
    with TemporaryDirectory() as folder:
        trial = replace(
            ours.trial, out=Path(folder), recipe=replace(recipe, steps=steps, val_every=steps)
        )
        identity = trial.identity(ours.data_hash)
        root = ours.resources.data_root
        workers = reading_processes(devices=1)
        prepared = prepare(trial, identity, root, ours.report, ranks=1, workers=workers)
        timed = Alternate(sgd_step(bare, *batch, recipe.precision), block)
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
