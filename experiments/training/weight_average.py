"""An exponential average of a network's weights, which is what predicts."""

from collections.abc import Iterator
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from lightning_modules.segmentation import Segmentation

_MODEL = "model."  # before a network's own names in the states of its module
_TRAINED = "trained_state_dict"


class WeightAverage(Callback):
    """Validates, saves and predicts with an average over the steps, batch-norm statistics included.

    A state has the average as its `state_dict`, and what training goes on from as
    `trained_state_dict`. Lightning's own callback averages all of a module, of which some buffers
    are no weights, and keeps the average of a GPU's network on the processor.

    Args:
        decay: of the average, which is the weights themselves after the first step (Tarvainen and
            Valpola, arXiv 1703.01780, section 2).
    """

    def __init__(self, decay: float) -> None:
        self.decay, self.steps = decay, 0

    def setup(self, trainer: L.Trainer, module: L.LightningModule, stage: str) -> None:
        if stage == "fit":
            mean = get_ema_multi_avg_fn(self.decay)  # type: ignore[no-untyped-call]
            self.average = AveragedModel(_network(module), multi_avg_fn=mean, use_buffers=True)

    def on_fit_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        first = next(_network(module).parameters())
        self.average.to(first.device, first.dtype)  # where the network is by now

    def on_train_batch_end(self, trainer: L.Trainer, module: L.LightningModule, *_: object) -> None:
        if trainer.global_step > self.steps:
            self.steps = trainer.global_step
            self.average.update_parameters(_network(module))

    def on_validation_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._swap(module)

    def on_validation_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._swap(module)

    def on_fit_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Also of a trial that goes on from its last step, which Lightning does not train."""
        _network(module).load_state_dict(self.average.module.state_dict())

    @torch.no_grad()
    def _swap(self, module: L.LightningModule) -> None:
        for mean, own in zip(
            _tensors(self.average.module), _tensors(_network(module)), strict=True
        ):
            kept = own.clone()
            own.copy_(mean)
            mean.copy_(kept)

    def on_save_checkpoint(
        self, trainer: L.Trainer, module: L.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        means = {f"{_MODEL}{k}": v for k, v in self.average.module.state_dict().items()}
        checkpoint[_TRAINED] = checkpoint["state_dict"]
        checkpoint["state_dict"] = {**checkpoint["state_dict"], **means}

    def on_load_checkpoint(
        self, trainer: L.Trainer, module: L.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        means = {k.removeprefix(_MODEL): v for k, v in checkpoint["state_dict"].items()}
        own = self.average.module.state_dict()
        self.average.module.load_state_dict({name: means[name] for name in own})
        self.average.n_averaged.fill_(1)  # the first step alone is copied
        module.load_state_dict(checkpoint[_TRAINED])

    def state_dict(self) -> dict[str, int]:
        return {"steps": self.steps}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        self.steps = state_dict["steps"]


def _network(module: L.LightningModule) -> nn.Module:
    assert isinstance(module, Segmentation)
    return module.model


def _tensors(network: nn.Module) -> Iterator[Tensor]:
    yield from network.parameters()
    yield from network.buffers()
