"""What every network of the table promises, and the sizes that the papers print."""

import dataclasses
import math
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from experiments.costs import flops
from experiments.recipes import smoke
from experiments.training.training_data import check_batch
from models import build_model, model_options, parse_model
from models.registry import MODELS
from tests.models.networks import NARROW, SMALL

REPOSITORY = Path(__file__).parents[2]
CLASSES = 7

# Names of one builder are one network: it is built once.
NETWORKS = list({target: name for name, target in reversed(MODELS.items())}.values())[::-1]


def _build(name: str, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return build_model(name, CLASSES)


def _settle(network: nn.Module, images: Tensor) -> None:
    """Take these images' statistics for those of the data: initial ones all but mute a network."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        network.train()(images)


def _images(*shape: int) -> Tensor:
    return torch.randn(shape[0], 3, *shape[1:], generator=torch.Generator().manual_seed(0))


def test_the_table_has_a_network_for_each_row_of_the_paper() -> None:
    assert {"hrnet", "unet", "deeplabv3p", "deeplabv3p_os8", "dilated_resnet"} <= set(MODELS)
    assert MODELS["hrnet"] == MODELS["hrnetv2_w48"]
    assert len(NETWORKS) == len(set(MODELS.values())) == len(MODELS) - 1
    assert set(PUBLISHED) <= set(NETWORKS)


# --- Parameters and operations: at 1024x2048 with 19 classes, as in Table III of arXiv 1908.07919.


class Published(NamedTuple):
    """Millions of parameters, multiply-adds of layers, and the unit in which these are given."""

    params: float
    macs: float | None
    unit: float = 2**30  # "GFLOPs" of the HRNet paper

    def check(self, params: int, macs: int) -> None:
        assert params / 1e6 == pytest.approx(self.params, abs=0.005)
        if self.macs is not None:
            assert macs / self.unit == pytest.approx(self.macs, abs=0.05)


PUBLISHED = {
    "hrnet": Published(65.86, 696.2),
    "hrnetv2_w18_small_v1": Published(1.54, 31.1),
    "hrnetv2_w18_small_v2": Published(3.94, 71.6),
    "hrnetv2_w18": Published(9.64, 137.3),
    "hrnetv2_w32": Published(29.55, 336.4),
    "hrnetv2_w40": Published(45.89, 498.7),
    "unet": Published(31.04, None),  # its paper prints neither, and has no batch norm
    "deeplabv3p": Published(43.48, 503.9, 1e9),
    "deeplabv3p_os8": Published(43.48, 1474.8, 1e9),
    "deeplabv3p_x65": Published(41.05, 410.2, 1e9),
    "dilated_resnet": Published(52.07, 1661.6),
    "deeplabv3": Published(58.04, 1778.7),
    # What the layers of these add up to; their published rows name no layers and differ.
    "pspnet": Published(65.71, 1949.7),
    "unetpp": Published(54.68, 749.7),
    "resunet": Published(33.26, 273.0),  # ours
    "hrnetv1_w18": Published(9.32, 126.7),  # no paper prints V1's with a head for segmentation
    "hrnetv1_w32": Published(28.54, 303.9),
    "hrnetv1_w48": Published(63.60, 623.8),
    "hrnetv1h_w18": Published(9.40, 136.8),  # nor that of V1h, which has V1's trunk and V2's width
    "hrnetv1h_w32": Published(28.79, 334.8),
    "hrnetv1h_w48": Published(64.17, 692.6),
    "hrnetv2_w18_ocr": Published(12.08, 394.35),
    "hrnetv2_w32_ocr": Published(32.95, 711.61),
    "hrnetv2_w48_ocr": Published(70.37, 1206.37),
    # Their papers print parameters for other numbers of classes: see test_vgg_family.
    "segnet": Published(29.45, 1302.2, 1e9),
    "deconvnet": Published(251.81, 1814.4, 1e9),
    "dilatednet": Published(134.36, 4735.7, 1e9),
    "deeplabv1": Published(20.50, 1013.7, 1e9),
    # What their official codes' layers add up to.
    "ddrnet23_slim": Published(5.70, 36.28, 1e9),
    "ddrnet23": Published(20.15, 143.06, 1e9),
    "ddrnet39": Published(32.36, 281.12, 1e9),
    "pidnet_s": Published(7.63, 47.19, 1e9),
    "pidnet_m": Published(28.54, 177.33, 1e9),
    "pidnet_l": Published(36.94, 274.93, 1e9),
    "litehrnet18": Published(1.13, 7.90),  # at 512x1024 a quarter, less what does not grow
    "litehrnet30": Published(1.76, 12.30),
}


# Multiply-adds between activations, which the HRNet paper does not count. OCR: 19 sums over 1/4 of
# the pixels of 512 channels, then 256 of key and 256 of value for each such pixel and class.
PRODUCTS = {f"hrnetv2_w{width}_ocr": 256 * 512 * 19 * (512 + 256 + 256) for width in (18, 32, 48)}


def _count_with_hooks(model: nn.Module) -> list[int]:
    """Collects the multiply-adds of each convolution and linear layer that is run."""
    macs: list[int] = []

    def note(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if isinstance(module, nn.ConvTranspose2d):  # each input meets each weight of its channel
            each = math.prod(module.kernel_size) * module.out_channels // module.groups
            macs.append(inputs[0].numel() * each)
        elif isinstance(module, nn.Conv2d):
            each = math.prod(module.kernel_size) * module.in_channels // module.groups
            macs.append(output.numel() * each)
        elif isinstance(module, nn.Linear):
            macs.append(output.numel() * module.in_features)

    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            module.register_forward_hook(note)
    return macs


@pytest.mark.parametrize("name", NETWORKS)
def test_parameters_and_operations(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    by_hand: list[list[int]] = []

    def build_and_count(*arguments: Any) -> nn.Module:
        model = build_model(*arguments)
        by_hand.append(_count_with_hooks(model))
        return model

    monkeypatch.setattr(flops, "build_model", build_and_count)  # both counters, one pass
    counted = flops.count(name, 19, (1024, 2048))
    layers = sum(by_hand[0])
    if name in PUBLISHED:  # a network of one's own has no published size
        PUBLISHED[name].check(counted.params, layers)
    assert len(by_hand[0]) > 10
    assert counted.gmacs == pytest.approx((layers + PRODUCTS.get(name, 0)) / 1e9, rel=1e-12)


def test_unet_costs_what_its_figure_adds_up_to() -> None:
    """Fig. 1 of arXiv 1505.04597, layer by layer, with padding and for two classes."""
    pixels, macs = 64 * 96, 0
    for level, width in enumerate([64, 128, 256, 512, 1024]):
        inputs = width // 2 if level else 3
        macs += pixels // 4**level * 9 * (inputs * width + width * width)
    for level, width in enumerate([64, 128, 256, 512]):
        macs += pixels // 4 ** (level + 1) * 2 * width * 4 * width  # 2x2 up
        macs += pixels // 4**level * 9 * (2 * width * width + width * width)
    macs += pixels * 64 * 2
    assert flops.count("unet", 2, (64, 96)).gmacs * 1e9 == pytest.approx(macs, rel=1e-12)


def test_deeplab_at_both_strides_has_the_same_tensors() -> None:
    with torch.device("meta"):
        wide, narrow, option = (
            {key: value.shape for key, value in build_model(name, 19).state_dict().items()}
            for name in ("deeplabv3p", "deeplabv3p_os8", "deeplabv3p:output_stride=8")
        )
    assert list(wide.items()) == list(narrow.items()) == list(option.items())


@pytest.mark.parametrize("trunk", ["xception41", "xception71", "mobilenetv2_100"])
@pytest.mark.parametrize("size", [(64, 96), (65, 81)])
def test_dilation_keeps_every_value_that_the_stride_gave(trunk: str, size: tuple[int, int]) -> None:
    """Between the values of a trunk at 1/16, dilated convolutions put new ones and change none."""
    torch.manual_seed(0)
    wide, narrow = (build_model(f"deeplabv3p:trunk={trunk}:output_stride={s}", 2) for s in (16, 8))
    narrow.load_state_dict(wide.state_dict())
    trunks = [model.eval().get_submodule("trunk") for model in (wide, narrow)]
    with torch.no_grad():
        sixteenth, eighth = (trunk(_images(1, *size))[-1] for trunk in trunks)
    assert sixteenth.shape[-2:] == tuple(math.ceil(side / 16) for side in size)
    assert eighth.shape[-2:] == tuple(math.ceil(side / 8) for side in size)
    unit = sixteenth.std()
    assert unit > 0
    torch.testing.assert_close(eighth[..., ::2, ::2] / unit, sixteenth / unit, rtol=0, atol=1e-3)


# --- Forward and backward.


@pytest.fixture(scope="module", params=dict.fromkeys(NARROW.get(name, name) for name in NETWORKS))
def network(request: pytest.FixtureRequest) -> nn.Module:
    return _build(request.param)


def test_logits_have_the_size_of_the_image(network: nn.Module) -> None:
    """For every remainder of height and of width modulo 32, the largest stride of a network."""
    network.eval()
    sizes = [(33 + i, 33 + 7 * i % 32) for i in range(32)]
    assert len({h % 32 for h, _ in sizes}) == len({w % 32 for _, w in sizes}) == 32
    with torch.no_grad():
        for height, width in sizes:
            logits = network(_images(1, height, width))
            assert logits.shape == (1, CLASSES, height, width)
            assert logits.isfinite().all()


# Below 4x4 cells at 1/64, each average of DDRNet's and PIDNet's pyramids sees as many, so that
# the batch norms behind take away whatever the last bias before the pyramid adds.
DEEP_SIDE = 200


def _gradients(network: nn.Module, *shape: int) -> dict[str, Tensor | None]:
    network.train()
    target = torch.arange(math.prod(shape)).reshape(shape) // 5 % CLASSES
    loss = F.cross_entropy(network(_images(*shape)), target)
    assert loss.isfinite()
    names, parameters = zip(*network.named_parameters(), strict=True)
    return dict(zip(names, torch.autograd.grad(loss, parameters, allow_unused=True), strict=True))


def test_every_parameter_learns(network: nn.Module, request: pytest.FixtureRequest) -> None:
    # Residual units of some trunks start with a last norm of zero, to be an identity: until the
    # first step nothing else in them has a gradient.
    norms = [m.weight for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    closed = [weight for weight in norms if not weight.any()]
    for weight in closed:
        nn.init.ones_(weight)
    deep = request.node.callspec.params["network"].startswith(("ddrnet", "pidnet"))
    side = DEEP_SIDE if deep else 64
    gradients = _gradients(network, 2, side, side)
    for weight in closed:
        nn.init.zeros_(weight)
    for name, gradient in gradients.items():
        assert gradient is not None, name
        assert gradient.isfinite().all(), name
        assert gradient.any(), name


def test_a_batch_of_one_trains_or_is_refused_beforehand(network: nn.Module) -> None:
    """At 33x33, the least that is promised: batch norms then see the fewest values."""
    recipe = dataclasses.replace(smoke(), batch=1)
    need = int(getattr(network, "min_train_batch", 1))
    if need == 1:
        check_batch(recipe, 24, 1, need)
    else:
        with pytest.raises(ValueError, match=rf"at least {need} images .*got 1: raise batch"):
            check_batch(recipe, 24, 1, need)
        with pytest.raises(ValueError, match="got 1"):  # as is a large batch in passes of one
            check_batch(dataclasses.replace(recipe, batch=4, micro_batch=1), 24, 1, need)
        check_batch(dataclasses.replace(recipe, batch=need), 24, 1, need)
        with pytest.raises(ValueError, match="more than 1 value per channel"):
            _gradients(network, 1, 33, 33)  # else the refusal would be for nothing
    gradients = _gradients(network, need, 33, 33)
    assert all(g is not None and g.isfinite().all() for g in gradients.values())


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("size", [(33, 33), (48, 130), (97, 64), (128, 161)])
def test_small_networks_in_both_modes(name: str, size: tuple[int, int]) -> None:
    network = _build(name)
    for training in (True, False):
        network.train(training)
        with torch.no_grad():
            logits = network(_images(2, *size))
        assert logits.shape == (2, CLASSES, *size)
        assert logits.isfinite().all()
        assert logits.std() > 0


@pytest.mark.parametrize("name", SMALL)
def test_images_of_a_batch_do_not_mix_in_evaluation(name: str) -> None:
    network = _build(name).double()  # in fp32, rounding moves some maxima of a pooling
    images = _images(3, 40, 50).double()
    _settle(network, images)
    with torch.no_grad():
        network.eval()
        together = network(images)
        alone = torch.cat([network(image[None]) for image in images])
    torch.testing.assert_close(together, alone, rtol=1e-6, atol=1e-6)
    assert (together[0] - together[1]).abs().max() > 1e-3


# --- Building.


def test_a_seed_fixes_the_initial_weights(
    network: nn.Module, request: pytest.FixtureRequest
) -> None:
    name = request.node.callspec.params["network"]
    again, other = _build(name).state_dict(), dict(_build(name, seed=1).named_parameters())
    for key, value in network.named_parameters():  # running statistics have moved by now
        assert torch.equal(value, again[key]), key
        if key.startswith("context."):  # DilatedNet's starts as the identity
            continue
        if value.ndim == 4:  # a convolution that were equal would be pretrained, or a constant
            assert not torch.equal(value, other[key]), key


@pytest.mark.parametrize("name", SMALL)
def test_saved_weights_give_the_same_logits(name: str, tmp_path: Path) -> None:
    first, path = _build(name), tmp_path / "weights.pt"
    _settle(first, _images(2, 40, 50))  # running statistics are saved as well
    torch.save(first.state_dict(), path)
    torch.manual_seed(1)
    fresh, second = build_model(name, CLASSES), build_model(name, CLASSES, weights=path)
    logits = []
    for network in (first, second, fresh):
        with torch.no_grad():
            logits.append(network.eval()(_images(1, 45, 36)))
    assert torch.equal(logits[0], logits[1])
    assert not torch.equal(logits[0], logits[2])


def test_a_missing_weights_file_says_where_it_looked(tmp_path: Path) -> None:
    path = tmp_path / "none.pt"
    with pytest.raises(ValueError, match="no weights file at") as caught:
        build_model("unet:width=4", CLASSES, weights=path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("content", ["other network", "other width", "list", "text", "nothing"])
def test_a_wrong_weights_file_is_named(content: str, tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    if content == "other network":
        torch.save(_build("hrnetv2_w18_small_v1").state_dict(), path)
    elif content == "other width":
        torch.save(build_model("unet:width=5", CLASSES).state_dict(), path)
    elif content == "list":
        torch.save([torch.zeros(3)], path)
    else:
        path.write_text("<html>404</html>" if content == "text" else "")
    with pytest.raises(ValueError, match="weights") as caught:
        build_model("unet:width=4", CLASSES, weights=path)
    text = str(caught.value)
    assert str(path) in text
    assert len(text) < 1000  # a sentence, not the list of every tensor
    assert "\n" not in text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hrnt", r"unknown model 'hrnt'; did you mean 'hrnet'\? Known: ddrnet23, "),
        ("unett:width=9", "did you mean 'unet'"),
        ("", r"unknown model ''; Known: ddrnet23, "),
        ("unet:widht=9", r"unet has no option 'widht=9' \(key=value\); did you mean 'width'"),
        ("unet:width", "unet has no option 'width' "),
        ("unet:", "unet has no option '' "),
        ("unet:width=big", "unet:width takes a value of type int, got 'big'"),
        ("unet:width=9.5", "type int, got '9.5'"),
        ("unet:skip=sum", "unet:skip is concat or none, got 'sum': choose one of them"),
        ("hrnet:fusion=", "hrnet:fusion is all, across, final or none, got ''"),
        ("hrnet:align_corners=maybe", "type bool, got 'maybe'"),
        ("hrnet:trunk=9", "hrnet has no option 'trunk=9' .*Known: align_corners, down, fusion, "),
    ],
)
def test_what_is_not_known_is_named(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_model(text)
    with pytest.raises(ValueError, match=message):
        build_model(text, CLASSES)


def test_options_come_typed() -> None:
    assert parse_model("unet:width=9") == ("unet", {"width": 9})
    assert parse_model(" hrnet:align_corners=True ") == ("hrnet", {"align_corners": True})
    assert parse_model("hrnet:align_corners=false")[1] == {"align_corners": False}
    assert parse_model("deeplabv3p:trunk=resnet50:output_stride=8") == (
        "deeplabv3p",
        {"trunk": "resnet50", "output_stride": 8},
    )
    for name in MODELS:
        assert parse_model(name) == (name, {})
    assert model_options("unet") == {
        "width": "int",
        "up": "transposed|bilinear",
        "skip": "concat|none",
    }
    shared = {"skip": "bool", "up": "bilinear|transposed"}  # by all networks of the file
    assert model_options("deeplabv3p_x65") == {"output_stride": "int", "width": "int", **shared}
    with pytest.raises(ValueError, match="unet has no option 'widht'; did you mean 'width'"):
        build_model("unet", CLASSES, widht=4)


def test_an_option_reaches_the_network() -> None:
    by_text, by_keyword = build_model("unet:width=5", 3), build_model("unet", 3, width=5)
    for network in (by_text, by_keyword):
        first = next(m for m in network.modules() if isinstance(m, nn.Conv2d))
        assert first.out_channels == 5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("deeplabv3p:trunk=no_such_net", "no_such_net.*name a convolutional timm network"),
        ("deeplabv3p:trunk=vit_tiny_patch16_224", "vit_tiny_patch16_224.*name a convolutional"),
        ("deeplabv3p:output_stride=32", "8 or 16, got 32"),
        ("deeplabv3p:trunk=convnext_tiny:width=8", "LayerNorm2d.*leave its width at 64"),
        ("deeplabv3p:trunk=resnext50_32x4d:width=8", "grouped convolution.*leave its width at 64"),
        ("deeplabv3p:trunk=vgg16", "vgg16.*cannot serve.*name a convolutional"),
        ("deeplabv3p:trunk=dla34", "dla34.*cannot serve.*name a convolutional"),
        ("deeplabv3p:trunk=rexnet_100:width=17", "rexnet_100.*width 17.*leave its width at 64"),
        ("dilated_resnet:trunk=xception71", "xception71.*not a ResNet"),
        ("dilated_resnet:trunk=resnet9000", "resnet9000.*not a ResNet"),
    ],
)
def test_trunks_that_cannot_serve(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_model(text, CLASSES)


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **named: object) -> None:
        raise AssertionError(f"the network was used: {arguments}")

    for name in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, refuse)
    with pytest.raises(AssertionError, match="the network was used"):
        socket.create_connection(("example.org", 80))


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("name", [*NETWORKS, *SMALL])
def test_building_uses_no_network(name: str) -> None:
    with torch.device("meta"):
        assert isinstance(build_model(name, CLASSES), nn.Module)


def test_listing_and_parsing_import_no_torch() -> None:
    code = (
        "import sys, models\n"
        "print(models.parse_model('unet:width=9'), len(models.MODELS))\n"
        "for name in models.MODELS: models.model_options(name)\n"
        "print(sorted({'torch', 'timm', 'numpy'} & set(sys.modules)))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert run.stdout.splitlines() == [f"('unet', {{'width': 9}}) {len(MODELS)}", "[]"]
