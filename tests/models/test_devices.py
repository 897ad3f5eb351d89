"""Forward and backward of every network on a device in fp32, against the CPU.

There small networks run in fp64; whole ones, which would take minutes so, in fp32.
"""

import copy
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from experiments.speed.roofline import tf32
from models import build_model
from models.registry import MODELS
from tests.devices import GPU
from tests.models.networks import SMALL

CLASSES = 7
# Relative, in the norm of all values. Between two kinds of kernels on a CPU, logits in evaluation
# are off by up to 1.6e-5, and in training by up to 3.4e-3: batch norms of few values amplify
# rounding, and a maximum that moves is unpooled elsewhere. Gradients are off by up to 4.2e-2, as a
# ReLU within rounding of its edge falls to either side. A wrong kernel would be off by about 1.
TRAINED, TESTED, GRADIENTS = 2e-2, 2e-4, 0.2

WHOLE = list({target: name for name, target in reversed(MODELS.items())}.values())[::-1]
ON_DEVICES = [
    *(pytest.param("cpu", name, id=f"cpu-{name}") for name in SMALL[::3]),
    *(pytest.param(*GPU.values, name, marks=GPU.marks, id=f"cuda-{name}") for name in WHOLE),
]


@pytest.fixture(autouse=True)
def full_precision() -> Iterator[None]:
    """No TF32, which cuDNN takes for fp32 unless it is told."""
    with tf32(False):
        yield


def build(name: str) -> nn.Module:
    """Without dropout, whose draws differ between devices."""
    torch.manual_seed(0)
    network = build_model(name, CLASSES)
    for module in network.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):
            module.p = 0.0
    return network


def run(network: nn.Module, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Logits in training and in evaluation, and all gradients, as fp64 on the CPU."""
    target = torch.arange(image[:, 0].numel(), device=image.device) // 5 % CLASSES
    logits = network.train()(image)
    F.cross_entropy(logits, target.view_as(image[:, 0]).long()).backward()  # type: ignore[no-untyped-call]
    gradients = [p.grad.flatten() for p in network.parameters() if p.grad is not None]
    with torch.no_grad():
        tested = network.eval()(image)
    parts = (logits.detach(), tested, torch.cat(gradients))
    return tuple(part.double().cpu() for part in parts)  # type: ignore[return-value]


def distance(ours: Tensor, theirs: Tensor) -> float:
    return float((ours - theirs).norm() / theirs.norm())


@pytest.mark.parametrize(("device", "name"), ON_DEVICES)
def test_a_network_computes_what_it_does_on_a_cpu(device: str, name: str) -> None:
    network, exact = build(name), torch.float64 if device == "cpu" else torch.float32
    image = torch.randn(4, 3, 65, 97, generator=torch.Generator().manual_seed(0))
    expected = run(copy.deepcopy(network).to(exact), image.to(exact))
    network.to(device).to(memory_format=torch.channels_last)
    found = run(network, image.to(device).to(memory_format=torch.channels_last))
    off = [distance(*pair) for pair in zip(found, expected, strict=True)]
    for value, limit in zip(off, (TRAINED, TESTED, GRADIENTS), strict=True):
        assert value <= limit, off
