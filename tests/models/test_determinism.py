"""Which networks have equal bits in two trainings, and what keeps the others from it on a GPU.

Under deterministic algorithms torch refuses the operations that it lists as having none
(`torch.use_deterministic_algorithms`): in training, adaptive average pooling to several bins and
unpooling. The fixed order of all others is what this test holds.
"""

import copy
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from lightning_modules.losses import cross_entropy_sum
from models import build_model
from models.registry import MODELS
from tests.devices import GPU
from tests.models.networks import SMALL

CLASSES = 7
REFUSED = {
    "pspnet": "adaptive_avg_pool2d",
    "segnet": "max_unpool",
    "deconvnet": "max_unpool",
    "litehrnet": "adaptive_avg_pool2d",
}
WHOLE = list({target: name for name, target in reversed(MODELS.items())}.values())[::-1]
ON_DEVICES = [
    *(pytest.param("cpu", name, id=f"cpu-{name}") for name in SMALL[1::4]),
    *(pytest.param(*GPU.values, name, marks=GPU.marks, id=f"cuda-{name}") for name in WHOLE),
]


@pytest.fixture
def deterministic(device: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As a trial's trainer has it, which asks nothing of a CPU."""
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(device == "cuda")
    yield
    torch.use_deterministic_algorithms(False)


def steps(network: nn.Module, image: Tensor, mask: Tensor) -> Tensor:
    """All weights after three steps."""
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)
    for _ in range(3):
        optimizer.zero_grad()
        torch.manual_seed(0)  # dropout
        with torch.autocast(image.device.type, torch.bfloat16):
            logits = network(image)
        loss = cross_entropy_sum(logits, mask, None) / mask.numel()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return torch.cat([weight.detach().flatten().cpu() for weight in network.parameters()])


@pytest.mark.usefixtures("deterministic")
@pytest.mark.parametrize(("device", "name"), ON_DEVICES)
def test_two_trainings_have_equal_bits_or_the_operation_is_named(device: str, name: str) -> None:
    torch.manual_seed(0)
    network = build_model(name, CLASSES).to(device).to(memory_format=torch.channels_last)
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(4, 3, 65, 97, generator=generator).to(device)
    mask = torch.randint(CLASSES, (4, 65, 97), generator=generator).to(device)
    again = copy.deepcopy(network)
    family = MODELS[name.split(":")[0]].split(".")[-1].split(":")[0]
    if device == "cuda" and family in REFUSED:
        with pytest.raises(RuntimeError, match=f"{REFUSED[family]}.* deterministic"):
            steps(network, image, mask)
        return
    assert torch.equal(steps(network, image, mask), steps(again, image, mask))
