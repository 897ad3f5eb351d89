"""VGG16's descendants: published sizes, and their special parts against cases made by hand."""

import math
from collections.abc import Callable
from functools import partial

import pytest
import timm
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from models import dilatednet as dilated
from models.deconvnet import deconvnet
from models.deeplabv1 import deeplabv1
from models.dilatednet import dilatednet
from models.segnet import segnet
from models.vgg import unpool, vgg16

CLASSES = 5
FRONT_END = partial(dilatednet, context="none")
SMALL: dict[str, Callable[[int], nn.Module]] = {
    "segnet": partial(segnet, width=4),
    "deconvnet": partial(deconvnet, width=4),
    "front end": partial(dilatednet, width=4, context="none"),
    "basic": partial(dilatednet, width=4),
    "large": partial(dilatednet, width=4, context="large"),
    "dilatednet with norm": partial(dilatednet, width=4, norm="batch"),
    "deeplabv1": partial(deeplabv1, width=4),
    "deeplabv1 with norm": partial(deeplabv1, width=4, norm="batch"),
}


@pytest.fixture(params=SMALL)
def network(request: pytest.FixtureRequest) -> nn.Module:
    torch.manual_seed(0)
    return SMALL[request.param](CLASSES)


def _images(*shape: int) -> Tensor:
    return torch.randn(shape[0], 3, *shape[1:], generator=torch.Generator().manual_seed(0))


# --- Sizes.


def _macs(build: Callable[[int], nn.Module], num_classes: int, size: tuple[int, int]) -> int:
    with torch.device("meta"):
        network, image = build(num_classes).eval(), torch.empty(1, 3, *size)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        assert network(image).shape == (1, num_classes, *size)
    flops: int = counter.get_total_flops()
    return flops // 2


@pytest.mark.parametrize(
    ("build", "num_classes", "millions"),
    [
        (segnet, 11, "29.45"),
        (deconvnet, 21, "251.8"),
        (FRONT_END, 21, "134.3"),
        (deeplabv1, 21, "20.5"),
    ],
)
def test_parameters_to_the_printed_digit(
    build: Callable[[int], nn.Module], num_classes: int, millions: str
) -> None:
    with torch.device("meta"):
        network = build(num_classes)
    params = sum(p.numel() for p in network.parameters())
    digits = len(millions.partition(".")[2])
    assert f"{params / 1e6:.{digits}f}" == millions


@pytest.mark.parametrize(
    ("context", "scales"), [("basic", [1] * 8), ("large", [2, 2, 4, 8, 16, 32, 32, 1])]
)
def test_layers_of_the_context(context: str, scales: list[int]) -> None:
    """Table 1 of arXiv 1511.07122: kernels, dilations, and outputs in units of the classes."""
    convs = [m for m in _context(context, 3).modules() if isinstance(m, nn.Conv2d)]
    assert [conv.kernel_size[0] for conv in convs] == [3] * 7 + [1]
    assert [conv.dilation[0] for conv in convs] == [1, 1, 2, 4, 8, 16, 1, 1]
    assert [conv.out_channels for conv in convs] == [3 * scale for scale in scales]


@pytest.mark.parametrize(
    ("build", "num_classes", "size", "gmacs"),
    [
        (segnet, 11, (360, 480), 106.7),  # 45 rows, then 23 and 12: rounded up
        (segnet, 19, (1024, 2048), 1302.2),
        # With its 7x7 valid, 1694.3: at 26x58 of the 32x64 cells, both ways and the 1x1 between.
        (
            deconvnet,
            19,
            (1024, 2048),
            1694.3 + (32 * 64 - 26 * 58) * (2 * 49 * 2**21 + 2**24) / 1e9,
        ),
        (FRONT_END, 21, (512, 512), 591.9),
        (FRONT_END, 11, (360, 480), 390.1),  # 45 rows: phases of 4 are uneven
        (FRONT_END, 19, (1024, 2048), 4734.9),
    ],
)
def test_operations(
    build: Callable[[int], nn.Module], num_classes: int, size: tuple[int, int], gmacs: float
) -> None:
    """Against sums in closed form, padded and in units of 1e9."""
    assert _macs(build, num_classes, size) / 1e9 == pytest.approx(gmacs, abs=0.05)


def test_deeplab_costs_what_its_layers_add_up_to() -> None:
    """Poolings leave a cell more than half: 1024 rows to 513, 257 and 129, and 2048 to 257."""
    cells = [1024 * 2048, 513 * 1025, 257 * 513, 129 * 257, 129 * 257]
    inputs, macs = 3, 0
    for pixels, outputs, count in zip(
        cells, (64, 128, 256, 512, 512), (2, 2, 3, 3, 3), strict=True
    ):
        macs += pixels * 9 * outputs * (inputs + (count - 1) * outputs)
        inputs = outputs
    macs += cells[-1] * (9 * 512 * 1024 + 1024 * 1024 + 1024 * 19)
    assert _macs(deeplabv1, 19, (1024, 2048)) == macs
    assert macs / 1e9 == pytest.approx(1005.0, rel=0.01)  # at 128 x 256 cells


@pytest.mark.parametrize(("name", "norm"), [("vgg16", "none"), ("vgg16_bn", "batch")])
def test_the_trunk_has_the_tensors_of_timm(name: str, norm: str) -> None:
    with torch.device("meta"):
        theirs = timm.create_model(name).get_submodule("features").state_dict()
        ours = vgg16(64, norm, [nn.Identity()] * 5).state_dict()
    assert {k: v.shape for k, v in ours.items()} == {k: v.shape for k, v in theirs.items()}
    assert len(ours) == 26 + (norm == "batch") * 13 * 5


# --- Unpooling.


def test_unpooling_puts_values_back_where_the_maximum_was() -> None:
    x = torch.tensor(
        [
            [1.0, 2.0, 0.0, 0.0],
            [3.0, 0.0, 0.0, 4.0],
            [9.0, 1.0, 5.0, 6.0],
            [1.0, 1.0, 8.0, 7.0],
        ]
    )
    values, indices = F.max_pool2d(x[None, None], 2, return_indices=True)
    assert values[0, 0].tolist() == [[3, 4], [9, 8]]
    back = unpool(torch.tensor([[[[10.0, 20.0], [30.0, 40.0]]]]), indices, x.shape)
    assert back[0, 0].tolist() == [[0, 0, 0, 0], [10, 0, 0, 20], [30, 0, 0, 0], [0, 0, 40, 0]]


@pytest.mark.parametrize("size", [(6, 8), (7, 5)])
def test_unpooling_equals_that_of_torch(size: tuple[int, int]) -> None:
    x = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    values, indices = F.max_pool2d(x, 2, ceil_mode=True, return_indices=True)
    back = unpool(values, indices, x.shape[-2:])
    assert torch.equal(back, F.max_unpool2d(values, indices, [2, 2], output_size=size))
    assert torch.equal(back[back != 0], x[back != 0])


# --- Dilation.


@pytest.mark.parametrize("size", [(5, 7), (8, 12), (9, 14), (3, 3)])
def test_polyphase_is_the_dilated_convolution(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    conv = dilated.Polyphase(6, 8, 7, padding=12, dilation=4)
    x = torch.randn(2, 6, *size, requires_grad=True)
    by_phases = conv(x)
    plain = F.conv2d(x, conv.weight, conv.bias, padding=12, dilation=4)
    torch.testing.assert_close(by_phases, plain, rtol=0, atol=1e-5)
    ours, theirs = (
        torch.autograd.grad(y.square().sum(), (x, *conv.parameters())) for y in (by_phases, plain)
    )
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-4)


def _reach(layer: nn.Module, channels: int, side: int) -> set[tuple[int, int]]:
    """The cells, relative to one in the middle, that its output depends on."""
    x = torch.zeros(1, channels, side, side, requires_grad=True)
    middle = side // 2
    (gradient,) = torch.autograd.grad(layer(x)[0, :, middle, middle].sum(), x)
    found = gradient[0].abs().sum(0).nonzero() - middle
    return {(int(y), int(x)) for y, x in found}


def _grid(*steps: int) -> set[tuple[int, int]]:
    return {(y, x) for y in steps for x in steps}


def test_fully_connected_layers_reach_as_far_as_published() -> None:
    torch.manual_seed(0)
    deeplab, front_end = SMALL["deeplabv1"](2), SMALL["front end"](2)
    assert _reach(deeplab.get_submodule("head.0.0"), 32, 33) == _grid(-12, 0, 12)
    assert _reach(front_end.get_submodule("head.0.0"), 32, 33) == _grid(*range(-12, 13, 4))


@pytest.mark.parametrize("name", ["front end", "deeplabv1"])
def test_the_fifth_block_alone_is_dilated(name: str) -> None:
    trunk = SMALL[name](2).get_submodule("trunk")
    convs = [layer for layer in trunk.children() if isinstance(layer, nn.Conv2d)]
    assert [conv.dilation for conv in convs] == [(1, 1)] * 10 + [(2, 2)] * 3


@pytest.mark.parametrize("size", [(33, 33), (64, 48), (57, 62)])
@pytest.mark.parametrize(
    ("build", "offset"), [(deeplabv1, 0), (FRONT_END, 3.5)], ids=["deeplabv1", "front end"]
)
def test_logits_lie_where_their_cells_looked(
    build: Callable[..., nn.Module], offset: float, size: tuple[int, int]
) -> None:
    """With nothing but the poolings, the centre of a cell comes back to the same pixels."""
    network = build(2, width=4)
    pools = [m for m in network.get_submodule("trunk").children() if isinstance(m, nn.MaxPool2d)]
    network.trunk, network.head = nn.Sequential(*pools[:3]), nn.Identity()
    for cell in ((0, 0), (2, 1), (3, 3)):
        # A pixel, or the four in the middle of 8 x 8.
        around = [{math.floor(8 * i + offset), math.ceil(8 * i + offset)} for i in cell]
        image = torch.zeros(1, 3, *size)
        for y in around[0]:
            for x in around[1]:
                image[..., y, x] = 1
        logits = network(image)
        peak = (logits[0, 0] == logits.max()).nonzero()
        for axis in (0, 1):
            found = {int(place[axis]) for place in peak}
            # Half a cell at the border repeats its value: all pixels up to the middle.
            assert found == around[axis] or (offset and cell[axis] == 0 and min(found) == 0)


# --- The context module.


def _context(name: str, num_classes: int) -> nn.Module:
    torch.manual_seed(0)
    return dilatednet(num_classes, width=1, context=name).get_submodule("context")


def _maps(num_classes: int) -> Tensor:
    return torch.rand(1, num_classes, 40, 37, generator=torch.Generator().manual_seed(0))


def test_the_basic_context_starts_as_the_identity() -> None:
    maps = _maps(7)
    assert torch.equal(_context("basic", 7)(maps), maps)
    assert torch.equal(_context("basic", 7)(maps - 0.5), (maps - 0.5).relu())


def test_the_large_context_starts_as_the_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    maps = _maps(7)
    noisy = _context("large", 7)(maps)
    assert 0 < (noisy - maps).abs().max() < 0.1
    monkeypatch.setattr(dilated, "NOISE", 0)
    torch.testing.assert_close(_context("large", 7)(maps), maps)


def test_the_large_context_shares_a_class_among_its_maps() -> None:
    """Equation 5 for two classes by hand: 2 maps to 4, 4 to 4, and 64 to 2."""
    convs = [m for m in _context("large", 2).modules() if isinstance(m, nn.Conv2d)]
    middle = [
        conv.weight[:, :, i, i].tolist() for conv, i in zip(convs, [1] * 7 + [0], strict=True)
    ]
    close = partial(pytest.approx, abs=0.005)
    assert middle[0] == [close(row) for row in [[0.5, 0], [0.5, 0], [0, 0.5], [0, 0.5]]]
    pair = [[0.5, 0.5, 0, 0]] * 2 + [[0, 0, 0.5, 0.5]] * 2
    assert middle[1] == [close(row) for row in pair]
    assert middle[7] == [close(row) for row in [[1] * 32 + [0] * 32, [0] * 32 + [1] * 32]]
    for conv in convs:  # noise: no two maps of a class are equal
        assert len({*map(tuple, conv.weight.flatten(1).tolist())}) == conv.out_channels


def test_the_context_reaches_67_cells() -> None:
    """Table 1: the receptive field of its last layers, in cells."""
    context = _context("basic", 1)
    for parameter in context.parameters():
        nn.init.ones_(parameter)
    assert _reach(context, 1, 81) == _grid(*range(-33, 34))


# --- What every network of the table promises, also with these options.


def test_any_size_in_both_modes(network: nn.Module) -> None:
    with torch.no_grad():
        for training in (True, False):
            network.train(training)
            for size in ((33, 33), (48, 70), (97, 64)):
                logits = network(_images(1, *size))
                assert logits.shape == (1, CLASSES, *size)
                assert logits.isfinite().all()


def test_every_parameter_learns(network: nn.Module) -> None:
    target = torch.arange(2 * 64 * 64).reshape(2, 64, 64) // 5 % CLASSES
    names, parameters = zip(*network.named_parameters(), strict=True)
    loss = F.cross_entropy(network(_images(2, 64, 64)), target)
    for name, gradient in zip(names, torch.autograd.grad(loss, parameters), strict=True):
        assert gradient.isfinite().all(), name
        assert gradient.any(), name


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (partial(dilatednet, context="huge"), "context is none, basic or large, got 'huge'"),
        (partial(dilatednet, norm="group"), "norm is none or batch, got 'group'"),
        (partial(deeplabv1, norm="group"), "norm is none or batch, got 'group'"),
    ],
)
def test_options_that_are_not_known(build: Callable[[int], nn.Module], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(CLASSES)
