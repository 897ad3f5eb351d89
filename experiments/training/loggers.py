"""Where the points of a trial's curves go."""

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from datamodules.dataset import Dataset
from experiments.training.callbacks import Panel
from experiments.training.wandb_run import Mirror, content, summary
from experiments.trials.history import read_points


class History(Logger):
    """Appends every logged point to a JSON-lines file: the truth that other loggers mirror."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    @property
    def name(self) -> str:
        return "history"

    @property
    def version(self) -> int:
        return 0

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kw: Any) -> None:
        """The recipe is in the result already."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        point = {k: v for k, v in metrics.items() if k != "epoch"}
        with self.path.open("a") as file:
            file.write(json.dumps({"step": int(step or 0), **point}) + "\n")
        if "val/miou" in point:
            print(f"step {step}: validation mIoU {100 * point['val/miou']:.1f} %", flush=True)

    def curve(self) -> dict[str, list[list[float]]]:
        """Points [step, value] of the training loss and of the validation mIoU."""
        names = {"train": "train/loss", "val": "val/miou"}
        points = read_points(self.path)
        return {
            name: [[point["step"], point[key]] for point in points if key in point]
            for name, key in names.items()
        }


class Dashboard(Logger):
    """Mirrors the history to W&B, with a panel of four fixed validation images."""

    def __init__(self, mirror: Mirror, val: Dataset) -> None:
        super().__init__()
        self.mirror = mirror
        self.panel = Panel(mirror, val)

    @property
    def name(self) -> str:
        return "dashboard"

    @property
    def version(self) -> int:
        return 0

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kw: Any) -> None:
        """The recipe is the run's config."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        points = {k: v for k, v in metrics.items() if k != "epoch"}
        self.mirror.log({**points, "step": int(step or 0)})

    def close(self, record: dict[str, Any]) -> None:
        """Send the scores and costs, and end the run."""
        shown = summary(record)
        stamp = content(self.mirror.config, shown, record["curve"])
        self.mirror.close({**shown, "mirror": stamp} if self.mirror.whole else shown)


class LastPoint(Callback):
    """Keeps the point of a checkpoint's own step in it.

    A state is saved before the loggers hear of its step, so a kill between both would otherwise
    leave a hole in the history.
    """

    def __init__(self, history: History, every: int) -> None:
        self.history, self.every = history, every

    def on_save_checkpoint(
        self, trainer: L.Trainer, module: L.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        part = "val/" if trainer.validating else "train/"
        if part == "train/" and trainer.global_step % self.every:
            return
        metrics = {k: float(v) for k, v in trainer.callback_metrics.items() if k.startswith(part)}
        checkpoint["last_point"] = {**metrics, "step": trainer.global_step}

    def on_load_checkpoint(
        self, trainer: L.Trainer, module: L.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        point = dict(checkpoint.get("last_point", {}))
        if point:
            self.history.log_metrics(point, point.pop("step"))
