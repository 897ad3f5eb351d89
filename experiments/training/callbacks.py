"""What a trial notes while it runs: first losses, where it is, how long it took, a panel."""

import signal
import time
from collections.abc import Callable
from pathlib import Path

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities.types import STEP_OUTPUT
from torch import Tensor

from datamodules.dataset import Dataset
from datamodules.labels import UInt8
from datamodules.loading.samples import Batch
from experiments.training.wandb_pictures import Picture
from experiments.training.wandb_run import Mirror
from experiments.trials.atomic_io import write_json
from experiments.trials.history import FIRST_LOSSES
from lightning_modules.segmentation import Segmentation


class OwnSignals(Callback):
    """Keeps what the process does when it is asked to end.

    Lightning's handler of SIGTERM waits for the other processes in a broadcast, which they do not
    join, and then ends with status 0.
    """

    def __init__(self) -> None:
        self.handler = signal.getsignal(signal.SIGTERM)

    def on_train_start(self, *_: object) -> None:
        signal.signal(signal.SIGTERM, self.handler)

    def on_predict_start(self, *_: object) -> None:
        signal.signal(signal.SIGTERM, self.handler)


class Clock(Callback):
    """Seconds of training alone, over all resumed parts; validation does not count."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._since: float | None = None

    def _stop(self) -> None:
        if torch.cuda.is_available():  # what it still has to do is of training
            torch.cuda.synchronize()
        if self._since is not None:
            self.seconds += time.perf_counter() - self._since
            self._since = None

    def _go(self) -> None:
        self._since = time.perf_counter()

    def on_train_start(self, *_: object) -> None:
        self._go()

    def on_validation_start(self, *_: object) -> None:
        self._stop()

    def on_validation_end(self, *_: object) -> None:
        self._go()

    def on_train_end(self, *_: object) -> None:
        self._stop()

    def state_dict(self) -> dict[str, float]:
        running = 0.0 if self._since is None else time.perf_counter() - self._since
        return {"seconds": self.seconds + running}

    def load_state_dict(self, state_dict: dict[str, float]) -> None:
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

    def on_train_batch_end(self, trainer: L.Trainer, *_: object) -> None:
        self._write(trainer, "train")

    def on_validation_batch_end(self, trainer: L.Trainer, *_: object) -> None:
        self._write(trainer, "validate")

    def on_predict_batch_end(self, trainer: L.Trainer, *_: object) -> None:
        self._write(trainer, "predict")


class FirstLosses(Callback):
    """Hands on the loss of every one of the first steps, with its step, exactly as it is logged.

    All before a state is saved: so none is missing after a kill. Else several at a time, as a GPU
    is waited for where a loss is read.

    Args:
        keep: what takes them; a step may come twice, after a kill.
    """

    def __init__(self, keep: Callable[[int, float], None], steps: int = FIRST_LOSSES) -> None:
        self.keep, self.steps, self._last = keep, steps, 0
        self._waiting: list[tuple[int, Tensor]] = []

    def _take(self, step: int, module: L.LightningModule) -> None:
        assert isinstance(module, Segmentation)
        if self._last < step <= self.steps and module.last_loss is not None:
            self._last = step
            self._waiting.append((step, module.last_loss))

    def _hand_on(self) -> None:
        for step, loss in self._waiting:
            self.keep(step, loss.item())
        self._waiting.clear()

    def on_train_batch_end(self, trainer: L.Trainer, module: L.LightningModule, *_: object) -> None:
        step = trainer.global_step
        self._take(step, module)
        every: int = trainer.log_every_n_steps  # type: ignore[attr-defined]
        if step % every == 0 or step == self.steps:
            self._hand_on()

    def on_save_checkpoint(self, trainer: L.Trainer, module: L.LightningModule, *_: object) -> None:
        self._take(trainer.global_step, module)
        self._hand_on()

    def on_train_end(self, *_: object) -> None:
        self._hand_on()


class Panel(Callback):
    """Shows predictions of four images, evenly spaced over the validation split, with names.

    Online alone: offline nobody looks, and `wandb_mirror` makes pictures of what is kept. A loss
    that ends the training ends the mirror here, as only a callback is told why.
    """

    def __init__(self, mirror: Mirror, val: Dataset) -> None:
        self.mirror, self.val = mirror, val
        self.indices = {(2 * i + 1) * len(val.ids) // 8 for i in range(4)}
        self.predictions: dict[int, UInt8] = {}
        self.sent = False

    def on_validation_batch_end(
        self,
        trainer: L.Trainer,
        module: L.LightningModule,
        outputs: STEP_OUTPUT,
        batch: Batch,
        index: int,
        dataloader: int = 0,
    ) -> None:
        assert isinstance(outputs, Tensor)
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
            self.mirror.fail(f"{type(exception).__name__}: {exception}")
