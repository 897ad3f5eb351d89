"""Parameters that forward leaves out, which processes that train together would wait for."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from lightning_modules.unused_parameters import freeze_unused, say_unused
from models import build_model


class Tiny(nn.Module):
    """Two convolutions, a batch norm and a head that only some losses use."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Conv2d(3, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.classifier = nn.Conv2d(4, 3, 1)
        self.aux = nn.Conv2d(4, 3, 1)

    def forward(self, image: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.norm(self.features(image)).relu())
        return logits


class Detached(Tiny):
    """Its features are used, and no gradient comes to them."""

    def forward(self, image: Tensor) -> Tensor:
        features = self.features(image).detach()
        logits: Tensor = self.classifier(self.norm(features).relu()) + self.aux(features)
        return logits


class Tied(Tiny):
    """Both heads are one."""

    def __init__(self) -> None:
        super().__init__()
        self.aux = self.classifier


class Looks(Tiny):
    """Does what a tensor without numbers cannot."""

    def forward(self, image: Tensor) -> Tensor:
        return super().forward(image / image.max().item())


CASES = {
    Tiny: ["aux.weight", "aux.bias"],
    Detached: ["features.weight", "features.bias"],
    Tied: [],
    Looks: [],  # nobody knows
}


@pytest.fixture
def one_process(tmp_path: Path) -> Iterator[None]:
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1
    )
    yield
    torch.distributed.destroy_process_group()


def _three_steps(network: nn.Module) -> None:
    parallel = DistributedDataParallel(network)
    for _ in range(3):
        parallel(torch.randn(2, 3, 48, 48)).sum().backward()


@pytest.mark.parametrize("kind", CASES)
def test_what_no_loss_reaches_is_frozen_and_nothing_else(kind: type[Tiny]) -> None:
    network = kind()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    assert freeze_unused(network) == CASES[kind]
    asked = [name for name, p in network.named_parameters() if p.requires_grad]
    assert set(asked) == {n for n, _ in network.named_parameters()} - set(CASES[kind])
    assert network.training
    for name, tensor in network.state_dict().items():  # also the statistics of its batch norm
        assert torch.equal(tensor, before[name])
    network(torch.randn(2, 3, 48, 48)).sum().backward()
    if kind is not Looks:
        assert all((p.grad is not None) == p.requires_grad for p in network.parameters())
    assert freeze_unused(network) == []


@pytest.mark.parametrize("kind", [Tiny, Detached])
def test_processes_wait_for_no_frozen_parameter(one_process: None, kind: type[Tiny]) -> None:
    with pytest.raises(RuntimeError, match="finished reduction in the prior iteration"):
        _three_steps(kind())
    network = kind()
    freeze_unused(network)
    _three_steps(network)


@pytest.mark.parametrize("name", ["unet:width=4", "hrnetv2_w18:width=4"])
def test_our_networks_use_all_that_they_have(name: str) -> None:
    assert freeze_unused(build_model(name, 3)) == []


def test_the_warning_names_them(capsys: pytest.CaptureFixture[str]) -> None:
    say_unused([])
    assert capsys.readouterr().err == ""
    say_unused(["a.weight", "a.bias", "b.weight", "b.bias", "c.weight"])
    said = capsys.readouterr().err
    assert said.startswith("warning: no loss reaches a.weight, a.bias, b.weight and 2 more, so")
