"""A step of training or inference our way and the usual way, to be timed beside each other.

Ours: channels-last, bf16 autocast, a fused optimiser, bytes that are pinned and copied without
waiting, normalised on the device, and the project's own loss. Usual: fp32 with TF32, NCHW, eager,
the optimiser as it comes, and a DataLoader whose four processes give float32.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor, distributed, nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

from datamodules.labels import IGNORE
from experiments.costs.device import autocast
from experiments.speed.roofline import tf32
from experiments.speed.throughput import ALL_GPUS, Task, ThroughputRequest, Way
from experiments.speed.usual_loader import usual_loader
from lightning_modules.losses import cross_entropy_sum, denominator
from lightning_modules.normalisation import Normalisation
from models import build_model

Step = Callable[[], object]
Forward = Callable[[Tensor], Tensor]
_LR, _MOMENTUM, _WEIGHT_DECAY = 1e-4, 0.9, 5e-4


@contextmanager
def step_of(
    request: ThroughputRequest, way: Way, task: Task, device: torch.device
) -> Iterator[Step]:
    """A function that does one step; flags of the device are as the way wants them meanwhile.

    Raises:
        ValueError: a model that is none.
        RuntimeError: out of memory, or a network that cannot be compiled.
    """
    with device:  # a GPU draws the hundred million weights at once
        network = build_model(request.model, request.num_classes).to(device)
    # Sizes stay the same, so that cuDNN may look for its fastest kernels, in both ways.
    benchmark = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = True
    try:
        with tf32(True):
            if task == "inference":
                yield _inference(network, request, way, device)
            elif way == "usual":
                yield _usual_training(network, request, device)
            else:
                yield _our_training(network, request, way, device)
    finally:
        torch.backends.cudnn.benchmark = benchmark


def _over_ranks(network: nn.Module, device: torch.device) -> Forward:
    """As the trainer has it: DDP, and SyncBatchNorm, which has no CPU path."""
    if device.type == "cpu":
        return DistributedDataParallel(network)
    # timm takes seconds, which a process that measures one GPU need not wait for.
    from timm.layers.norm_act import convert_sync_batchnorm

    network = convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
    return DistributedDataParallel(network, device_ids=[device.index])


def _compiled(network: nn.Module) -> Forward:
    """With CUDA graphs, where the compiler can make them."""
    compiled: Forward = torch.compile(network, mode="reduce-overhead", dynamic=False)
    return compiled


def _our_training(
    network: nn.Module, request: ThroughputRequest, way: Way, device: torch.device
) -> Step:
    network = network.to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.SGD(
        network.parameters(), _LR, _MOMENTUM, weight_decay=_WEIGHT_DECAY, fused=True
    )
    normalise = Normalisation().to(device)
    if way == ALL_GPUS:
        forward: Forward = _over_ranks(network, device)
    else:
        forward = _compiled(network) if way == "ours, compiled" else network
    shape, generator = (request.train_batch, *request.train_size), torch.Generator().manual_seed(0)
    image = torch.randint(256, (*shape, 3), dtype=torch.uint8, generator=generator)
    mask = torch.randint(request.num_classes, shape, dtype=torch.uint8, generator=generator)
    if device.type == "cuda":
        image, mask = image.pin_memory(), mask.pin_memory()

    def step() -> None:
        shown, truth = (part.to(device, non_blocking=True) for part in (image, mask))
        optimizer.zero_grad()
        with autocast(device, "bf16-mixed"):
            logits = forward(normalise(shown))
        total = denominator(truth, None)
        if way == ALL_GPUS:
            distributed.all_reduce(total)
            total /= distributed.get_world_size()  # DDP averages gradients over ranks
        loss = cross_entropy_sum(logits, truth, None)
        (loss / total.to(loss.dtype)).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step


def _usual_training(network: nn.Module, request: ThroughputRequest, device: torch.device) -> Step:
    network = network.train()
    optimizer = torch.optim.SGD(network.parameters(), _LR, _MOMENTUM, weight_decay=_WEIGHT_DECAY)
    pin = device.type == "cuda"
    size, batch = request.train_size, request.train_batch
    batches = iter(usual_loader(size, request.num_classes, batch, pin, request.workers))

    def step() -> None:
        image, mask = next(batches)
        image, mask = (part.to(device, non_blocking=True) for part in (image, mask))
        optimizer.zero_grad()
        loss = F.cross_entropy(network(image), mask, ignore_index=IGNORE)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step


def _inference(
    network: nn.Module, request: ThroughputRequest, way: Way, device: torch.device
) -> Step:
    """On an image that is on the device."""
    network = network.eval()
    image = torch.zeros(request.infer_batch, 3, *request.infer_size, device=device)
    if way != "usual":
        network = network.to(memory_format=torch.channels_last)
        image = image.to(memory_format=torch.channels_last)
    forward = _compiled(network) if way == "ours, compiled" else network
    ours = autocast(device, "bf16-mixed") if way != "usual" else nullcontext()

    def step() -> None:
        with torch.inference_mode(), ours:
            forward(image)

    return step
