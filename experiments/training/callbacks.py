"""What a trial notes while it runs: where it is, how long it trained, a panel of images."""

import time
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback

from datamodules.dataset import Dataset
from experiments.training.wandb_run import Mirror, Picture
from experiments.trials.atomic_io import write_json


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
