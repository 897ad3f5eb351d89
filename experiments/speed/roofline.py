"""How fast a card can be at most, measured, and the least time that a network could take there.

The roofline: Williams, Waterman and Patterson, Communications of the ACM 52(4), 2009. A layer takes
at least its operations at the speed of matrix products, and at least its bytes at the speed of
memory; here its input, weights and output, each once and in bf16.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode

from experiments.costs.layer_trace import on_meta
from experiments.speed.block_timing import seconds_a_step
from experiments.speed.throughput import Roofline
from lightning_modules.gpu_arithmetic import allow_tf32
from models import build_model

BF16 = 2  # bytes
TRAINING_PASSES = 3  # forward, and backward for the input and for the weights of each layer
_ATEN = torch.ops.aten
_CONVOLUTION = _ATEN.convolution.default
_PRODUCTS = (_ATEN.mm.default, _ATEN.addmm.default, _ATEN.bmm.default)


@contextmanager
def tf32(allowed: bool) -> Iterator[None]:
    """TF32 in matrix products and convolutions of a GPU, or not; as before at the end."""
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    allow_tf32(allowed)
    try:
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before


def measure_roofline(device: torch.device, seconds: float = 1.0) -> Roofline:
    """Matrix products of 8192 x 8192 and copies of a gigabyte; on a CPU of 512 x 512 and 16 MB.

    Args:
        seconds: of each of the measurements.
    """
    gpu = device.type == "cuda"
    side, values = (8192, 2**28) if gpu else (512, 2**22)

    def product(kind: torch.dtype) -> float:
        a, b = (torch.randn(side, side, device=device, dtype=kind) for _ in "ab")
        out = torch.empty_like(a)
        each = seconds_a_step(lambda: torch.mm(a, b, out=out), device, seconds=seconds)
        return 2 * side**3 / each / 1e12

    with tf32(True):
        fast = product(torch.float32)
    with tf32(False):
        slow = product(torch.float32)
    source = torch.ones(values, device=device)
    target = torch.empty_like(source)
    each = seconds_a_step(lambda: target.copy_(source), device, seconds=seconds)
    return Roofline(
        bf16_tflops=product(torch.bfloat16),
        tf32_tflops=fast,
        fp32_tflops=slow,
        copy_gb_s=2 * source.numel() * 4 / each / 1e9,  # read and written
    )


@dataclass(frozen=True)
class LayerWork:
    """A convolution or matrix product of one image: multiply-adds, and values moved at least."""

    macs: int
    activations: int
    weights: int


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Below the modules, so that a convolution is seen whoever calls it."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.layers: list[LayerWork] = []

    def __torch_dispatch__(
        self,
        func: OpOverload,
        types: object,
        args: tuple[object, ...] = (),
        kwargs: dict[str, object] | None = None,
    ) -> object:
        out = func(*args, **(kwargs or {}))
        if func is _CONVOLUTION:
            image, weight, transposed = args[0], args[1], args[6]
            assert isinstance(image, Tensor) and isinstance(weight, Tensor)
            swept = image if transposed else out  # each of its values meets one filter's weights
            self._note(swept.numel() * weight[0].numel(), image, weight, out)
        elif func in _PRODUCTS:
            left, right = args[-2:]
            assert isinstance(left, Tensor) and isinstance(right, Tensor)
            self._note(out.numel() * left.shape[-1], left, right, out)
        return out

    def _note(self, macs: int, image: Tensor, weight: Tensor, out: Tensor) -> None:
        self.layers.append(LayerWork(macs, image.numel() + out.numel(), weight.numel()))


@cache
def layer_work(model: str, num_classes: int, size: tuple[int, int]) -> list[LayerWork]:
    """Every layer of a forward pass of one image, on the meta device."""
    network, image = on_meta(partial(build_model, model, num_classes), 3, size)
    recorder = _Recorder()
    with torch.no_grad(), recorder:
        network(image)
    return recorder.layers


def least_seconds(layers: list[LayerWork], batch: int, training: bool, roofline: Roofline) -> float:
    """What a step takes where every layer runs at the roofline and nothing else takes time."""
    return (TRAINING_PASSES if training else 1) * math.fsum(
        max(
            2 * batch * layer.macs / (roofline.bf16_tflops * 1e12),
            BF16 * (batch * layer.activations + layer.weights) / (roofline.copy_gb_s * 1e9),
        )
        for layer in layers
    )


def operations(layers: list[LayerWork], batch: int, training: bool) -> int:
    """Additions and multiplications of a step: 2 x multiply-adds, x 3 in training."""
    passes = TRAINING_PASSES if training else 1
    return 2 * batch * passes * sum(layer.macs for layer in layers)
