"""DeepLabv3, PSPNet, UNet++ and the residual U-Net, layer by layer."""

import math
from collections.abc import Callable

import pytest
import timm
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from models import build_model
from models.deeplabv3 import ASPP, deeplabv3
from models.dilated_resnet import dilated_resnet
from models.hrnet_module import BasicBlock
from models.pspnet import PyramidPooling, pspnet
from models.resnet import subsample_narrow
from models.resunet import resunet
from models.unetpp import unetpp

CLASSES = 7


def _images(*shape: int) -> Tensor:
    return torch.randn(shape[0], 3, *shape[1:], generator=torch.Generator().manual_seed(0))


# --- Parameters and operations.


def _count(build: Callable[[], nn.Module], height: int, width: int) -> tuple[int, int]:
    """Parameters and multiply-adds of one image."""
    with torch.device("meta"):
        network, image = build().eval(), torch.empty(1, 3, height, width)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(image)
    return sum(p.numel() for p in network.parameters()), counter.get_total_flops() // 2


@pytest.mark.parametrize(
    ("build", "params", "gflops"),
    [
        (lambda: deeplabv3(19), 58.04, 1778.7),  # Table III of arXiv 1908.07919: 58.0, 1778.7
        (lambda: pspnet(19), 65.71, 1949.7),  # 65.9, 2017.6, by a form that it does not name
        (lambda: pspnet(19, trunk="resnet101"), 65.58, 1896.9),
        (lambda: unetpp(19), 54.68, 749.7),  # 59.5, 748.5, by a form that it does not name
    ],
)
def test_parameters_and_operations(
    build: Callable[[], nn.Module], params: float, gflops: float
) -> None:
    counted, macs = _count(build, 1024, 2048)
    assert counted / 1e6 == pytest.approx(params, abs=0.005)
    assert macs / 2**30 == pytest.approx(gflops, abs=0.05)


@pytest.mark.parametrize(("stride", "levels"), [(4, 4), (1, 5)])
def test_resunet_costs_what_its_layers_add_up_to(stride: int, levels: int) -> None:
    width, pixels = 6, 64 * 96
    high = pixels // stride**2
    if stride == 4:
        macs = pixels // 4 * 27 * 64 + high * 9 * 64 * 64 + high * 9 * 64 * width
    else:
        macs = high * 27 * width
    for level in range(levels):
        c, here = width * 2**level, high // 4**level
        blocks = 4 * 2 * 9 * c * c
        macs += here * blocks
        if level < levels - 1:
            macs += here // 4 * (9 * c * 2 * c + 2 * c * c)  # down, up
            macs += here * (2 * c * c + blocks)
    macs += high * (width * width + width * 5)
    assert _count(lambda: resunet(5, width=width, stride=stride), 64, 96)[1] == macs


@pytest.mark.parametrize("build", [deeplabv3, pspnet, unetpp, dilated_resnet])
def test_width_scales_the_whole_network(build: Callable[..., nn.Module]) -> None:
    wide, wide_macs = _count(lambda: build(19), 256, 512)
    narrow, narrow_macs = _count(lambda: build(19, width=32), 256, 512)
    assert wide / narrow == pytest.approx(4, rel=0.01)
    assert wide_macs / narrow_macs == pytest.approx(4, rel=0.07)  # a 7x7 stem keeps its channels


@pytest.mark.parametrize("trunk", ["resnet18", "resnet18d", "resnet50s", "resnet26t"])
def test_the_papers_width_leaves_the_trunk_as_timm_has_it(trunk: str) -> None:
    with torch.device("meta"):
        ours = pspnet(2, trunk=trunk).get_submodule("trunk").state_dict()
        half = pspnet(2, trunk=trunk, width=32).get_submodule("trunk").state_dict()
        theirs = timm.create_model(trunk).state_dict()
    assert ours.keys() == theirs.keys() - {"fc.weight", "fc.bias"} <= half.keys()
    for key, value in ours.items():
        assert value.shape == theirs[key].shape, key
        if value.ndim == 4 and key != "conv1.weight":  # the 7x7 stem keeps its channels
            assert 2 * half[key].shape[0] == value.shape[0], key


# --- Layers.


@pytest.mark.parametrize(("branch", "rate"), [(1, 12), (2, 24), (3, 36)])
def test_aspp_branches_reach_as_far_as_their_rates(branch: int, rate: int) -> None:
    aspp = ASPP(2, 3).eval()
    layers = aspp.branches[branch]
    for convolution in (m for m in layers.modules() if isinstance(m, nn.Conv2d)):
        nn.init.ones_(convolution.weight)  # positive, so that no ReLU hides a cell
    x = torch.ones(1, 2, 79, 81, requires_grad=True)
    y = layers(x)
    assert y.shape == (1, 3, 79, 81)
    (gradient,) = torch.autograd.grad(y[..., 39, 40].sum(), x)
    reached = {(int(i) - 39, int(j) - 40) for i, j in gradient[0, 0].nonzero()}
    assert reached == {(i, j) for i in (-rate, 0, rate) for j in (-rate, 0, rate)}


def test_aspp_concatenates_five_branches_with_the_mean_everywhere() -> None:
    aspp = ASPP(2, 3).eval()
    taken: list[Tensor] = []
    aspp.project.register_forward_pre_hook(lambda _, inputs: taken.append(inputs[0]))
    x = torch.rand(1, 2, 9, 11)
    with torch.no_grad():
        assert aspp(x).shape == (1, 3, 9, 11)
        mean = aspp.pool(x.mean(dim=(2, 3), keepdim=True))
    assert taken[0].shape == (1, 5 * 3, 9, 11)
    assert torch.equal(taken[0][:, -3:], mean.expand(1, 3, 9, 11))


@pytest.mark.parametrize("build", [deeplabv3, pspnet])
def test_trunks_stay_at_an_eighth(build: Callable[..., nn.Module]) -> None:
    trunk = build(CLASSES, trunk="resnet18", width=4).eval().get_submodule("trunk")
    with torch.no_grad():
        (deep,) = trunk(_images(1, 65, 90))
    assert deep.shape == (1, 32, 9, 12)


def test_pyramid_pooling_is_means_over_bins() -> None:
    channels, height, width = 4, 7, 11  # 6 does not divide them: bins overlap
    pyramid = PyramidPooling(channels).eval()
    for module in pyramid.modules():
        if isinstance(module, nn.Conv2d):  # to one channel: the sum of four
            nn.init.ones_(module.weight)
        elif isinstance(module, nn.BatchNorm2d):
            module.eps = 0.0
    x = torch.rand(2, channels, height, width)
    with torch.no_grad():
        y = pyramid(x)
        pooled = [branch(x) for branch in pyramid.branches]
    assert y.shape == (2, 2 * channels, height, width)
    assert torch.equal(y[:, :channels], x)
    for k, (bins, cells) in enumerate(zip((1, 2, 3, 6), pooled, strict=True)):
        assert cells.shape == (2, 1, bins, bins)
        for i in range(bins):
            for j in range(bins):
                rows = slice(i * height // bins, -(-(i + 1) * height // bins))
                columns = slice(j * width // bins, -(-(j + 1) * width // bins))
                mean = x[..., rows, columns].mean(dim=(2, 3)).sum(dim=1)
                torch.testing.assert_close(cells[:, 0, i, j], mean)
        spread = y[:, channels + k]  # outside the centres of the first and last bins: their values
        torch.testing.assert_close(spread[:, 0, 0], cells[:, 0, 0, 0])
        torch.testing.assert_close(spread[:, -1, 0], cells[:, 0, -1, 0])
        torch.testing.assert_close(spread[:, 0, -1], cells[:, 0, 0, -1])


def test_every_node_of_unetpp_gets_its_row_and_the_row_below() -> None:
    """Fig. 1 of arXiv 1807.10165, at an odd size: the values that enter each node."""
    network = unetpp(CLASSES, trunk="resnet18", width=8).eval()
    inputs: dict[tuple[int, int], Tensor] = {}
    nodes: dict[tuple[int, int], Tensor] = {}

    def keep(i: int, j: int) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def hook(module: nn.Module, taken: tuple[Tensor, ...], made: Tensor) -> None:
            inputs[i, j], nodes[i, j] = taken[0], made

        return hook

    def keep_maps(module: nn.Module, taken: object, maps: list[Tensor]) -> None:
        nodes.update({(i, 0): made for i, made in enumerate(maps)})

    network.get_submodule("trunk").register_forward_hook(keep_maps)
    for j in range(1, 5):
        for i in range(5 - j):
            network.get_submodule(f"columns.{j - 1}.{i}").register_forward_hook(keep(i, j))
    with torch.no_grad():
        network(_images(1, 77, 90))
    assert [nodes[i, 0].shape[1:] for i in range(5)] == [
        (64, 39, 45),
        (8, 20, 23),
        (16, 10, 12),
        (32, 5, 6),
        (64, 3, 3),
    ]
    assert len(inputs) == 4 + 3 + 2 + 1
    for (i, j), taken in inputs.items():
        height, width = nodes[i, 0].shape[-2:]
        below = nodes[i + 1, j - 1].repeat_interleave(2, 2).repeat_interleave(2, 3)
        expected = [*(nodes[i, k] for k in range(j)), below[..., :height, :width]]
        assert torch.equal(taken, torch.cat(expected, dim=1)), (i, j)
        assert nodes[i, j].shape == (1, 4 * 2**i, height, width)


@pytest.mark.parametrize(("stride", "blocks"), [(4, 28), (1, 36)])
def test_resunet_is_basic_blocks_around_a_last_map_at_its_stride(stride: int, blocks: int) -> None:
    network = resunet(CLASSES, width=4, stride=stride).eval()
    assert sum(isinstance(m, BasicBlock) for m in network.modules()) == blocks
    high: list[Tensor] = []
    network.get_submodule("last_layer").register_forward_pre_hook(
        lambda _, inputs: high.append(inputs[0])
    )
    with torch.no_grad():
        network(_images(1, 64, 96))
    assert high[0].shape == (1, 4, 64 // stride, 96 // stride)


# --- Initial weights and wrong options.


def test_resunet_starts_as_hrnet_does() -> None:
    torch.manual_seed(0)
    network = resunet(CLASSES, width=16)
    convolutions = {k: m for k, m in network.named_modules() if isinstance(m, nn.Conv2d)}
    classifier = convolutions.pop("last_layer.3")
    assert classifier.weight.detach().std() == pytest.approx(0.001, rel=0.3)
    for key, module in convolutions.items():
        fan_out = module.out_channels * math.prod(module.kernel_size)
        assert module.weight.detach().std() == pytest.approx(math.sqrt(2 / fan_out), rel=0.2), key


@pytest.mark.parametrize("build", [deeplabv3, pspnet, unetpp, dilated_resnet])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trunk": "xception71"}, "xception71.*not a ResNet of timm: name one"),
        ({"trunk": "resnet9000"}, "resnet9000.*not a ResNet"),
        ({"trunk": "resnetv2_50"}, "resnetv2_50.*not a ResNet"),
        ({"width": 2}, "at least 4, got 2: "),
    ],
)
def test_trunks_that_cannot_serve(
    build: Callable[..., nn.Module], options: dict[str, str | int], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        build(CLASSES, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"stride": 2}, "1 or 4, got 2: choose"), ({"width": 0}, "at least 1, got 0: give")],
)
def test_resunet_names_what_it_cannot_be(options: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        resunet(CLASSES, **options)


# --- Narrow trunks.


@pytest.mark.parametrize("size", [(6, 8), (7, 5)])
def test_a_subsampling_convolution_is_one_of_stride_2(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    strided = nn.Conv2d(5, 9, 1, stride=2).double()
    images = torch.randn(2, 5, *size, dtype=torch.double, requires_grad=True)
    outputs = []
    for _ in range(2):
        out = strided(images)
        gradients = torch.autograd.grad(out.square().sum(), [images, strided.weight])
        outputs.append((out, *gradients))
        subsample_narrow(strided)
    assert type(strided) is not nn.Conv2d
    for one, other in zip(*outputs, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("name", ["deeplabv3p:width=6", "pspnet:trunk=resnet18:width=8"])
def test_no_narrow_trunk_has_a_strided_1x1_that_may_crash(name: str) -> None:
    """On some CPUs its backward pass corrupts memory, so that a test by running it ends pytest."""
    strided = [
        module
        for module in build_model(name, CLASSES).modules()
        if isinstance(module, nn.Conv2d) and module.kernel_size == (1, 1) and module.stride[0] == 2
    ]
    assert any(conv.in_channels < 16 for conv in strided)
    for conv in strided:
        assert (type(conv) is nn.Conv2d) == (conv.in_channels >= 16)
