"""What training leaves on disk: its states, and the predictions of its network."""

import io
import os
import sys
import time
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from datamodules.loading.samples import Batch
from experiments.scoring.prediction_files import write_prediction
from experiments.trials.atomic_io import remove_drafts, write_bytes
from experiments.trials.environment import global_rank
from experiments.trials.result_types import TrialIdentity
from models.weight_files import damaged_record

_TRIAL = "trial"
_PAUSE = 200  # times as long as a save took, until the next


class WholeFiles(TorchCheckpointIO):
    """Checkpoints that are written beside their place and renamed to it.

    Lightning's own are staged in TMPDIR, from where the way to another file system is a copy that
    a kill cuts short, and which may have no room.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any = None
    ) -> None:
        torch.save(checkpoint, buffer := io.BytesIO())
        write_bytes(Path(path), buffer.getbuffer())


class Checkpoints(Callback):
    """Keeps the last two states of training, each written whole or not at all.

    Saving may take a two-hundredth of the time: small networks are saved every few seconds,
    HRNetV2-W48 with its half gigabyte every five minutes. Where a validation follows a
    step, its state is saved after the validation, so that a resumed curve has every point.

    Args:
        identity: of the trial, which every state says; one that says none is not gone on from.

    Attributes:
        saved_at: when a state was saved last, by the monotonic clock.
    """

    def __init__(
        self, folder: Path, identity: TrialIdentity | None, steps: int, val_every: int
    ) -> None:
        self.folder, self.steps, self.val_every = folder, steps, min(val_every, steps)
        self._trial = identity and marks(identity)
        self.saved_at, self._cost = time.monotonic(), 0.0

    def setup(self, trainer: L.Trainer, module: L.LightningModule, stage: str) -> None:
        if trainer.is_global_zero:
            remove_drafts(self.folder)

    def on_save_checkpoint(
        self, trainer: L.Trainer, module: L.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        checkpoint[_TRIAL] = self._trial

    def on_train_batch_end(self, trainer: L.Trainer, *_: object) -> None:
        step = trainer.global_step
        due = step == self.steps or time.monotonic() - self.saved_at >= _PAUSE * self._cost
        # Saving is done together, so one rank's clock decides for all.
        if step % self.val_every and trainer.strategy.broadcast(due):
            self._save(trainer)

    def on_validation_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._save(trainer)

    def _save(self, trainer: L.Trainer) -> None:
        before = time.monotonic()
        newest = _state_path(self.folder, trainer.global_step)
        trainer.save_checkpoint(newest)
        if trainer.is_global_zero:
            self._keep_two(newest)
        self.saved_at = time.monotonic()
        self._cost = self.saved_at - before

    def _keep_two(self, newest: Path) -> None:
        """Keep the state before, too; none of a later step is whole, as training went on here."""
        before = sorted(path for path in self.folder.glob("step*.ckpt") if path < newest)
        for path in before[-1:]:
            # After a loss of power one state is whole. Of the newest this would be a wait for the
            # disk; the one before has mostly reached it by now.
            with path.open("rb") as file:
                os.fsync(file.fileno())
        for path in self.folder.glob("step*.ckpt"):
            if path != newest and path not in before[-1:]:
                path.unlink(missing_ok=True)


def _state_path(folder: Path, step: int) -> Path:
    return folder / f"step{step:08d}.ckpt"


def last_checkpoint(folder: Path, identity: TrialIdentity | None = None) -> Path | None:
    """The newest state that is whole, by its checksums; a damaged one is passed over and said.

    Args:
        identity: of the trial that is to go on from it; None asks for no trial in particular.

    Raises:
        ValueError: it is of another trial, or does not say of which.
    """
    for path in sorted(folder.glob("checkpoints/step*.ckpt"), reverse=True):
        try:
            state = _whole(path)
        except Exception as error:  # whatever a damaged file makes the reader raise
            if global_rank() == 0:
                why = " ".join(str(error).split())[:200] or type(error).__name__
                print(f"passed over, as it is damaged: {path} ({why})", file=sys.stderr)
            continue
        if identity is not None:
            _check_trial(path, state.get(_TRIAL), identity)
        return path
    return None


def _whole(path: Path) -> dict[str, Any]:
    broken = damaged_record(path)
    if broken is not None:
        raise ValueError(f"the checksum of its part {broken} does not fit")
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state


def marks(identity: TrialIdentity) -> dict[str, Any]:
    """What tells a trial from every other: its hashes, network and seeds."""
    fields = {"model", "seed", "repeat", "init_seed", "data_seed"}
    hashes = identity.hashes.model_dump(mode="json")
    said = {f"hash of its {what}": value for what, value in hashes.items()}
    return {**identity.model_dump(mode="json", include=fields), **said}


def check_origin(path: Path, identity: TrialIdentity) -> None:
    """Refuse weights that say of themselves that another trial made them.

    Raises:
        ValueError: they do; what says nothing, as states of older versions, passes.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception:  # whoever takes the weights says it
        return
    said = state.get(_TRIAL) if isinstance(state, dict) else None
    differ = _differences(said, identity) if said else ""
    if differ:
        raise ValueError(
            f"the checkpoint {path} is not of the trial that trial.json beside it names "
            f"({differ}): evaluate it outside this folder with --model and --data"
        )


def _check_trial(path: Path, found: object, identity: TrialIdentity) -> None:
    said = found if isinstance(found, dict) else {}
    differ = _differences(said, identity)
    if differ:
        what = f"is of another trial ({differ})" if said else "does not say of which trial it is"
        raise ValueError(
            f"the checkpoint {path} {what}: move it away to keep it, or do the trial again from "
            "its start with --rerun all"
        )


def _differences(said: dict[str, Any], identity: TrialIdentity) -> str:
    """What a state says of its trial against a trial, in words; empty where it is this one."""
    differ = {k: v for k, v in marks(identity).items() if k not in said or said[k] != v}
    return "; ".join(f"{name} {said.get(name)}, not {value}" for name, value in differ.items())


class PredictionWriter(Callback):
    """Writes each predicted map as a palette PNG named by its image's id."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def setup(self, trainer: L.Trainer, module: L.LightningModule, stage: str) -> None:
        if trainer.is_global_zero and stage == "fit":  # before any rank predicts
            remove_drafts(self.folder)

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
