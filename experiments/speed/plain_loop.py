"""Training and inference as they are written by hand: what others are timed against.

Blocks of calls alternate in one process: so a machine that is busy for a while is so for both.
"""

import time
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from experiments.costs.device import autocast, synchronise, this_device
from experiments.costs.runtimes import inference, prepare
from experiments.speed.speed_ratios import SpeedRatio, paired
from models import build_model

Call = Callable[[], object]

WARM_UP = 3  # calls of each way before anything is timed


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


def training_against_plain(
    model: str, num_classes: int, size: tuple[int, int], precision: str, *, batch: int, blocks: int
) -> SpeedRatio:
    """Channels-last under the precision, against fp32 in NCHW; reading is left out of both."""
    device, steps = this_device(), []
    for channels_last, kind in ((True, precision), (False, "32-true")):
        form = torch.channels_last if channels_last else torch.contiguous_format
        network = build_model(model, num_classes).to(device, memory_format=form).train()  # type: ignore[call-overload]
        images = random_batch(batch, size, num_classes, device, channels_last=channels_last)
        steps.append(sgd_step(network, *images, kind))
    pairs = list(alternated(*steps, blocks=blocks, block=2))
    return paired(
        f"training step of {model}, {batch} images of {size[0]}x{size[1]}",
        (f"channels-last, {precision}", [ours for ours, _ in pairs]),
        ("NCHW, 32-true", [other for _, other in pairs]),
    )


def inference_against_plain(
    model: str,
    num_classes: int,
    size: tuple[int, int],
    precision: str,
    runtime: str,
    *,
    blocks: int,
) -> SpeedRatio:
    """An image as a runtime runs the network, against eager fp32 in NCHW.

    Raises:
        ValueError: a runtime that is not installed, or cannot run the network.
    """
    device = this_device()
    plain = build_model(model, num_classes).to(device).eval()
    image, _ = random_batch(1, size, num_classes, device, channels_last=False)
    shown = image.contiguous(memory_format=torch.channels_last)
    runner = prepare(build_model(model, num_classes), runtime, precision, shown)

    def ours() -> None:
        with inference(device, precision):
            runner.forward(shown)

    def other() -> None:
        with inference(device, "32-true"):
            plain(image)

    pairs = list(alternated(ours, other, blocks=blocks, block=5))
    return paired(
        f"inference of {model}, an image of {size[0]}x{size[1]}",
        (f"{runtime}, {runner.ran_in}", [a for a, _ in pairs]),
        ("eager, NCHW, fp32", [b for _, b in pairs]),
    )


def alternated(
    ours: Call, other: Call, *, blocks: int, block: int
) -> Iterator[tuple[float, float]]:
    """Milliseconds a call of both, block by block."""
    device = this_device()

    def timed(call: Call) -> float:
        synchronise(device)
        before = time.perf_counter()
        for _ in range(block):
            call()
        synchronise(device)
        return 1000 * (time.perf_counter() - before) / block

    for call in (ours, other):
        for _ in range(WARM_UP):
            call()
    for _ in range(blocks):
        yield timed(ours), timed(other)
