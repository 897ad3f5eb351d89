"""The one LightningModule: how any network is trained, validated and asked for predictions."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import lightning as L
import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import SGD, Optimizer

from datamodules.loading.samples import Batch
from lightning_modules.confusion_matrix import ConfusionMatrix
from lightning_modules.gpu_arithmetic import allow_tf32, search_algorithms
from lightning_modules.losses import cross_entropy_sum, denominator
from lightning_modules.normalisation import Normalisation
from lightning_modules.unused_parameters import freeze_unused, say_unused


class NonFiniteLossError(ValueError):
    """Training left the numbers; the weights were not touched by that step."""


class Segmentation(L.LightningModule):
    """SGD with polynomial decay on a cross-entropy whose mean is over the whole global batch.

    Optimisation is manual, because that mean needs the valid pixels of every micro-batch and
    rank before the first backward pass.

    Args:
        seed: dropout is reseeded from (seed, step, rank), so that a resumed run repeats it.
        micro_batch: images a process passes at once; None passes its whole share.
        class_weights: of the cross-entropy; None for equal ones.
        compiled: train by `torch.compile`, on a GPU as CUDA graphs; validation and prediction,
            whose images have sizes of their own, run as the network is written.
        tf32: whether a GPU may round the products of fp32 to TF32.
    """

    class_weights: Tensor | None
    diverged_at: Tensor

    def __init__(
        self,
        model: nn.Module,
        class_names: tuple[str, ...],
        *,
        lr: float,
        momentum: float,
        weight_decay: float,
        power: float,
        steps: int,
        seed: int,
        bn_momentum: float,
        micro_batch: int | None = None,
        class_weights: tuple[float, ...] | None = None,
        compiled: bool = False,
        tf32: bool = False,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.model = model.to(memory_format=torch.channels_last)
        self.class_names = class_names
        self.lr, self.momentum, self.weight_decay = lr, momentum, weight_decay
        self.power, self.steps, self.seed, self.micro_batch = power, steps, seed, micro_batch
        self.tf32 = tf32
        for module in model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.momentum = bn_momentum
        weights = None if class_weights is None else torch.tensor(class_weights)
        self.register_buffer("class_weights", weights, persistent=False)
        self.normalise = Normalisation()
        self.confusion = ConfusionMatrix(len(class_names))
        self._looked = False  # for parameters without a gradient, after the first backward pass
        self.register_buffer("diverged_at", torch.tensor(-1), persistent=False)
        self.last_loss: Tensor | None = None
        self._train_forward = self._compile() if compiled else self.forward

    def forward(self, image: Tensor) -> Tensor:
        """Logits (N, K, H, W) of images (N, H, W, 3) in bytes."""
        logits: Tensor = self.model(self.normalise(image))
        return logits

    def _compile(self) -> Callable[[Tensor], Tensor]:
        mode = "reduce-overhead" if torch.cuda.is_available() else None
        compiled: Callable[[Tensor], Tensor] = torch.compile(
            self.forward, mode=mode, dynamic=False, fullgraph=False
        )
        return compiled

    def setup(self, stage: str) -> None:
        allow_tf32(self.tf32)
        if stage == "fit" and self.trainer.world_size > 1:
            unused = freeze_unused(self.model)
            say_unused(unused if self.global_rank == 0 else [])

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        step = self.global_step
        # Modulo what a generator takes, which a seed above 4.5e9 times these would exceed.
        self._reseed(((self.seed * 1_000_003 + step) * 4096 + self.global_rank) % 2**64)
        optimizer = self.optimizers()
        assert isinstance(optimizer, LightningOptimizer)
        for group in optimizer.param_groups:
            group["lr"] = self.lr_at(step)
        optimizer.zero_grad()
        loss = self._backward(batch["image"], batch["mask"])
        logged = (step + 1) % self.trainer.log_every_n_steps == 0  # type: ignore[attr-defined]
        self._guard(optimizer.optimizer, loss, look=logged or step + 1 == self.steps)
        if not self._looked:
            self._looked = True
            asked = ((n, p) for n, p in self.model.named_parameters() if p.requires_grad)
            say_unused([name for name, parameter in asked if parameter.grad is None])
        optimizer.step()
        self.last_loss = loss
        if logged:  # a number that is given to a GPU waits for all it has been given before
            self.log("step", float(step + 1))  # what loggers take as the abscissa
            self.log("train/loss", loss)
            self.log("train/lr", self.lr_at(step))

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

    def lr_at(self, step: int) -> float:
        """lr * (1 - step / steps) ** power: the base rate at step 0, above 0 at the last."""
        decay: float = (1 - step / self.steps) ** self.power
        return self.lr * decay

    def _backward(self, image: Tensor, mask: Tensor) -> Tensor:
        """Accumulate the gradients of the global batch's mean; return that mean, on every rank."""
        total = self.trainer.strategy.reduce(
            denominator(mask, self.class_weights), reduce_op="sum"
        ).clamp(min=1)  # an all-void batch has loss 0 and gradients 0
        size = self.micro_batch or len(image)
        loss = torch.zeros((), dtype=torch.float64, device=mask.device)
        for start in range(0, len(image), size):
            with nullcontext() if start + size >= len(image) else self._no_sync():
                logits = self._train_forward(image[start : start + size])
                part = cross_entropy_sum(logits, mask[start : start + size], self.class_weights)
                # DDP averages gradients over ranks; the sum is wanted.
                self.manual_backward(part / total.to(part.dtype) * self.trainer.world_size)
                loss += part.detach().double() / total
        return self.trainer.strategy.reduce(loss, reduce_op="sum")

    def _no_sync(self) -> Any:
        model = self.trainer.strategy.model
        return model.no_sync() if isinstance(model, DistributedDataParallel) else nullcontext()

    def on_train_start(self) -> None:
        search_algorithms(True)

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

    def configure_optimizers(self) -> SGD:
        return SGD(
            self.parameters(),
            lr=self.lr,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            # One kernel for all weights. On a CPU it saves nothing and rounds otherwise.
            fused=self.device.type == "cuda",
        )
