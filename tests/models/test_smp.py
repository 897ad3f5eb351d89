"""Networks of segmentation-models-pytorch under the project's contract, held against smp itself."""

import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import segmentation_models_pytorch
import timm
import torch
from segmentation_models_pytorch import MODEL_ARCHITECTURES_MAPPING as ARCHITECTURES
from torch import Tensor, nn
from torch.nn import functional as F

from experiments.costs import flops
from models import build_model, model_options, parse_model

REPOSITORY = Path(__file__).parents[2]
CLASSES = 7
NAMED = ["smp/fpn/resnet34", "smp/segformer/mit_b0", "smp/upernet/tu-convnext_atto"]
ENCODERS = {"dpt": "tu-vit_tiny_patch16_224"}  # it takes no other kind
ALL = [
    f"smp/{architecture}/{ENCODERS.get(architecture, 'resnet18')}" for architecture in ARCHITECTURES
]


def _build(name: str, seed: int = 0) -> Any:
    torch.manual_seed(seed)
    return build_model(name, CLASSES)


def _images(*shape: int) -> Tensor:
    return torch.randn(shape[0], 3, *shape[1:], generator=torch.Generator().manual_seed(0))


# --- Forward and backward.


@pytest.mark.parametrize("name", NAMED)
def test_logits_have_the_size_of_the_image(name: str) -> None:
    """For every remainder of height and of width modulo 32."""
    network = _build(name).eval()
    sizes = [(33 + i, 65 + 7 * i % 32) for i in range(32)]
    assert len({h % 32 for h, _ in sizes}) == len({w % 32 for _, w in sizes}) == 32
    for height, width in sizes:
        with torch.no_grad():
            logits = network(_images(1, height, width))
        assert logits.shape == (1, CLASSES, height, width)
        assert logits.isfinite().all()


@pytest.mark.parametrize("name", [*ALL, "smp/pspnet/mobilenet_v2"])
def test_every_architecture_takes_any_size_and_trains_every_parameter(name: str) -> None:
    network = _build(name)
    for size in [(33, 33), (65, 97)]:
        images = _images(network.min_train_batch, *size)
        target = torch.arange(images[:, 0].numel()).reshape(images[:, 0].shape) // 5 % CLASSES
        network.train().zero_grad()
        logits = network(images)
        assert logits.shape == (len(images), CLASSES, *size)
        F.cross_entropy(logits, target).backward()  # type: ignore[no-untyped-call]
        for parameter, value in network.named_parameters():
            assert (value.grad is not None) == value.requires_grad, parameter
            # A bias before a batch norm has a gradient by rounding alone.
            if value.requires_grad and not parameter.endswith("bias"):
                assert value.grad.isfinite().all() and value.grad.any(), parameter
    still = [name for name, value in network.named_parameters() if not value.requires_grad]
    assert bool(still) == (name == "smp/pspnet/mobilenet_v2")  # runs a stage too many


@pytest.mark.parametrize("name", [*ALL, "smp/segformer/mit_b0", "smp/fpn/tu-convnext_atto"])
def test_the_logits_are_those_of_smp(name: str) -> None:
    """On sizes that smp takes as they are, and on a padded image for another."""
    ours = _build(name).eval()
    _, architecture, encoder = name.split("/")
    options = {"dynamic_img_size": True} if architecture == "dpt" else {}
    smps = segmentation_models_pytorch.create_model(
        architecture, encoder, encoder_weights=None, classes=CLASSES, **options
    ).eval()
    unused = smps.load_state_dict(ours.model.state_dict(), strict=False)
    assert not unused.unexpected_keys
    assert bool(unused.missing_keys) == (architecture in {"pspnet", "dpt"})
    image = _images(1, 160, 128)
    with torch.no_grad():
        assert torch.equal(ours(image), smps(image))
        padded = torch.zeros(1, 3, 160, 128)
        padded[..., :130, :100] = image[..., :130, :100]
        cropped = smps(padded)[..., :130, :100]
        logits = ours(image[..., :130, :100])
    if architecture not in {"deeplabv3", "deeplabv3plus", "pan", "pspnet"}:  # finer than 32
        assert torch.equal(logits, cropped)


def test_what_never_runs_is_left_out() -> None:
    names = list(_build("smp/pspnet/resnet18").state_dict())
    assert any(name.startswith("model.encoder.layer2") for name in names)
    assert not any("layer3" in name or "layer4" in name for name in names)
    names = list(_build("smp/dpt/tu-vit_tiny_patch16_224").state_dict())
    assert not any(name.startswith("model.encoder.model.head") for name in names)


@pytest.mark.parametrize(
    ("name", "need"),
    [
        ("smp/unet/resnet18", 1),
        ("smp/fpn/resnet18", 1),
        ("smp/pspnet/resnet18", 1),
        ("smp/deeplabv3/resnet18", 2),
        ("smp/deeplabv3plus/resnet18", 2),
        ("smp/pan/resnet18", 2),
        ("smp/upernet/resnet18", 2),
        ("smp/unet/timm-skresnet18", 2),  # by its encoder
    ],
)
def test_a_batch_of_one_is_refused_where_it_cannot_train(name: str, need: int) -> None:
    network = _build(name).train()
    assert network.min_train_batch == need
    if need == 2:
        with pytest.raises(ValueError, match="more than 1 value per channel"):
            network(_images(1, 33, 33))
    assert network(_images(need, 33, 33)).isfinite().all()


# --- Building.


@pytest.mark.parametrize("name", NAMED)
def test_a_seed_fixes_the_initial_weights(name: str) -> None:
    first, again, other = (_build(name, seed).state_dict() for seed in (0, 0, 1))
    assert list(first) == list(again) == list(other)
    for key, value in first.items():
        assert torch.equal(value, again[key]), key
        if value.ndim == 4:
            assert not torch.equal(value, other[key]), key


def test_the_first_network_of_a_process_is_as_the_next() -> None:
    """What is found out about it, once, draws no random numbers; no other test builds this one."""
    first, again = (_build("smp/linknet/resnet34").state_dict() for _ in range(2))
    assert all(torch.equal(value, again[key]) for key, value in first.items())


@pytest.mark.parametrize("name", ["smp/pspnet/resnet18", "smp/segformer/mit_b0"])
def test_saved_weights_give_the_same_logits(name: str, tmp_path: Path) -> None:
    first, path = _build(name), tmp_path / "weights.pt"
    with torch.no_grad():
        first.train()(_images(2, 40, 50))  # running statistics are saved as well
    torch.save(first.state_dict(), path)
    second = build_model(name, CLASSES, weights=path).eval()
    image = _images(1, 45, 36)
    with torch.no_grad():
        assert torch.equal(first.eval()(image), second(image))


@pytest.mark.parametrize("name", [*NAMED, *ALL])
def test_building_on_the_meta_device_needs_no_network(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object, **named: object) -> None:
        raise AssertionError(f"the network was used: {arguments}")

    for call in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, call, refuse)
    with torch.device("meta"):
        network = build_model(name, CLASSES).eval()
        assert network(torch.empty(1, 3, 50, 70)).shape == (1, CLASSES, 50, 70)
    assert all(tensor.is_meta for tensor in network.state_dict().values())
    assert network.encoder_name == name.split("/")[2]


def test_two_counters_agree_on_the_operations() -> None:
    name, macs = "smp/unet/resnet18", []

    def note(module: nn.Conv2d, inputs: tuple[Tensor], output: Tensor) -> None:
        macs.append(output.numel() * module.weight[0].numel())

    with torch.device("meta"):
        network = build_model(name, 19)
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                module.register_forward_hook(note)
        network(torch.empty(1, 3, 100, 128))
    counted = flops.trace_cost(name, 19, (100, 128))
    assert len(macs) > 20
    assert counted.gmacs * 1e9 == pytest.approx(sum(macs), rel=1e-12)
    assert counted.params == counted.params_active


@pytest.mark.parametrize("encoder", ["resnet18", "vgg11_bn", "dpn68", "tu-resnet18"])
def test_an_encoder_named_as_timms_is_timms(encoder: str) -> None:
    """So that its ImageNet weights may be loaded: with equal weights it gives equal maps."""
    network = _build(f"smp/unet/{encoder}").eval()
    marked = [part for part in network.modules() if hasattr(part, "imagenet")]
    assert [part.imagenet for part in marked] == [encoder.removeprefix("tu-")]
    theirs: Any = timm.create_model(encoder.removeprefix("tu-")).eval()
    state = {name: theirs.state_dict()[name] for name in marked[0].state_dict()}
    nn.Module.load_state_dict(marked[0], state)
    image = _images(1, 64, 64)
    with torch.no_grad():
        ours = marked[0](image)[-1]
        layers = theirs.features if encoder.startswith("vgg") else theirs.forward_features
        assert torch.equal(ours, layers(image))


@pytest.mark.parametrize("encoder", ["mit_b0", "mobilenet_v2", "timm-skresnet18"])
def test_an_encoder_of_smps_own_kind_is_not_said_to_be_timms(encoder: str) -> None:
    with torch.device("meta"):
        network = build_model(f"smp/unet/{encoder}", CLASSES)
    assert not any(hasattr(part, "imagenet") for part in network.modules())


def test_a_timm_encoder_is_marked_with_its_tag() -> None:
    with torch.device("meta"):
        network: Any = build_model("smp/unet/tu-convnext_atto.d2_in1k", CLASSES)
    assert network.model.encoder.model.imagenet == "convnext_atto.d2_in1k"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "smp/fpm/resnet34",
            r"unknown architecture 'fpm' of smp; did you mean 'fpn'\? Known: deep",
        ),
        (
            "smp/fpn/resnet35",
            r"unknown encoder 'resnet35' of smp; did you mean 'resnet\d+'\? Known",
        ),
        ("smp/fpn/tu-convnext_tini", "did you mean 'tu-convnext_tiny'"),
        ("smp/fpn/convnext_tiny", "did you mean 'tu-convnext_tiny'"),
        ("smp/fpn/tu-resnet18.none", r"Invalid pretrained tag .*: name another encoder"),
        ("smp/deeplabv3/vgg11", r"not support dilated mode .*: name another encoder, as resnet34"),
        ("smp/deeplabv3/tu-swin_tiny_patch4_window7_224", "unexpected keyword .*output_stride"),
        (
            "smp/unetplusplus/mit_b0",
            r"any size \(UnetPlusPlus is not support encoder_name=mit_b0\)",
        ),
        ("smp/deeplabv3plus/tu-dla34", r"any size \(assert output_stride == 32.*\): name another"),
        ("smp/dpt/resnet34", r"Only Timm encoders .*, as tu-vit_small_patch16_224"),
        ("smp/fpn/tu-vit_tiny_patch16_224", r"\(Unsupported model downsampling pattern\)"),
        ("smp/fpn/tu-coat_tiny", r"\(Input height \(64\) doesn't match model \(224\)\): name"),
        ("smp/fpn", "name one as smp/<architecture>/<encoder>"),
    ],
)
def test_what_cannot_be_made_is_said_in_a_sentence(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        build_model(name, CLASSES)
    assert len(str(caught.value)) < 350 and "\n" not in str(caught.value)


def test_names_are_checked_without_torch() -> None:
    assert parse_model("smp/fpn/resnet34") == ("smp/fpn/resnet34", {})
    code = (
        "import sys, models\n"
        "print(models.model_options('smp/fpn/resnet34'))\n"
        "print({'torch', 'timm', 'segmentation_models_pytorch'} & set(sys.modules))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert run.stdout.splitlines() == [str(model_options("smp/fpn/resnet34")), "set()"]
