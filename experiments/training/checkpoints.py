"""What training leaves on disk: its states, and the predictions of its network."""

import time
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from datamodules.loading.datamodule import Batch
from experiments.scoring.prediction_files import write_prediction


class Checkpoints(Callback):
    """Keeps the last two states of training, each written whole or not at all.

    Saving may take a twentieth of the time: small networks are saved at every step or so,
    HRNetV2-W48 with its half gigabyte every half minute. Where a validation follows a step, its
    state is saved after the validation, so that a resumed curve has every point.
    """

    def __init__(self, folder: Path, steps: int, val_every: int) -> None:
        self.folder, self.steps, self.val_every = folder, steps, min(val_every, steps)
        self._saved, self._cost = time.monotonic(), 0.0

    def on_train_batch_end(
        self, trainer: L.Trainer, module: L.LightningModule, outputs: Any, batch: Any, index: int
    ) -> None:
        step = trainer.global_step
        due = step == self.steps or time.monotonic() - self._saved >= 20 * self._cost
        # Saving is done together, so one rank's clock decides for all.
        if step % self.val_every and trainer.strategy.broadcast(due):
            self._save(trainer)

    def on_validation_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._save(trainer)

    def _save(self, trainer: L.Trainer) -> None:
        before = time.monotonic()
        trainer.save_checkpoint(self.folder / f"step{trainer.global_step:08d}.ckpt")
        if trainer.is_global_zero:
            for old in sorted(self.folder.glob("step*.ckpt"))[:-2]:
                old.unlink(missing_ok=True)
        self._saved = time.monotonic()
        self._cost = self._saved - before


def last_checkpoint(folder: Path) -> Path | None:
    """The newest state that can be read; damaged ones are passed over."""
    for path in sorted(folder.glob("checkpoints/step*.ckpt"), reverse=True):
        try:
            torch.load(path, map_location="cpu", weights_only=True)
        except Exception:  # whatever a damaged file makes the reader raise
            continue
        return path
    return None


class PredictionWriter(Callback):
    """Writes each predicted map as a palette PNG named by its image's id."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_predict_batch_end(
        self,
        trainer: L.Trainer,
        module: L.LightningModule,
        outputs: Tensor,
        batch: Batch,
        index: int,
        dataloader: int = 0,
    ) -> None:
        data = trainer.datamodule.test  # type: ignore[attr-defined]
        for position, ids in zip(batch["index"].tolist(), outputs.cpu().numpy(), strict=True):
            if position >= 0:  # not the dummy of an empty shard
                path = self.folder / f"{data.ids[position]}.png"
                write_prediction(path, ids, data.labels.palette)
