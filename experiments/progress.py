"""What a trial says while it runs: its history, where it is, and how long it trained."""

import json
import time
from argparse import Namespace
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from datamodules import Dataset
from experiments.mirror import Mirror, Picture, content, summary
from experiments.store import write_json


def read_points(path: Path) -> list[dict[str, float]]:
    """All that was logged, a point a step in rising order; none without the file.

    A resumed run repeats the steps since its checkpoint; what a step says last counts.
    """
    points: dict[int, dict[str, float]] = {}
    for line in path.read_text().splitlines() if path.is_file() else ():
        try:
            point = json.loads(line)
        except json.JSONDecodeError:  # a line that a kill cut short; its step came again
            continue
        points[point["step"]] = points.get(point["step"], {}) | point
    return [points[step] for step in sorted(points)]


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


class Clock(Callback):
    """Seconds of training alone, over all resumed parts; validation does not count."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._since: float | None = None

    def _stop(self) -> None:
        if self._since is not None:
            self.seconds += time.perf_counter() - self._since
            self._since = None

    def _go(self) -> None:
        self._since = time.perf_counter()

    def on_train_start(self, *_: Any) -> None:
        self._go()

    def on_validation_start(self, *_: Any) -> None:
        self._stop()

    def on_validation_end(self, *_: Any) -> None:
        self._go()

    def on_train_end(self, *_: Any) -> None:
        self._stop()

    def state_dict(self) -> dict[str, Any]:
        running = 0.0 if self._since is None else time.perf_counter() - self._since
        return {"seconds": self.seconds + running}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.seconds = state_dict["seconds"]


class Progress(Callback):
    """Writes where a trial is, at most once a second, for whoever watches."""

    def __init__(self, path: Path, steps: int) -> None:
        self.path, self.steps, self._last = path, steps, 0.0

    def _write(self, trainer: L.Trainer, stage: str) -> None:
        now = time.time()
        if trainer.is_global_zero and now - self._last >= 1:
            self._last = now
            state = {"stage": stage, "step": trainer.global_step, "steps": self.steps, "time": now}
            write_json(self.path, state)

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        self._write(trainer, "train")

    def on_validation_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        self._write(trainer, "validate")

    def on_predict_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        self._write(trainer, "predict")


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


class Panel(Callback):
    """Shows predictions of four images, evenly spaced over the validation split, with names.

    Online alone: offline nobody looks, and `wandb_mirror` makes pictures of what is kept. A loss
    that ends the training ends the mirror here, as only a callback is told why.
    """

    def __init__(self, mirror: Mirror, val: Dataset) -> None:
        self.mirror, self.val = mirror, val
        self.indices = {(2 * i + 1) * len(val.ids) // 8 for i in range(4)}
        self.predictions: dict[int, Any] = {}
        self.sent = False

    def on_validation_batch_end(
        self,
        trainer: L.Trainer,
        module: L.LightningModule,
        outputs: Any,
        batch: Any,
        index: int,
        dataloader: int = 0,
    ) -> None:
        for position, prediction in zip(batch["index"].tolist(), outputs, strict=True):
            if position in self.indices and self.mirror.online:
                self.predictions[position] = prediction.byte().cpu().numpy()

    def on_validation_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        if not (self.predictions and trainer.is_global_zero):
            return
        pictures = []
        for position, prediction in sorted(self.predictions.items()):
            image, mask = self.val[position]
            truth = {} if self.sent else {"truth": mask}  # it stays what it is
            masks = {**truth, "prediction": prediction}
            pictures.append(Picture(self.val.ids[position], image, masks))
        self.mirror.show("val/panel", pictures, self.val.labels.names, trainer.global_step)
        self.sent = True

    def on_exception(
        self, trainer: L.Trainer, module: L.LightningModule, exception: BaseException
    ) -> None:
        if isinstance(exception, Exception):  # others stop a trial that goes on later
            self.mirror.close({"reason": f"{type(exception).__name__}: {exception}"}, failed=True)
