"""Validation images on W&B while a trial trains."""

import lightning as L
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities.types import STEP_OUTPUT
from torch import Tensor

from datamodules.dataset import Dataset
from datamodules.labels import UInt8
from datamodules.loading.datamodule import Batch
from experiments.training.wandb_pictures import Picture
from experiments.training.wandb_run import Mirror


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
