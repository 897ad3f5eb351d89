"""What a network's layers look at: resolution, width and work of each, and which feeds which.

The networks run on the meta device, so a trace takes seconds and no memory. It is taken below the
modules, at the operators, where a convolution is seen whoever calls it, and where tensors can be
followed through sums, concatenations and interpolations from one layer to the next.

Ancestors: LeNet-5 (LeCun et al., "Gradient-based learning applied to document recognition", Proc.
IEEE 1998, Fig. 2), AlexNet (as in torchvision: one stream, arXiv 1404.5997), VGG16 (arXiv
1409.1556, configuration D), ResNet-50 (as in torchvision: stride in the 3x3 of a unit, 4.09 G
multiply-adds; arXiv 1512.03385, Table 1, has it in the 1x1 and prints 3.8 G). LeNet-5 differs from
its paper in that C3 sees all maps of S2, and a linear layer stands for the radial basis functions.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch._ops import OpOverload
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from experiments.costs.hidden_library import without
from models import build_model

ATEN = torch.ops.aten
Arguments = tuple[Any, ...]  # of an operator: tensors, numbers and lists of them
CLASSES = 19  # as in the HRNet paper's Table III


@dataclass(frozen=True)
class Layer:
    """A convolution or matrix product, in the order of execution.

    Attributes:
        cells: positions of its output: height x width of a map, rows of a matrix.
        macs: multiply-adds for one image.
        depth: layers on the longest path from the image up to and with this one.
        sources: indices of the layers whose outputs it reads, with no layer in between.
    """

    channels: int
    cells: int
    macs: int
    depth: int
    sources: frozenset[int]


@dataclass(frozen=True)
class Trace:
    """A network's layers; `size` is the (height, width) of its image."""

    size: tuple[int, int]
    layers: list[Layer]

    def stride(self, layer: Layer) -> float:
        """Image pixels a side of one output position; no power of two where borders are cut."""
        return float((self.size[0] * self.size[1] / layer.cells) ** 0.5)


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Gives each tensor the indices of the layers it comes from, as an attribute."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.layers: list[Layer] = []

    def __torch_dispatch__(
        self,
        func: OpOverload,
        types: object,
        args: Arguments = (),
        kwargs: dict[str, object] | None = None,
    ) -> object:
        shaped = _SHAPED.get(func)
        out: Any = None if shaped is None else shaped(args)
        out = func(*args, **(kwargs or {})) if out is None else out
        sources = frozenset[int]().union(
            *(getattr(leaf, "layers_before", ()) for leaf in tree_leaves((args, kwargs)))
        )
        if func in _COUNTERS:
            channels, cells, macs = _COUNTERS[func](args, out)
            depth = 1 + max((self.layers[i].depth for i in sources), default=0)
            self.layers.append(Layer(channels, cells, macs, depth, sources))
            sources = frozenset({len(self.layers) - 1})
        for leaf in tree_leaves(out):
            if isinstance(leaf, Tensor):
                leaf.layers_before = sources  # type: ignore[attr-defined]
        return out


def _convolution(args: Arguments, out: Tensor) -> tuple[int, int, int]:
    image, weight, transposed = args[0], args[1], args[6]
    swept = image if transposed else out  # each of its values meets one filter's weights
    return out.shape[1], out.numel() // out.shape[1], swept.numel() * weight[0].numel()


def _product(args: Arguments, out: Tensor) -> tuple[int, int, int]:
    return out.shape[-1], out.shape[0], out.numel() * args[-2].shape[-1]


def _products(args: Arguments, out: Tensor) -> tuple[int, int, int]:
    """Of several matrices, as those of an attention's heads, whose channels lie side by side."""
    matrices, rows, columns = out.shape
    return matrices * columns, rows, out.numel() * args[0].shape[-1]


_COUNTERS: dict[OpOverload, Callable[[Arguments, Tensor], tuple[int, int, int]]] = {
    ATEN.convolution.default: _convolution,
    ATEN.addmm.default: _product,
    ATEN.mm.default: _product,
    ATEN.bmm.default: _products,
}


def _norm(args: Arguments) -> Arguments:
    return torch.empty_like(args[0]), torch.empty_like(args[3]), torch.empty_like(args[4])


def _sum(args: Arguments) -> Tensor | None:
    same = all(isinstance(arg, Tensor) for arg in args) and args[0].shape == args[1].shape
    return torch.empty_like(args[0]) if same else None


# Without values there is a shape alone, which these give; None where torch shall find it out. It
# does so in Python, by running what each stands for: two thirds of the time of a trace.
_SHAPED: dict[OpOverload, Callable[[Arguments], Arguments | Tensor | None]] = {
    ATEN.native_batch_norm.default: _norm,
    ATEN.relu.default: lambda args: torch.empty_like(args[0]),
    ATEN.relu_.default: lambda args: args[0],
    ATEN.add.Tensor: _sum,
}


class _ShapesAlone(TorchFunctionMode):
    """Leaves out what tensors without values need not run: initialisations, and interpolations,
    which are a dozen operators each. Both are a third of the time of building and of a trace."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: object,
        args: Arguments = (),
        kwargs: dict[str, Any] | None = None,
    ) -> object:
        if func in _FILLS:
            return args[0]
        if func is F.interpolate:
            return _resized(func, *args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


_FILLS = {Tensor.normal_, Tensor.uniform_, Tensor.fill_, Tensor.zero_}


def _resized(
    interpolate: Callable[..., Tensor], image: Tensor, size: Any = None, *args: Any, **kwargs: Any
) -> Tensor:
    if size is None or isinstance(size, int) or image.dim() != 4:
        return interpolate(image, size, *args, **kwargs)
    out = image.new_empty(*image.shape[:2], *size)
    out.layers_before = getattr(image, "layers_before", frozenset())  # type: ignore[attr-defined]
    return out


def record(network: nn.Module, image: Tensor) -> list[Layer]:
    """The layers that one forward pass of a network runs, both on the meta device."""
    recorder = _Recorder()
    with torch.no_grad(), recorder, _ShapesAlone():
        network(image)
    return recorder.layers


def on_meta(
    build: Callable[[], nn.Module], channels: int, size: tuple[int, int]
) -> tuple[nn.Module, Tensor]:
    """A network and an image (1, channels, *size) that hold nothing.

    Raises:
        ValueError: options that name no network, as channels below zero.
    """
    try:
        with torch.device("meta"), _ShapesAlone(), without("wandb"):  # which timm imports
            return build().eval(), torch.empty(1, channels, *size)
    except (RuntimeError, ArithmeticError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"no such network: {reason}; change its options") from None


def trace(build: Callable[[], nn.Module], channels: int, size: tuple[int, int]) -> Trace:
    """One forward pass of a network on an image (1, channels, *size) that holds nothing."""
    return Trace(size, record(*on_meta(build, channels, size)))


def trace_model(model: str, size: tuple[int, int]) -> Trace:
    """A network of the table, with its options.

    Raises:
        ValueError: an unknown name or option, or one that the network cannot serve.
    """
    return trace(partial(build_model, model, CLASSES), 3, size)


def trace_ancestors() -> dict[str, Trace]:
    """The classification networks, each at its paper's size, by name and year."""
    from torchvision import models as vision

    return {
        "LeNet-5, 1998": trace(_lenet5, 1, (32, 32)),
        "AlexNet, 2012": trace(vision.alexnet, 3, (224, 224)),
        "VGG16, 2014": trace(vision.vgg16, 3, (224, 224)),
        "ResNet-50, 2015": trace(vision.resnet50, 3, (224, 224)),
    }


def _lenet5() -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(1, 6, 5), nn.Tanh(), nn.AvgPool2d(2)),  # C1 28x28, S2 14x14
        *(nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2)),  # C3 10x10, S4 5x5
        *(nn.Conv2d(16, 120, 5), nn.Tanh(), nn.Flatten()),  # C5 1x1
        *(nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, 10)),  # F6 and output
    )
