"""Files of weights as other programs write them: where their tensors lie, and what is refused."""

import argparse
import pickle
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from models import build_model
from models.weight_files import damaged_record
from models.weights import Report, load_weights

TINY = "unet:width=4"
State = dict[str, Tensor]


@pytest.fixture(scope="module")
def state() -> State:
    torch.manual_seed(1)
    return build_model(TINY, 3).state_dict()


def _under(prefix: str) -> Callable[[State], dict[str, Any]]:
    return lambda state: {prefix + name: tensor for name, tensor in state.items()}


def _in(*keys: str) -> Callable[[State], dict[str, Any]]:
    def wrapped(state: State) -> dict[str, Any]:
        content: dict[str, Any] = dict(state)
        for key in reversed(keys):
            content = {"epoch": 3, "optimizer": {"state": {0: {"exp_avg": torch.ones(3)}}}} | {
                key: content
            }
        return content

    return wrapped


def _scaled(state: State) -> State:
    return {name: tensor * 2 for name, tensor in state.items()}


FORMS: dict[str, Callable[[State], object]] = {
    "a state dict": dict,
    "an ordered one": OrderedDict,
    "state_dict": _in("state_dict"),
    "model_state_dict": _in("model_state_dict"),
    "model_state": _in("model_state"),
    "model": _in("model"),
    "net": _in("net"),
    "network": _in("network"),
    "weights": _in("weights"),
    "params": _in("params"),
    "state": _in("state"),
    "a name of one's own": _in("my_best_model"),
    "two levels": _in("checkpoint", "model"),
    "DDP": _under("module."),
    "torch.compile": _under("_orig_mod."),
    "compiled under DDP": _under("module._orig_mod."),
    "Lightning": lambda state: _in("state_dict")(_under("model.")(state)),
    "Lightning, another name": lambda state: _in("state_dict")(_under("net.")(state)),
    "Lightning with a metric": lambda state: _in("state_dict")(
        _under("model.")(state) | {"criterion.weight": torch.ones(3)}
    ),
    "mmseg": lambda state: _in("state_dict")(_under("backbone.")(state)) | {"meta": {"epoch": 1}},
    "HRNet's authors": lambda state: _under("model.")(state)
    | {"loss.criterion.weight": torch.ones(3)},
    "a deep prefix": _under("trainer.student.encoder_decoder."),
    "a moving average after it": lambda state: {
        "state_dict": dict(state), "state_dict_ema": _scaled(state)
    },
    "a moving average before it": lambda state: {
        "ema": _scaled(state), "model": dict(state)
    },
    "a teacher beside it": lambda state: {
        **_under("a_teacher.head.")({"weight": torch.ones(3)}), **_under("student.")(state)
    },
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:the weights fit in part")
@pytest.mark.parametrize("form", FORMS)
def test_tensors_are_found_where_it_is_clear_which_are_meant(
    form: str, state: State, tmp_path: Path
) -> None:
    path = tmp_path / "weights.pth"
    torch.save(FORMS[form](state), path)
    network = build_model(TINY, 3)
    report = load_weights(network, path)
    assert not report.missing and not report.mismatched
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, state[name]), name
    strange = {"a teacher beside it": ("a_teacher.head.weight",)}
    assert report.unexpected == strange.get(form, ())


def _report(network: nn.Module, path: Path) -> Report:
    with pytest.warns(UserWarning, match="fit in part"):
        return load_weights(network, path)


def test_what_stands_beside_the_prefix_is_told(state: State, tmp_path: Path) -> None:
    """As of mmsegmentation, where another head lies beside the backbone."""
    head = {"decode_head.conv_seg.weight": torch.ones(3, 4, 1, 1)}
    path = tmp_path / "mmseg.pth"
    torch.save({"state_dict": _under("backbone.")(state) | head}, path)
    report = _report(build_model(TINY, 3), path)
    assert report.unexpected == tuple(head)


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}, {"a": "{", "ü": "\u0000"}])
def test_safetensors_with_any_metadata(
    metadata: dict[str, str] | None, state: State, tmp_path: Path
) -> None:
    path = tmp_path / "best.bin"  # told by its content
    save_file(_under("module.")({k: v.contiguous() for k, v in state.items()}), path, metadata)
    network = build_model(TINY, 3)
    assert load_weights(network, path).complete
    assert all(torch.equal(t, state[name]) for name, t in network.state_dict().items())


class _Boom:
    """Says that it was run."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("ran"),)


REFUSED: dict[str, tuple[Callable[[State], object], str]] = {
    "code": (lambda state: {"model": _Boom()}, "would run code when opened"),
    "a whole network": (lambda state: nn.Conv2d(3, 3, 1), "would run code when opened"),
    "arguments": (
        lambda state: {"args": argparse.Namespace(lr=1), **state}, "would run code when opened"
    ),
    "a list": (lambda state: [*state.values()], "no state dict of tensors"),
    "numbers": (lambda state: {"state_dict": {"a": 1}}, "no state dict of tensors"),
    "another network": (
        lambda state: {"layer1.0.conv1.weight": torch.ones(3)}, "the file has layer1.0.conv1.weight"
    ),
    "no numbers": (
        lambda state: state | {name: state[name] / 0 for name in [*state][:1]},
        "values that are no numbers in",
    ),
    "numbered tensors": (lambda state: {str(i): t for i, t in enumerate(state.values())}, "0 of"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_others_are_refused_in_one_sentence_and_run_nothing(
    kind: str, state: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    content, says = REFUSED[kind]
    path, network = tmp_path / "weights.pth", build_model(TINY, 3)
    torch.save(content(state), path)
    with pytest.raises(ValueError, match=says) as raised:
        load_weights(network, path)
    assert "\n" not in str(raised.value)
    path.write_bytes(pickle.dumps({"model": _Boom()}))
    with pytest.raises(ValueError, match="would run code when opened"):
        load_weights(network, path)
    assert not (tmp_path / "ran").exists()


def test_a_flipped_bit_is_named_by_its_part(state: State, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save(state, path)
    assert damaged_record(path) is None
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"damaged: the checksum of its part \S+/data/\d+ does no"):
        load_weights(build_model(TINY, 3), path)


def test_files_without_checksums_are_taken(state: State, tmp_path: Path) -> None:
    """As torch writes them on request, in its old format, and as safetensors are."""
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(state, tmp_path / "without.pth")
    finally:
        torch.serialization.set_crc32_options(True)
    torch.save(state, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    for path in tmp_path.iterdir():
        assert damaged_record(path) is None
        assert load_weights(build_model(TINY, 3), path).complete
