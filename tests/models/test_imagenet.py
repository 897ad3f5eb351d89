"""ImageNet weights: files as timm publishes them, made here with random tensors."""

import hashlib
import http.server
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import timm
import torch
from huggingface_hub import constants
from safetensors.torch import save_file
from torch import Tensor, nn

from models import build_model, imagenet
from models.imagenet import fetch, imagenet_networks, imagenet_parts, load_imagenet
from models.weights import HEADS, Report

FILES = {
    "resnet18": "resnet18.a1_in1k.safetensors",
    "xception41": "xception41.tf_in1k.safetensors",
    "mobilenetv2_100": "mobilenetv2_100.ra_in1k.safetensors",
    "hrnet_w18_small": "hrnet_w18_small.gluon_in1k.safetensors",
    "hrnet_w18": "hrnet_w18.ms_aug_in1k.safetensors",
    "vgg16": "vgg16.tv_in1k.safetensors",
}


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty caches of torch and of Hugging Face, and no network."""
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "hub" / "checkpoints"


def _publish(network: str, hub: Path) -> dict[str, Tensor]:
    """Put a file of random tensors where a user would; returns what it holds."""
    generator = torch.Generator().manual_seed(0)
    with torch.device("meta"):
        state = timm.create_model(network).state_dict()
    state = {  # uniform around 1, as variances are positive
        name: torch.rand(meta.shape, generator=generator).add_(0.5).to(meta.dtype)
        for name, meta in state.items()
    }
    hub.mkdir(parents=True, exist_ok=True)
    save_file(state, hub / FILES[network])
    return state


def _mark(model: nn.Module, name: str) -> None:
    model.get_submodule("trunk").imagenet = name  # type: ignore[assignment]


def _report(model: nn.Module) -> Report:
    report = model.load_report
    assert isinstance(report, Report)
    return report


# --- Which networks have them, and under which names.


@pytest.mark.parametrize(
    ("name", "marks"),
    [
        ("hrnet", {"": "hrnet_w48"}),
        ("hrnetv2_w18_small_v1", {"": "hrnet_w18_small"}),
        ("hrnetv1h_w18", {"": "hrnet_w18"}),
        ("hrnetv2_w18_ocr", {"": "hrnet_w18"}),
        ("dilated_resnet", {"trunk": "resnet101s"}),
        ("deeplabv3", {"trunk": "resnet101"}),
        ("pspnet:trunk=resnet18d", {"trunk": "resnet18d"}),
        ("unetpp", {"trunk": "resnet101"}),
        ("segnet", {"trunk": "vgg16_bn/features"}),
        ("deeplabv1", {"trunk": "vgg16/features"}),
        ("deeplabv1:norm=batch", {"trunk": "vgg16_bn/features"}),
        (
            "deconvnet",
            {
                "trunk": "vgg16_bn/features",
                "fc.0.0": "vgg16_bn/pre_logits.fc1",
                "fc.1.0": "vgg16_bn/pre_logits.fc2",
            },
        ),
        (
            "dilatednet",
            {
                "trunk": "vgg16/features",
                "head.0.0": "vgg16/pre_logits.fc1",
                "head.2.0": "vgg16/pre_logits.fc2",
            },
        ),
        ("unet", {}),
        ("resunet", {}),
        ("segnet:width=8", {}),
        ("deconvnet:width=8", {}),
        ("deeplabv3:width=32", {}),
        ("pspnet:trunk=resnet50t", {}),  # timm has the network, and nobody its weights
    ],
)
def test_what_has_imagenet_weights(name: str, marks: dict[str, str]) -> None:
    with torch.device("meta"):
        parts = imagenet_parts(model := build_model(name, 2))
        assert parts == marks
        for part, mark in parts.items():  # and their names and shapes are timm's
            network, _, module = mark.partition("/")
            theirs = timm.create_model(network).get_submodule(module).state_dict()
            for key, tensor in model.get_submodule(part).state_dict().items():
                if not key.startswith(HEADS):
                    assert tensor.shape == theirs[key].shape, key


def test_networks_without_are_refused_by_name() -> None:
    names = ["deeplabv3:trunk=resnet18", "unet:width=8", "segnet", "resunet", "segnet:width=8"]
    with pytest.raises(ValueError, match="exist for unet:width=8, resunet, segnet:width=8: leave"):
        imagenet_networks(names)
    assert imagenet_networks(["segnet", "deeplabv3", "deconvnet"]) == ["vgg16_bn", "resnet101"]
    model = build_model("unet:width=8", 2)
    with pytest.raises(ValueError, match="no ImageNet weights exist for mine: "):
        load_imagenet(model, "mine")
    assert not hasattr(model, "load_report")


# --- Loading.


@pytest.mark.parametrize(
    ("name", "network"),
    [
        ("deeplabv3:trunk=resnet18", "resnet18"),
        ("deeplabv3p:trunk=mobilenetv2_100", "mobilenetv2_100"),
        ("hrnetv2_w18_small_v1", "hrnet_w18_small"),
        ("hrnetv2_w18_ocr", "hrnet_w18"),
    ],
)
def test_the_trunk_is_timms_and_the_rest_as_it_was(name: str, network: str, hub: Path) -> None:
    theirs = _publish(network, hub)
    torch.manual_seed(0)
    model = build_model(name, 5)
    whole = network.startswith("hrnet")
    if not whole:
        _mark(model, network)
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    drawn = torch.get_rng_state()
    report = load_imagenet(model)
    assert torch.equal(torch.get_rng_state(), drawn)
    filled = 0
    for key, tensor in model.state_dict().items():
        head = key.startswith(HEADS) if whole else not key.startswith("trunk.")
        assert torch.equal(tensor, before[key] if head else theirs[key.removeprefix("trunk.")]), key
        filled += not head and not key.endswith("num_batches_tracked")
    assert report is _report(model)
    assert report.trunk == (filled, filled) and len(report.loaded) == filled
    assert not report.missing and not report.mismatched and report.unexpected
    assert report.source == FILES[network].removesuffix(".safetensors")
    assert report.licence == ("mit" if network == "hrnet_w18" else "apache-2.0")
    content = (hub / FILES[network]).read_bytes()
    assert report.sha256 == hashlib.sha256(content).hexdigest()


def test_fully_connected_layers_of_vgg_are_convolutions_here(hub: Path) -> None:
    theirs = _publish("vgg16", hub)
    report = load_imagenet(model := build_model("dilatednet", 3))
    state = model.state_dict()
    for ours, there in {
        "trunk.0.weight": "features.0.weight",
        "trunk.28.bias": "features.28.bias",
        "head.0.0.weight": "pre_logits.fc1.weight",
        "head.2.0.bias": "pre_logits.fc2.bias",
    }.items():
        assert torch.equal(state[ours], theirs[there])
    assert report.trunk == (30, 30)
    assert report.unexpected == ("head.fc.weight", "head.fc.bias")


def test_a_file_of_another_network_is_named(hub: Path) -> None:
    _publish("mobilenetv2_100", hub)
    (hub / FILES["mobilenetv2_100"]).rename(hub / FILES["resnet18"])
    model = build_model("deeplabv3:trunk=resnet18", 2)
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    with pytest.raises(ValueError, match=r"a1_in1k.safetensors is damaged or not resnet18's: del"):
        load_imagenet(model)
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())


# --- Colours: timm's Xception expects mean and deviation 0.5.


@pytest.fixture
def xceptions(hub: Path) -> tuple[nn.Module, nn.Module, Report]:
    """timm's own with trained-like weights, and our trunk after loading their file."""
    torch.manual_seed(0)
    theirs = timm.create_model("xception41").eval()
    for part in theirs.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.momentum = 1.0
    with torch.no_grad():  # statistics of some images
        theirs.train()(torch.rand(4, 3, 96, 96) * 2 - 1)
    hub.mkdir(parents=True)
    save_file(theirs.eval().state_dict(), hub / FILES["xception41"])
    model = build_model("deeplabv3p:trunk=xception41", 2)
    _mark(model, "xception41")
    report = load_imagenet(model)
    return theirs, model.get_submodule("trunk").eval(), report


def _inputs(size: int) -> tuple[Tensor, Tensor]:
    """An image as we and as timm's Xception would be given it."""
    image = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(1))
    mean, std = (
        torch.tensor(v)[:, None, None] for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )
    return (image - mean) / std, (image - 0.5) / 0.5


def test_other_colours_are_folded_into_the_first_convolution(
    xceptions: tuple[nn.Module, nn.Module, Report],
) -> None:
    """Exact inside; at the border zero padding stands for another colour, of up to 0.19."""
    theirs, trunk, report = xceptions
    ours, given = _inputs(65)
    with torch.no_grad():
        want = theirs.get_submodule("stem.0")(given)
        got = trunk.get_submodule("stem_0")(ours)
        unfolded = theirs.get_submodule("stem.0")(ours)
    unit = want.std()
    error = (got - want).abs() / unit
    assert error[..., 1:-1, 1:-1].max() < 1e-5
    assert 1e-3 < error.max() < 1
    assert ((unfolded - want).abs() / unit).mean() > 0.3
    assert report.trunk[0] == report.trunk[1] > 400
    assert "colours of mean (0.5, 0.5, 0.5) and std (0.5, 0.5, 0.5) folded into stem.0.conv" in str(
        report
    )


def test_inside_the_image_the_maps_are_timms(
    xceptions: tuple[nn.Module, nn.Module, Report],
) -> None:
    """As far as no border is seen: at 1/2, 1/4 and 1/8 in the middle half of a side of 257."""
    theirs, trunk, _ = xceptions
    feature = timm.create_model("xception41", features_only=True, output_stride=16).eval()
    names = {key.replace("_", "."): value for key, value in theirs.state_dict().items()}
    feature.load_state_dict({key: names[key.replace("_", ".")] for key in feature.state_dict()})
    ours, given = _inputs(257)
    with torch.no_grad():
        maps = list(zip(feature(given), trunk(ours), feature(ours), strict=True))[:3]
    for want, got, unfolded in maps:
        quarter = want.shape[-1] // 4
        middle = (..., slice(quarter, -quarter), slice(quarter, -quarter))
        torch.testing.assert_close(got[middle], want[middle], rtol=1e-4, atol=1e-4)
        assert (got - want).norm() < 0.1 * (unfolded - want).norm()


def test_colours_are_folded_into_a_bias_where_there_is_one() -> None:
    config = timm.get_pretrained_cfg("xception41")
    assert config is not None
    config.first_conv = "0"
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    ours, given = _inputs(9)
    with torch.no_grad():
        want = network(given)
        assert imagenet.fold_colours(network, config)
        torch.testing.assert_close(network(ours), want)


def test_first_layers_that_cannot_take_our_colours(hub: Path) -> None:
    """A pre-activation ResNet has a pooling behind its first convolution, no norm and no bias."""
    hub.mkdir(parents=True)
    state = timm.create_model("resnetv2_50").state_dict()
    save_file(state, hub / "resnetv2_50.a1h_in1k.safetensors")
    model = nn.Module()
    model.trunk = timm.create_model("resnetv2_50", features_only=True)
    _mark(model, "resnetv2_50")
    with pytest.raises(ValueError, match="resnetv2_50 expect colours .* name another trunk"):
        load_imagenet(model)


# --- Where the file comes from.


def test_offline_the_address_the_place_and_the_licence_are_named(hub: Path) -> None:
    with pytest.raises(ValueError, match="HF_HUB_OFFLINE is set") as refused:
        load_imagenet(build_model("deeplabv3:trunk=resnet18", 2))
    text = str(refused.value)
    assert "https://huggingface.co/timm/resnet18.a1_in1k/resolve/main/model.safetensors" in text
    assert str(hub / FILES["resnet18"]) in text
    assert "licence: apache-2.0" in text
    assert "\n" not in text
    assert not hub.exists()


def test_hugging_faces_cache_is_used(hub: Path, tmp_path: Path) -> None:
    repository = tmp_path / "hf" / "models--timm--resnet18.a1_in1k"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("abc")
    place = repository / "snapshots" / "abc" / "model.safetensors"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"weights")
    assert fetch("resnet18") == place


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Stands for the hub, which answers with a redirection; the paths that were asked for."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(302 if self.path.startswith("/timm/resnet") else 200)
            if self.path.startswith("/timm/resnet"):
                self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0" if "timm/res" in self.path else "7")
            self.end_headers()
            if not self.path.startswith("/timm/resnet"):
                self.wfile.write(b"weights" if self.path == "/elsewhere" else b"wei")

        def log_message(self, *arguments: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        template = f"http://127.0.0.1:{server.server_port}/{{repo_id}}/{{revision}}/{{filename}}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        yield asked
        server.shutdown()


def test_a_file_is_fetched_once(hub: Path, server: list[str]) -> None:
    for _ in range(2):
        assert fetch("resnet18") == hub / FILES["resnet18"]
    assert server == ["/timm/resnet18.a1_in1k/main/model.safetensors", "/elsewhere"]
    assert (hub / FILES["resnet18"]).read_bytes() == b"weights"
    assert len(list(hub.iterdir())) == 1


def test_half_a_file_is_not_kept(hub: Path, server: list[str]) -> None:
    with pytest.raises(ValueError, match="the connection ended 4 bytes too early"):
        fetch("vgg16")
    assert not list(hub.iterdir())


def test_a_server_that_is_silent_is_given_up(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(imagenet, "TIMEOUT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/model"
        monkeypatch.setattr(imagenet, "hf_hub_url", lambda *_: address)
        with pytest.raises(ValueError, match="cannot be fetched .*timed out"):
            fetch("resnet18")
