"""HRNet + OCR against its paper's formulas, the official code's names, and its training heads."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from experiments.costs.flops import paper_count
from experiments.costs.match_budget import MatchBudget
from experiments.costs.width_search import match_network
from experiments.trials.reference import published_cost
from models import build_model
from models.hrnet_ocr import HRNetOCR
from models.weights import Report

CLASSES = 5
TINY = "hrnetv2_w18_ocr:width=4"

BLOCK = "ocr_distri_head.object_context_block"

State = dict[str, Tensor]


def _build(name: str = TINY) -> HRNetOCR:
    torch.manual_seed(0)
    network = build_model(name, CLASSES)
    assert isinstance(network, HRNetOCR)
    return network


def _image(*shape: int) -> Tensor:
    return torch.randn(shape[0], 3, *shape[1:], generator=torch.Generator().manual_seed(0))


def _shake(network: nn.Module) -> None:
    """Statistics and affine parts as a training leaves them, and heads that say something."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for values, low in (
                (module.running_mean, -0.1),
                (module.running_var, 0.5),
                (module.weight, 0.5),
                (module.bias, -0.1),
            ):
                assert values is not None
                nn.init.uniform_(values, low, low + 1)


# --- Size.


def test_parameters_and_operations_are_those_counted_from_the_official_layers() -> None:
    """Beside Table III of the HRNet paper, which prints no more digits than it has: 70.3, 1206.3.

    The attention's matrix products are 2.375 in its unit: at each of 256 x 512 pixels and for each
    of 19 classes 512 for the object's mean, 256 for key and value each.
    """
    counted = paper_count("hrnetv2_w48_ocr")
    assert counted.params == 70_372_678
    products = 256 * 512 * 19 * (512 + 256 + 256) / 2**30
    assert products == 2.375
    assert round(counted.paper_gflops - products, 2) == 1206.37
    printed = published_cost("hrnetv2_w48_ocr")
    assert int(counted.params / 1e5) / 10 == printed["params_m"] == 70.3
    gflops = int(10 * (counted.paper_gflops - products)) / 10
    assert gflops == printed["paper_gflops_1024x2048"] == 1206.3


def test_a_width_scales_all_of_it_and_is_found_for_a_budget() -> None:
    network = _build()
    assert network.conv3x3_ocr[0].weight.shape == (114, 60, 3, 3)  # 512 of 18 are 114 of 4
    down = network.ocr_distri_head.object_context_block.f_down[0]
    assert isinstance(down, nn.Conv2d) and down.weight.shape == (57, 114, 1, 1)
    budget = MatchBudget("gmacs", 0.1, (64, 64), CLASSES, "32-true", 2, 1, "any")
    assert abs(match_network("hrnetv2_w18_ocr", budget).off_percent) < 10


# --- The formulas of section 3, as sums over indices, with the weights of the network.


def _norm_relu(state: State, name: str, x: Tensor) -> Tensor:
    mean, variance, weight, bias = (
        state[f"{name}.{part}"][:, None]
        for part in ("running_mean", "running_var", "weight", "bias")
    )
    return ((x - mean) / (variance + 1e-5).sqrt() * weight + bias).clamp(min=0)


def _transform(state: State, name: str, x: Tensor, steps: tuple[int, ...] = (0,)) -> Tensor:
    """1x1 convolutions with batch norm and ReLU, as the paper has all of its functions."""
    for step in steps:
        x = torch.einsum("oc,ncp->nop", state[f"{name}.{step}.weight"][..., 0, 0], x)
        x = _norm_relu(state, f"{name}.{step + 1}.0", x)
    return x


def _by_the_paper(state: State, features: Tensor) -> tuple[Tensor, Tensor]:
    """Logits of classes and of regions for each pixel (N, K, P) from the trunk's features."""
    size = features.shape[-2:]
    flat = features.flatten(2)
    hidden = torch.einsum("oc,ncp->nop", state["aux_head.0.weight"][..., 0, 0], flat)
    hidden = _norm_relu(state, "aux_head.1", hidden + state["aux_head.0.bias"][:, None])
    regions = torch.einsum("kc,ncp->nkp", state["aux_head.3.weight"][..., 0, 0], hidden)
    regions = regions + state["aux_head.3.bias"][:, None]

    padded = F.pad(features, (1, 1, 1, 1))
    x = torch.zeros(())
    for dy in range(3):
        for dx in range(3):
            window = padded[..., dy : dy + size[0], dx : dx + size[1]]
            kernel = state["conv3x3_ocr.0.weight"][..., dy, dx]
            x = x + torch.einsum("oc,nchw->nohw", kernel, window)
    x = (x + state["conv3x3_ocr.0.bias"][:, None, None]).flatten(2)
    x = _norm_relu(state, "conv3x3_ocr.1", x)

    # f_k: the mean of x_i, weighted by the i-th share of region k.
    degree = (regions - regions.amax(2, keepdim=True)).exp()
    objects = torch.einsum("nkp,ncp->nck", degree / degree.sum(2, keepdim=True), x)
    # w_ik: exp of phi(x_i) . psi(f_k), over the sum of it for all k.
    phi = _transform(state, f"{BLOCK}.f_pixel", x, (0, 2))
    psi = _transform(state, f"{BLOCK}.f_object", objects, (0, 2))
    near = torch.einsum("ncp,nck->npk", phi, psi) / phi.shape[1] ** 0.5
    near = (near - near.amax(2, keepdim=True)).exp()
    near = near / near.sum(2, keepdim=True)
    assert 0.02 < near.std() < 0.4  # else its scale would not show
    # y_i: rho of the sum of w_ik delta(f_k); z_i: g of x_i and y_i together.
    delta = _transform(state, f"{BLOCK}.f_down", objects)
    y = _transform(state, f"{BLOCK}.f_up", torch.einsum("npk,nck->ncp", near, delta))
    z = _transform(state, "ocr_distri_head.conv_bn_dropout", torch.cat([y, x], 1))
    logits = torch.einsum("kc,ncp->nkp", state["cls_head.weight"][..., 0, 0], z)
    return logits + state["cls_head.bias"][:, None], regions


@pytest.mark.parametrize(("size", "dtype"), [((65, 97), torch.float32), ((48, 64), torch.float64)])
def test_forward_is_what_the_papers_formulas_give(
    size: tuple[int, int], dtype: torch.dtype
) -> None:
    network, image = _build().to(dtype), _image(2, *size).to(dtype)
    _shake(network)
    with torch.no_grad():
        network.aux_head[-1].weight.mul_(10)  # type: ignore[operator]  # regions that are not even
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 1.0
        network.train()(image)  # statistics of the data, with which no map grows beyond bounds
        network.eval()
        features = network.forward_features(image)
        wanted = _by_the_paper(network.state_dict(), features)
        got = network(image), network.training_heads(image)["aux"]
    for logits, want in zip(got, wanted, strict=True):
        large = F.interpolate(
            want.view(2, CLASSES, *features.shape[-2:]), size, mode="bilinear", align_corners=True
        )
        within = 1e-5 * float(large.abs().max())
        torch.testing.assert_close(logits, large, rtol=0, atol=within)
        assert logits.std((0, 2, 3)).min() > 100 * within


def test_objects_and_attention_are_seen() -> None:
    """Moving one pixel's features moves every other's logits, by the objects alone."""
    network = _build().double().eval()
    _shake(network.double())
    context = network.ocr_distri_head.eval()
    torch.manual_seed(0)
    x, objects = torch.randn(1, 114, 4, 6).double(), torch.randn(1, 114, CLASSES, 1).double()
    with torch.no_grad():
        before = context(x, objects)
        x[..., 0, 0] += 1
        moved = (context(x, objects) - before).abs().amax(1)[0]
        assert moved[0, 0] > 0 and moved.flatten()[1:].max() == 0  # objects as they were
        objects[:, :, 2] += 1
        assert ((context(x, objects) - before).abs().amax(1) > 0).all()


# --- Names.


def _norm(name: str, channels: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    for part in ("weight", "bias", "running_mean", "running_var"):
        yield f"{name}.{part}", (channels,)
    yield f"{name}.num_batches_tracked", ()


def test_names_and_shapes_are_the_official_ones() -> None:
    """Those of HRNetV2-W48, whose head is the auxiliary one, and the list of OCR's own."""
    with torch.device("meta"):
        plain, ours = (
            {k: tuple(v.shape) for k, v in build_model(name, 19).state_dict().items()}
            for name in ("hrnetv2_w48", "hrnetv2_w48_ocr")
        )
    expected = {k.replace("last_layer", "aux_head"): shape for k, shape in plain.items()}
    expected |= {"conv3x3_ocr.0.weight": (512, 720, 3, 3), "conv3x3_ocr.0.bias": (512,)}
    expected |= dict(_norm("conv3x3_ocr.1", 512))
    expected |= {"cls_head.weight": (19, 512, 1, 1), "cls_head.bias": (19,)}
    for name, inputs, outputs in (
        *((f"{BLOCK}.{f}.0", 512, 256) for f in ("f_pixel", "f_object", "f_down")),
        *((f"{BLOCK}.{f}.2", 256, 256) for f in ("f_pixel", "f_object")),
        (f"{BLOCK}.f_up.0", 256, 512),
        ("ocr_distri_head.conv_bn_dropout.0", 1024, 512),
    ):
        front, place = name.rsplit(".", 1)
        expected[f"{name}.weight"] = (outputs, inputs, 1, 1)
        expected |= dict(_norm(f"{front}.{int(place) + 1}.0", outputs))
    assert f"{BLOCK}.f_pixel.1.0.weight" in expected
    assert ours == expected


def _loaded(network: nn.Module) -> Report:
    report = network.load_report
    assert isinstance(report, Report)
    return report


def test_a_file_as_the_authors_publish_it_loads_whole(tmp_path: Path) -> None:
    first, path = _build(), tmp_path / "hrnet_ocr_cs.pth"
    _shake(first)
    state = {f"model.{name}": tensor for name, tensor in first.state_dict().items()}
    torch.save(state | {"loss.criterion.weight": torch.ones(CLASSES)}, path)
    second = build_model(TINY, CLASSES, weights=path)
    assert _loaded(second).complete
    with torch.no_grad():
        assert torch.equal(second.eval()(_image(1, 40, 50)), first.eval()(_image(1, 40, 50)))


@pytest.mark.parametrize("prefix", ["", "model."])
def test_weights_of_the_plain_network_fit_with_its_head_as_the_auxiliary_one(
    prefix: str, tmp_path: Path
) -> None:
    torch.manual_seed(1)
    plain, path = build_model("hrnetv2_w18:width=4:align_corners=true", CLASSES), tmp_path / "a.pt"
    _shake(plain)
    torch.save({prefix + name: tensor for name, tensor in plain.state_dict().items()}, path)
    with pytest.warns(UserWarning, match="the weights fit in part"):
        network = build_model(TINY, CLASSES, weights=path)
    report = _loaded(network)
    assert not report.unexpected and not report.mismatched
    assert report.trunk[0] == report.trunk[1]
    heads = {name.split(".")[0] for name in report.missing}
    assert heads == {"conv3x3_ocr", "ocr_distri_head", "cls_head"}
    assert isinstance(network, HRNetOCR)
    with torch.no_grad():
        aux = network.eval().training_heads(_image(1, 40, 50))["aux"]
        want = plain.eval()(_image(1, 40, 50))
    torch.testing.assert_close(aux, want, rtol=0, atol=1e-5 * float(want.abs().max()))


# --- Training.


def test_training_heads_are_of_one_pass_and_out_is_forward_to_the_bit() -> None:
    network, image = _build(), _image(2, 45, 50)
    _shake(network)
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    drawn = torch.get_rng_state()
    network.add_training_heads()
    assert torch.equal(torch.get_rng_state(), drawn)
    assert network.auxiliary == () and list(network.state_dict()) == list(state)
    passes: list[int] = []
    network.stage4.register_forward_hook(lambda *call: passes.append(1))
    torch.manual_seed(0)  # dropout
    logits = network(image)
    network.load_state_dict(state)
    torch.manual_seed(0)
    heads = network.training_heads(image)
    assert len(passes) == 2
    assert list(heads) == ["out", "aux"]
    assert torch.equal(heads["out"], logits)
    assert heads["aux"].shape == logits.shape == (2, CLASSES, 45, 50)


def test_the_main_loss_trains_the_regions_too_and_the_auxiliary_one_their_bias() -> None:
    """A softmax over the pixels takes no notice of what all of them have."""
    network = _build().double()
    heads = network.training_heads(_image(2, 33, 40).double())
    target = torch.arange(2 * 33 * 40).reshape(2, 33, 40) // 5 % CLASSES
    last = network.aux_head[-1]
    assert isinstance(last, nn.Conv2d) and last.bias is not None
    main, aux = (F.cross_entropy(heads[name], target) for name in ("out", "aux"))
    weight, bias = torch.autograd.grad(main, (last.weight, last.bias), retain_graph=True)
    assert weight.abs().max() > 1e-6 and bias.abs().max() < 1e-12
    (learnt,) = torch.autograd.grad(aux, last.bias)
    assert learnt.abs().max() > 1e-3


def test_heads_start_as_the_official_ones_do() -> None:
    """By PyTorch's default, uniform in one over the root of the inputs; the trunk by He."""
    network = _build("hrnetv2_w18_ocr:width=8")
    for conv in (network.cls_head, network.aux_head[0], network.aux_head[-1]):
        assert isinstance(conv, nn.Conv2d)
        bound = conv.weight[0].numel() ** -0.5
        assert conv.weight.abs().max() <= bound
        assert conv.weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.1)
    conv = network.get_submodule("stage4.0.branches.0.0.conv1")
    assert isinstance(conv, nn.Conv2d)
    assert conv.weight.std().item() == pytest.approx((2 / (9 * 8)) ** 0.5, rel=0.15)
