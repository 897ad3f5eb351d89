"""Where the time of a step goes, by kind of work, from torch's profiler.

Kernels are known by their names, those of cuDNN, CUTLASS, cuBLAS, Triton and torch's own (held
against the names that libtorch_cuda 2.14 and cuDNN 9 contain), and on a CPU torch's operators are.
What no pattern knows is `other`, whose names are printed, so that a pattern can be added.
"""

import re
from collections.abc import Callable, Iterable

import torch
from torch.autograd import DeviceType  # type: ignore[attr-defined]
from torch.profiler import ProfilerActivity, profile

from experiments.costs.device import synchronise

# The first that fits counts. Triton's names tell of all that is fused in a kernel, CUTLASS's of how
# it copies and what follows a product, and an optimiser's kernels are elementwise.
_PRODUCTS = "convolution and matrix products"
KINDS = (
    (_PRODUCTS, r"^triton_(tem|mm)"),
    ("batch norm", r"^triton_.*batch_?norm"),
    ("elementwise", r"^triton_"),
    ("optimiser", r"multi_tensor_apply|fused_?sgd|_foreach_|fused_adam|^optimizer\."),
    ("interpolation", r"upsample|interpolat|grid_sampl"),
    ("loss", r"nll_loss|softmax|cross_entropy"),
    (
        _PRODUCTS,
        r"conv(?!ert)|gemm|cutlass|xmma|winograd|implicit|[dw]grad|fprop|nvjet|splitk|cublas|fft"
        r"|sm\d{2,3}_|ampere_|turing_|volta_|hopper_|cudnn_generated|dot_kernel"
        r"|aten::(add|b|)mm\b|aten::linear",
    ),
    (
        "copies",
        r"memcpy|memset|copy_|copykernel|nchwtonhwc|nhwctonchw|tensor_?transform|catarray|padding"
        r"|aten::(cat|to|_to_copy|contiguous|clone)\b|transpose|reorder|convert",
    ),
    ("batch norm", r"batch_?norm|cudnn::bn_|\bbn_(fw|bw)|bnorm|welford"),
    (
        "elementwise",
        r"elementwise|elemwise|op_(generic_)?tensor|vectorized|unrolled|reduce|pool|relu|threshold"
        r"|dropout|distribution|clamp|functor"
        r"|aten::(add|mul|div|sub|sum|mean|fill|zero|where|eq|ne|sigmoid|rsub|pow|sqrt|neg)",
    ),
)
OTHER, IDLE = "other", "idle"
NAMES = (*dict.fromkeys(kind for kind, _ in KINDS), OTHER, IDLE)
_KINDS = [(kind, re.compile(pattern, re.IGNORECASE)) for kind, pattern in KINDS]


def kind_of(name: str) -> str:
    """The kind of work of a kernel or operator."""
    return next((kind for kind, pattern in _KINDS if pattern.search(name)), OTHER)


def shares(events: Iterable[tuple[str, float]], seconds: float) -> dict[str, float]:
    """Share of a time by kind of work; they add up to 1.

    Args:
        events: name and microseconds of each kernel.
        seconds: that passed, measured without a profiler; what no kernel took of it is idle.
    """
    found = dict.fromkeys(NAMES, 0.0)
    for name, microseconds in events:
        found[kind_of(name)] += microseconds / 1e6
    busy = sum(found.values())
    whole = max(seconds, busy)  # kernels of two streams, and on a CPU the profiler's own time
    found[IDLE] = whole - busy
    return {kind: round(value / whole, 4) if whole else 0.0 for kind, value in found.items()}


def profiled(
    step: Callable[[], object], device: torch.device, steps: int
) -> list[tuple[str, float]]:
    """Name and microseconds of every kernel of some steps; on a CPU of every operator, without
    those that it calls.

    On a GPU nothing of the CPU is recorded, which would hold up the launches.
    """
    gpu = device.type == "cuda"
    activity = ProfilerActivity.CUDA if gpu else ProfilerActivity.CPU
    synchronise(device)
    with profile(activities=[activity]) as found:
        for _ in range(steps):
            step()
        synchronise(device)
    events = found.events() or []
    if gpu:
        return [
            (event.name, event.time_range.elapsed_us())
            for event in events
            if event.device_type == DeviceType.CUDA
            and not getattr(event, "is_user_annotation", False)
        ]
    return [
        (event.name, event.self_cpu_time_total)
        for event in events
        if not event.name.startswith("enumerate(DataLoader)")  # it waits for the readers
    ]


def unknown(events: Iterable[tuple[str, float]], most: int = 5) -> list[str]:
    """The names of `other` that took most, for whoever adds a pattern."""
    took: dict[str, float] = {}
    for name, microseconds in events:
        if kind_of(name) == OTHER:
            took[name] = took.get(name, 0.0) + microseconds
    return sorted(took, key=lambda name: -took[name])[:most]
