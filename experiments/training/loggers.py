"""Where the points of a trial's curves go."""

import json
import math
import os
from pathlib import Path

import lightning as L
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from datamodules.dataset import Dataset
from experiments.training.callbacks import Panel
from experiments.training.wandb_content import init_of_trial, summary, trial_content_hash
from experiments.training.wandb_run import Mirror
from experiments.trials.atomic_io import no_room
from experiments.trials.environment import WandbMode, global_rank
from experiments.trials.history import FIRST_LOSS, HISTORY, curve_of, read_points
from experiments.trials.result_types import Curve, FinishedTrial, TrialIdentity

_LAST_POINT = "last_point"


class History(Logger):
    """Appends every logged point to a JSON-lines file: the truth that other loggers mirror."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.path = folder / HISTORY
        self._begun = False

    @property
    def name(self) -> str:
        return "history"

    @property
    def version(self) -> int:
        return 0

    def log_hyperparams(self, *_: object, **__: object) -> None:
        """The recipe is in the result already."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        # No number is the mIoU of a split that is void throughout.
        point = {k: v for k, v in metrics.items() if k != "epoch" and math.isfinite(v)}
        self._append(json.dumps({"step": int(step or 0), **point}).encode() + b"\n")
        if "val/miou" in point:
            print(f"step {step}: validation mIoU {100 * point['val/miou']:.1f} %", flush=True)

    def _append(self, line: bytes) -> None:
        """Add a whole line or nothing."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a+b", buffering=0) as file:
            end = file.seek(0, os.SEEK_END)
            if end and not self._begun:
                file.seek(end - 1)
                if (
                    file.read(1) != b"\n"
                ):  # a line that a kill cut short would take this one with it
                    line = b"\n" + line
            left = memoryview(line)
            try:
                while left:  # a disk may take a part before it says that it is full
                    left = left[file.write(left) :]
            except OSError as error:
                file.truncate(end)
                raise no_room(error, self.path, len(line)) from None
        self._begun = True

    def log_first_loss(self, step: int, loss: float) -> None:
        """Keep a loss that no other logger hears of."""
        self.log_metrics({FIRST_LOSS: loss}, step)

    def curve(self) -> Curve:
        return curve_of(read_points(self.path))


class Dashboard(Logger):
    """Mirrors the history to W&B, with a panel of four fixed validation images."""

    def __init__(self, mirror: Mirror, val: Dataset) -> None:
        super().__init__()
        self.mirror = mirror
        self.panel = Panel(mirror, val)

    @classmethod
    def of_trial(
        cls,
        folder: Path,
        identity: TrialIdentity,
        val: Dataset,
        mode: WandbMode | None,
        group: str | None,
    ) -> "Dashboard":
        """The W&B run of a trial, of which rank 0 tells; `mode` and `group` as of `Mirror`."""
        init = init_of_trial(identity, group)
        return cls(Mirror(folder, mode if global_rank() == 0 else "off", identity.id, init), val)

    @property
    def name(self) -> str:
        return "dashboard"

    @property
    def version(self) -> int:
        return 0

    def log_hyperparams(self, *_: object, **__: object) -> None:
        """The recipe is the run's config."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        points = {k: v for k, v in metrics.items() if k != "epoch"}
        self.mirror.log({**points, "step": int(step or 0)})

    def close(self, result: FinishedTrial) -> None:
        """Send the scores and costs, and end the run."""
        shown = summary(result)
        stamp = trial_content_hash(self.mirror.config, shown, result.curve)
        self.mirror.close({**shown, "mirror": stamp} if self.mirror.whole else shown)


class LastPoint(Callback):
    """Keeps the point of a checkpoint's own step in it.

    A state is saved before the loggers hear of its step, so a kill between both would otherwise
    leave a hole in the history.
    """

    def __init__(self, history: History, every: int) -> None:
        self.history, self.every = history, every

    def on_save_checkpoint(
        self, trainer: L.Trainer, module: L.LightningModule, checkpoint: dict[str, dict[str, float]]
    ) -> None:
        part = "val/" if trainer.validating else "train/"
        if part == "train/" and trainer.global_step % self.every:
            return
        metrics = {k: float(v) for k, v in trainer.callback_metrics.items() if k.startswith(part)}
        checkpoint[_LAST_POINT] = {**metrics, "step": trainer.global_step}

    def on_load_checkpoint(
        self, trainer: L.Trainer, module: L.LightningModule, checkpoint: dict[str, dict[str, float]]
    ) -> None:
        point = dict(checkpoint.get(_LAST_POINT, {}))
        if point:
            self.history.log_metrics(point, int(point.pop("step")))
