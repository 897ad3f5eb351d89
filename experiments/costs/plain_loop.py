"""Training and inference as they are written by hand: what other loops are timed against."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from experiments.costs.device import autocast

Call = Callable[[], object]


def random_batch(
    batch: int,
    size: tuple[int, int],
    num_classes: int,
    device: torch.device,
    *,
    channels_last: bool,
) -> tuple[Tensor, Tensor]:
    """Images (N, 3, H, W) in float32 and labels (N, H, W), which stay where they are."""
    kind = torch.channels_last if channels_last else torch.contiguous_format
    image = torch.rand(batch, 3, *size, device=device).contiguous(memory_format=kind)
    return image, torch.randint(num_classes, (batch, *size), device=device)


def sgd_step(
    model: nn.Module, image: Tensor, mask: Tensor, precision: str, *, lr: float = 1e-6
) -> Call:
    """A step of SGD with momentum on the mean cross-entropy of one batch, to be repeated.

    The network and the batch are in one memory format, whichever it is, on one device.
    """
    optimizer = torch.optim.SGD(
        model.parameters(), lr=lr, momentum=0.9, weight_decay=5e-4, fused=image.is_cuda
    )

    def step() -> None:
        optimizer.zero_grad()
        with autocast(image.device, precision):
            logits = model(image)
        F.cross_entropy(logits.float(), mask).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step
