"""Heads that only training uses: what they promise the trainer, and that inference has none."""

import importlib
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from models import build_model
from models.registry import MODELS
from models.weights import load_weights
from tests.models.networks import HEADED

CLASSES = 7
BOUNDARY = {"pidnet"}  # files whose networks have a head for the edges too
SIZES = [(33, 33), (65, 48)]
DEEP = 200, 200  # pixels that leave 4x4 cells at 1/64, see DEEP_SIDE in test_models.py


def _build(name: str, heads: bool = True) -> nn.Module:
    torch.manual_seed(0)
    network = build_model(name, CLASSES)
    if heads:
        _method(network, "add_training_heads")()
    return network


def _method(network: nn.Module, name: str) -> Callable[..., dict[str, Tensor]]:
    method = getattr(network, name)
    assert callable(method)
    return method  # type: ignore[no-any-return]


def _images(*shape: int) -> Tensor:
    return torch.randn(shape[0], 3, *shape[1:], generator=torch.Generator().manual_seed(0))


def _of_heads(network: nn.Module) -> set[str]:
    """Names of the tensors under the submodules that the network says are training's."""
    heads = network.auxiliary
    assert isinstance(heads, tuple)
    return {name for name in network.state_dict() if name.split(".")[0] in heads}


def test_every_class_with_heads_is_here() -> None:
    modules = {importlib.import_module(entry.split(":")[0]) for entry in MODELS.values()}
    classes: set[Any] = {
        one
        for module in modules
        for one in vars(module).values()
        if inspect.isclass(one) and hasattr(one, "training_heads")
    }
    with torch.device("meta"):
        built = {type(build_model(name, 2)) for name in HEADED}
    assert built == {one for one in classes if one.auxiliary}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", HEADED)
def test_heads_are_named_and_as_large_as_the_image(name: str, size: tuple[int, int]) -> None:
    network = _build(name).train()
    found = _method(network, "training_heads")(_images(2, *size))
    channels = {"out": CLASSES, "aux": CLASSES}
    if type(network).__module__.split(".")[1] in BOUNDARY:
        channels["boundary"] = 1
    assert {key: value.shape for key, value in found.items()} == {
        key: (2, count, *size) for key, count in channels.items()
    }
    assert all(value.isfinite().all() for value in found.values())


@pytest.mark.parametrize("name", HEADED)
def test_out_is_what_forward_gives_to_the_bit(name: str) -> None:
    """In training, running statistics of both passes included, and with the same dropout."""
    outputs = []
    for call in ("forward", "training_heads"):
        network = _build(name).train()
        torch.manual_seed(1)
        given = _method(network, call)(_images(2, 48, 65))
        out = given if isinstance(given, Tensor) else given["out"]
        trunk = {n: t for n, t in network.state_dict().items() if n not in _of_heads(network)}
        outputs.append((out, trunk))
    (out, trunk), (again, same) = outputs
    assert torch.equal(out, again)
    assert all(torch.equal(tensor, same[key]) for key, tensor in trunk.items())


@pytest.mark.parametrize("name", HEADED)
def test_the_losses_of_all_heads_reach_every_parameter(name: str) -> None:
    network = _build(name).train()
    for module in network.modules():  # some residual units start closed, with a last norm of zero
        if isinstance(module, nn.BatchNorm2d) and not module.weight.any():
            nn.init.ones_(module.weight)
    loss = torch.stack(
        [
            head.square().mean()
            for head in _method(network, "training_heads")(_images(2, *DEEP)).values()
        ]
    ).sum()
    names, parameters = zip(*network.named_parameters(), strict=True)
    gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
    for key, gradient in zip(names, gradients, strict=True):
        assert gradient is not None, key
        assert gradient.isfinite().all() and gradient.any(), key


@pytest.mark.parametrize("name", HEADED)
def test_a_constructor_builds_none_and_adding_them_changes_nothing_else(name: str) -> None:
    plain, headed = _build(name, heads=False), _build(name)
    without, having = plain.state_dict(), headed.state_dict()
    assert _of_heads(plain) == set()
    assert having.keys() - without.keys() == _of_heads(headed) != set()
    assert {key.split(".")[0] for key in _of_heads(headed)} == set(headed.auxiliary)  # type: ignore[arg-type]
    assert list(without) == [key for key in having if key in without]
    assert all(torch.equal(tensor, having[key]) for key, tensor in without.items())
    with torch.no_grad():
        logits = [network.eval()(_images(1, 40, 33)) for network in (plain, headed)]
    assert torch.equal(*logits)


@pytest.mark.parametrize("name", HEADED)
def test_weights_go_from_one_form_to_the_other_without_a_warning(name: str, tmp_path: Path) -> None:
    forms = {heads: _build(name, heads) for heads in (False, True)}
    learnt = sum("num_batches" not in key for key in _of_heads(forms[True]))
    for heads, network in forms.items():
        path = tmp_path / f"{heads}.pt"
        torch.save({"state_dict": {f"model.{n}": t for n, t in network.state_dict().items()}}, path)
        for into, note in ((False, "left out"), (True, "not in the file")):
            torch.manual_seed(1)
            other = build_model(name, CLASSES)
            if into:
                _method(other, "add_training_heads")()
            before = {key: other.state_dict()[key].clone() for key in _of_heads(other)}
            report = load_weights(other, path)  # whatever it warns of is an error here
            assert report.complete
            told = f"; {learnt} tensors of heads that only training uses {note}"
            assert report.note == (told if heads != into else "")
            kept = network.state_dict() if heads else before
            assert all(torch.equal(other.state_dict()[key], kept[key]) for key in before)


def test_a_head_of_which_a_file_has_a_part_is_missing_the_rest(tmp_path: Path) -> None:
    name, path = "pspnet:trunk=resnet18d:width=8", tmp_path / "weights.pt"
    headed = _build(name)
    state = headed.state_dict()
    del state["aux.0.weight"]
    torch.save(state, path)
    with pytest.warns(UserWarning, match="1 missing, 0 of another shape, 0 unexpected$"):
        report = load_weights(headed, path)
    assert report.missing == ("aux.0.weight",)
