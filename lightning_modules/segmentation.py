"""The one LightningModule: how any network is trained, validated and asked for predictions."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import lightning as L
import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer

from datamodules.loading.samples import Batch
from lightning_modules.confusion_matrix import ConfusionMatrix
from lightning_modules.gpu_arithmetic import allow_tf32, search_algorithms
from lightning_modules.normalisation import Normalisation
from lightning_modules.objective import Objective, Share
from lightning_modules.optimisation import Optimisation, build_optimizer
from lightning_modules.unused_parameters import freeze_unused, say_unused
from models.training_heads import TrainingHeads


class NonFiniteLossError(ValueError):
    """Training left the numbers; the weights were not touched by that step."""


class Segmentation(L.LightningModule):
    """Trains a network on losses whose means are over the whole global batch.

    Optimisation is manual, because such a mean needs the valid pixels of every micro-batch and
    rank before the first backward pass.

    Args:
        seed: dropout is reseeded from (seed, step, rank), so that a resumed run repeats it.
        micro_batch: images a process passes at once; None passes its whole share.
        heads: train by the network's `training_heads`, which are made here, where it has them.
        compiled: train by `torch.compile`, on a GPU as CUDA graphs; validation and prediction,
            whose images have sizes of their own, run as the network is written.
        tf32: whether a GPU may round the products of fp32 to TF32.
    """

    diverged_at: Tensor

    def __init__(
        self,
        model: nn.Module,
        class_names: tuple[str, ...],
        *,
        objective: Objective,
        optimisation: Optimisation,
        seed: int,
        bn_momentum: float,
        micro_batch: int | None = None,
        heads: bool = False,
        compiled: bool = False,
        tf32: bool = False,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.model = model.to(memory_format=torch.channels_last)
        self.class_names = class_names
        self.objective, self.optimisation = objective, optimisation
        self.schedule = optimisation.schedule
        self.seed, self.micro_batch, self.tf32 = seed, micro_batch, tf32
        self.heads = heads and isinstance(model, TrainingHeads)
        if self.heads and isinstance(model, TrainingHeads):
            model.add_training_heads()
        for module in model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.momentum = bn_momentum
        self.normalise = Normalisation()
        self.confusion = ConfusionMatrix(len(class_names))
        self._looked = False  # for parameters without a gradient, after the first backward pass
        self.register_buffer("diverged_at", torch.tensor(-1), persistent=False)
        self.last_loss: Tensor | None = None
        self._train_forward = self._compile() if compiled else self._outputs

    def forward(self, image: Tensor) -> Tensor:
        """Logits (N, K, H, W) of images (N, H, W, 3) in bytes."""
        logits: Tensor = self.model(self.normalise(image))
        return logits

    def _outputs(self, image: Tensor) -> dict[str, Tensor]:
        """What losses are of, by name, of images as in `forward`."""
        if self.heads and isinstance(self.model, TrainingHeads):
            return self.model.training_heads(self.normalise(image))
        return {"out": self(image)}

    def _compile(self) -> Callable[[Tensor], dict[str, Tensor]]:
        mode = "reduce-overhead" if torch.cuda.is_available() else None
        compiled: Callable[[Tensor], dict[str, Tensor]] = torch.compile(
            self._outputs, mode=mode, dynamic=False, fullgraph=False
        )
        return compiled

    def setup(self, stage: str) -> None:
        allow_tf32(self.tf32)
        if stage == "fit" and self.trainer.world_size > 1:
            unused = freeze_unused(self.model, self.heads)
            say_unused(unused if self.global_rank == 0 else [])

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        step = self.global_step
        # Modulo what a generator takes, which a seed above 4.5e9 times these would exceed.
        self._reseed(((self.seed * 1_000_003 + step) * 4096 + self.global_rank) % 2**64)
        optimizer = self.optimizers()
        assert isinstance(optimizer, LightningOptimizer)
        for group in optimizer.param_groups:
            group["lr"] = self.schedule.at(step) * group["lr_scale"]
        optimizer.zero_grad()
        loss = self._backward(batch["image"], batch["mask"])
        logged = (step + 1) % self.trainer.log_every_n_steps == 0  # type: ignore[attr-defined]
        self._guard(optimizer.optimizer, loss, look=logged or step + 1 == self.schedule.steps)
        if not self._looked:
            self._looked = True
            asked = ((n, p) for n, p in self.model.named_parameters() if p.requires_grad)
            say_unused([name for name, parameter in asked if parameter.grad is None])
        optimizer.step()
        self.last_loss = loss
        if logged:  # a number that is given to a GPU waits for all it has been given before
            self.log("step", float(step + 1))  # what loggers take as the abscissa
            self.log("train/loss", loss)
            self.log("train/lr", self.schedule.at(step))

    def _reseed(self, seed: int) -> None:
        """As `torch.manual_seed`, which without a GPU writes down the stack for one: 0.7 ms."""
        torch.default_generator.manual_seed(seed)
        if self.device.type == "cuda":
            torch.cuda.manual_seed(seed)

    def _guard(self, optimizer: Optimizer, loss: Tensor, look: bool) -> None:
        """Have no step follow a loss that is no number, and end the training once that is seen.

        To see it is to wait for the device; a GPU is told to leave its weights alone without.

        Args:
            look: whether to wait; where weights are changed from here, this is done each time.
        """
        diverged = (self.diverged_at < 0) & ~loss.isfinite()
        self.diverged_at = torch.where(diverged, self.global_step, self.diverged_at)
        fused = optimizer.defaults.get("fused")
        if fused:
            optimizer.found_inf = (self.diverged_at >= 0).float()  # type: ignore[attr-defined]
        if look or not fused:
            self._check_finite()

    def _check_finite(self) -> None:
        step = int(self.diverged_at)
        if step >= 0:
            raise NonFiniteLossError(
                f"the loss is no finite number at step {step}: the weights before it are kept; "
                "lower the learning rate (--set lr=...) or use --set precision=32-true"
            )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self._check_finite()  # nobody goes on from there

    def _backward(self, image: Tensor, mask: Tensor) -> Tensor:
        """Accumulate the gradients of the global batch's loss; return that loss, on every rank."""
        size = self.micro_batch or len(image)
        loss = torch.zeros((), dtype=torch.float64, device=mask.device)
        counts = None
        for start in range(0, len(image), size):
            part = mask[start : start + size]
            with nullcontext() if start + size >= len(image) else self._no_sync():
                outputs = self._train_forward(image[start : start + size])
                if counts is None:
                    own = self.objective.counts(mask, outputs)
                    counts = self.trainer.strategy.reduce(own, reduce_op="sum")
                shares: list[Share] = self.objective(outputs, part, counts)
                first, *rest = (s.weight * (s.total / s.parts.to(s.total.dtype)) for s in shares)
                # DDP averages gradients over ranks; the sum is wanted.
                self.manual_backward(sum(rest, first) * self.trainer.world_size)
                for share in shares:
                    loss += share.weight * (share.total.detach().double() / share.parts)
        return self.trainer.strategy.reduce(loss, reduce_op="sum")

    def _no_sync(self) -> Any:
        model = self.trainer.strategy.model
        return model.no_sync() if isinstance(model, DistributedDataParallel) else nullcontext()

    def on_train_start(self) -> None:
        search_algorithms(True)

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Clip the gradient of the global batch, which has been unscaled here."""
        if self.optimisation.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.optimisation.clip_norm)

    def on_train_end(self) -> None:
        if self.global_step == self.schedule.steps:
            (optimizer,) = self.trainer.optimizers
            for group in optimizer.param_groups:
                assert group["lr"] == self.schedule.at(self.schedule.steps - 1) * group["lr_scale"]

    def on_validation_start(self) -> None:
        self._check_finite()
        search_algorithms(False)
        self._share_statistics()

    def on_validation_end(self) -> None:
        search_algorithms(True)

    def on_predict_start(self) -> None:
        search_algorithms(False)
        self._share_statistics()

    def _share_statistics(self) -> None:
        """Give every rank the batch-norm statistics of rank 0, which are those that are saved.

        Without SyncBatchNorm, as on CPUs, each rank's last updates differ.
        """
        if self.trainer.world_size > 1:
            for buffer in self.model.buffers():
                torch.distributed.broadcast(buffer, 0)

    def validation_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Count the batch; class indices (N, H, W) for whoever shows them."""
        prediction: Tensor = self(batch["image"]).argmax(1)
        self.confusion.update(prediction, batch["mask"])
        return prediction

    def on_validation_epoch_end(self) -> None:
        # torchmetrics makes a number of the matrix of a single class.
        matrix = self.confusion.compute().double().view_as(self.confusion.matrix)
        self.confusion.reset()
        union = matrix.sum(0) + matrix.sum(1) - matrix.diag()
        iou = matrix.diag() / union  # NaN where a class occurs in neither
        self.log("step", float(self.global_step))
        self.log("val/miou", iou.nanmean())
        for name, value in zip(self.class_names, iou, strict=True):
            if value.isfinite():
                self.log(f"val/iou/{name}", value)

    def predict_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Class indices (N, H, W) as bytes, at the label's own size."""
        prediction: Tensor = self(batch["image"]).argmax(1)
        return prediction.byte()

    def configure_optimizers(self) -> Optimizer:
        scaled = getattr(self.trainer.precision_plugin, "scaler", None) is not None
        fused = self.device.type == "cuda" and not scaled  # it would unscale within its step
        return build_optimizer(self.model, self.optimisation, fused)
