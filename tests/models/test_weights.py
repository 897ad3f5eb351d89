"""Files of weights: what they make a network compute, what is counted, and what is refused."""

import io
import os
import pickle
import re
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from models import build_model
from models.weights import Report, load_weights

CLASSES = 19
TINY = "unet:width=4"  # its encoder has ten times a convolution and a batch norm's four: 50 tensors
IMAGE = (1, 3, 64, 96)


def _report(model: nn.Module) -> Report:
    report = model.load_report
    assert isinstance(report, Report)
    return report


def _shake(module: nn.Module) -> None:
    """Statistics and affine parts as a training leaves them: at their start most do nothing."""
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            assert part.running_mean is not None and part.running_var is not None
            nn.init.uniform_(part.running_mean, -0.1, 0.1)
            nn.init.uniform_(part.running_var, 0.5, 1.5)
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.uniform_(part.bias, -0.1, 0.1)


# --- HRNet's authors: timm's HRNet stands for their trunk, the head is written out.


def _official() -> tuple[nn.Module, dict[str, Tensor]]:
    """timm's four streams, and the head's tensors by their official names."""
    torch.manual_seed(0)
    trunk = timm.create_model("hrnet_w18", features_only=True, feature_location="").eval()
    _shake(trunk)
    head = nn.Sequential(
        nn.Conv2d(270, 270, 1), nn.BatchNorm2d(270), nn.ReLU(), nn.Conv2d(270, CLASSES, 1)
    )
    _shake(head)
    return trunk, {f"last_layer.{name}": tensor for name, tensor in head.state_dict().items()}


def _logits(trunk: nn.Module, head: dict[str, Tensor], image: Tensor, align: bool) -> Tensor:
    """seg_hrnet.py of the branch whose ALIGN_CORNERS is `align`."""
    for module in trunk.modules():
        if isinstance(module, nn.Upsample):  # nearest in timm's
            module.mode, module.align_corners = "bilinear", align

    def resize(x: Tensor, size: torch.Size) -> Tensor:
        return F.interpolate(x, size, mode="bilinear", align_corners=align)

    _, first, *others = trunk(image)  # the stem's map is not used
    x = torch.cat([first, *(resize(x, first.shape[-2:]) for x in others)], dim=1)
    x = F.conv2d(x, head["last_layer.0.weight"], head["last_layer.0.bias"])
    mean, variance, weight, bias = (
        head[f"last_layer.1.{part}"] for part in ("running_mean", "running_var", "weight", "bias")
    )
    x = F.relu(F.batch_norm(x, mean, variance, weight, bias))
    x = F.conv2d(x, head["last_layer.3.weight"], head["last_layer.3.bias"])
    return resize(x, image.shape[-2:])


@pytest.fixture(scope="module")
def official() -> tuple[dict[str, Tensor], Tensor, dict[bool, Tensor]]:
    """The state dict, an image, and its logits by the value of ALIGN_CORNERS."""
    trunk, head = _official()
    image = torch.randn(IMAGE, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        logits = {align: _logits(trunk, head, image, align) for align in (False, True)}
    return {**trunk.state_dict(), **head}, image, logits


def _relative(got: Tensor, want: Tensor) -> float:
    return float((got - want).abs().max() / want.abs().max())


def test_the_two_branches_differ(official: tuple[Any, Any, dict[bool, Tensor]]) -> None:
    assert _relative(official[2][False], official[2][True]) > 0.1


@pytest.mark.parametrize("align", [False, True])
@pytest.mark.parametrize(
    ("prefix", "loss", "counters", "container", "zipped"),
    [
        ("", None, True, False, True),
        ("", "loss.criterion.weight", False, False, False),
        ("model.", "loss.criterion.weight", False, False, False),  # as they were published
        ("module.model.", "module.loss.criterion.weight", True, True, True),  # from training
        ("module.", "criterion.weight", False, True, False),
    ],
)
def test_checkpoints_of_both_branches_compute_what_they_did(
    official: tuple[dict[str, Tensor], Tensor, dict[bool, Tensor]],
    tmp_path: Path,
    prefix: str,
    loss: str | None,
    counters: bool,
    container: bool,
    zipped: bool,
    align: bool,
) -> None:
    state, image, logits = official
    stored: dict[str, Any] = OrderedDict(
        (prefix + name, tensor)
        for name, tensor in state.items()
        if counters or not name.endswith("num_batches_tracked")
    )
    if loss:
        stored[loss] = torch.ones(CLASSES)
    if container:  # the best mIoU is a mean of a NumPy array
        optimizer = {"state": {}, "param_groups": [{"lr": 0.01}]}
        stored = {
            "epoch": 484,
            "best_mIoU": np.float64(0.81),
            "state_dict": stored,
            "optimizer": optimizer,
        }
    path = tmp_path / "hrnet_w18_cityscapes.pth"
    torch.save(stored, path, _use_new_zipfile_serialization=zipped)
    options: dict[str, Any] = {"align_corners": True} if align else {}
    model = build_model("hrnetv2_w18", num_classes=CLASSES, weights=path, **options)  # no warning
    with torch.no_grad():
        got = model.eval()(image)
    assert _relative(got, logits[align]) < 1e-4
    report = _report(model)
    assert report.complete
    assert report.trunk[0] == report.trunk[1] == len(report.loaded) - 8  # the head's tensors


def test_a_numpy_number_under_its_old_name(tmp_path: Path) -> None:
    """As NumPy 1 wrote it, of which the authors' files are."""
    model, buffer = build_model(TINY, 3), io.BytesIO()
    stored = {"best_mIoU": np.float64(0.5), "state_dict": model.state_dict()}
    torch.save(stored, buffer, _use_new_zipfile_serialization=False)
    old = buffer.getvalue().replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    assert old != buffer.getvalue()
    (tmp_path / "old.pth").write_bytes(old)
    assert _report(build_model(TINY, 3, weights=tmp_path / "old.pth")).complete


def test_the_imagenet_files_of_the_authors_fill_the_trunk(tmp_path: Path) -> None:
    """timm's classification network has their names, and tensors that segmentation drops."""
    torch.manual_seed(0)
    theirs = timm.create_model("hrnet_w18").state_dict()
    path = tmp_path / "hrnetv2_w18_imagenet_pretrained.pth"
    torch.save(theirs, path)
    with pytest.warns(UserWarning, match=r"8 missing, 0 of another shape, \d+ unexpected"):
        model = build_model("hrnetv2_w18", CLASSES, weights=path)
    report = _report(model)
    assert report.trunk[0] == report.trunk[1] == len(report.loaded)
    assert all(name.startswith("last_layer.") for name in report.missing)
    kinds = {name.split(".")[0] for name in report.unexpected}
    assert kinds == {"incre_modules", "downsamp_modules", "final_layer", "classifier"}
    state = model.state_dict()
    assert all(torch.equal(state[name], theirs[name]) for name in report.loaded)
    assert len(str(report)) < 250 and "\n" not in str(report)


# --- What is counted.


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_a_full_match_is_silent(suffix: str, tmp_path: Path) -> None:
    model, path = build_model(TINY, 3), tmp_path / f"weights{suffix}"
    state = model.state_dict()
    (save_file if suffix == ".safetensors" else torch.save)(state, path)
    torch.manual_seed(1)
    again = build_model(TINY, 3, weights=path)
    assert all(torch.equal(tensor, state[name]) for name, tensor in again.state_dict().items())
    report = _report(again)
    assert report.complete
    assert report.trunk == (50, 50)
    assert re.fullmatch("[0-9a-f]{64}", report.sha256)


def test_another_number_of_classes_is_said(tmp_path: Path) -> None:
    torch.save(build_model(TINY, 4).state_dict(), tmp_path / "four.pt")
    with pytest.warns(UserWarning, match="0 missing, 2 of another shape, 0 unexpected"):
        model = build_model(TINY, 3, weights=tmp_path / "four.pt")
    assert _report(model).mismatched == ("classifier.weight", "classifier.bias")


@pytest.mark.parametrize(("dropped", "fits"), [(2, True), (3, False)])
def test_95_percent_of_the_trunk_are_needed(dropped: int, fits: bool, tmp_path: Path) -> None:
    """48 of 50 tensors are 96 %, 47 are 94 %; one is absent, the others have another shape."""
    torch.manual_seed(1)
    state = build_model(TINY, 3).state_dict()
    absent, *wrong = [n for n in state if n.startswith("encoder.") and "running" in n][:dropped]
    del state[absent]
    state |= {name: torch.zeros(99) for name in wrong}
    torch.save(state, tmp_path / "weights.pt")
    torch.manual_seed(0)
    if fits:
        with pytest.warns(UserWarning, match="48 of 50 of the trunk; 1 missing, 1 of another"):
            model = build_model(TINY, 3, weights=tmp_path / "weights.pt")
        assert _report(model).missing == (absent,)
        assert _report(model).mismatched == tuple(wrong)
        return
    model = build_model(TINY, 3)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(ValueError, match="47 of the 50 tensors .* 95% are needed") as refused:
        load_weights(model, tmp_path / "weights.pt")
    assert absent in str(refused.value) and wrong[0] in str(refused.value)
    assert not hasattr(model, "load_report")
    assert all(torch.equal(tensor, before[n]) for n, tensor in model.state_dict().items())


# --- What is refused.


class _Malice:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (f"touch {self.mark}",)


@pytest.mark.parametrize("kind", ["zip", "legacy", "pickle 0", "pickle 2", "pickle 4", "pickle 5"])
def test_a_pickle_that_wants_to_run_code_is_refused_and_does_not(kind: str, tmp_path: Path) -> None:
    path, mark = tmp_path / "weights.pth", tmp_path / "ran"
    content = {"state_dict": {"w": torch.zeros(3)}, "payload": _Malice(mark)}
    if kind.startswith("pickle"):
        path.write_bytes(pickle.dumps(content, protocol=int(kind[-1])))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=kind == "zip")
    with pytest.raises(ValueError, match="would run code when opened") as refused:
        build_model(TINY, 3, weights=path)
    text = str(refused.value)
    assert str(path) in text and "which is refused: save tensors only, as torch.save(" in text
    assert "\n" not in text and len(text) < 400
    assert not mark.exists()
    torch.load(path, weights_only=False) if kind == "zip" else pickle.loads(
        pickle.dumps(_Malice(mark))
    )
    assert mark.exists()  # else this file would prove nothing


@pytest.mark.parametrize(
    "content", ["text", "nothing", "cut", "cut safetensors", "no tensors", "list"]
)
def test_what_is_damaged_or_no_weights(content: str, tmp_path: Path) -> None:
    path = tmp_path / ("w.safetensors" if content == "cut safetensors" else "w.pt")
    state = build_model(TINY, 3).state_dict()
    if content in ("text", "nothing"):
        path.write_text("<html>404</html>" if content == "text" else "")
    elif content == "list":
        torch.save([torch.zeros(3)], path)
    elif content == "no tensors":
        torch.save({"state_dict": {"epoch": 3}}, path)
    else:
        save_file(state, path) if content == "cut safetensors" else torch.save(state, path)
        path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ValueError, match="is damaged or no state dict of tensors") as refused:
        build_model(TINY, 3, weights=path)
    assert str(path) in str(refused.value) and "\n" not in str(refused.value)


def test_a_network_saved_whole_is_code(tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 2), tmp_path / "whole.pt")
    with pytest.raises(ValueError, match=r"run code when opened \(torch\.nn\.modules\.linear"):
        build_model(TINY, 3, weights=tmp_path / "whole.pt")
