"""HRNetV2 against the official code's names, and its fusion against one written out by hand."""

from collections.abc import Iterator
from typing import NamedTuple

import pytest
import timm
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models import build_model
from models.hrnet import SegmentationHRNet
from models.hrnet_module import HighResolutionModule
from models.hrnet_trunk import Stages

CLASSES = 19
SIZES = [(6, 8), (5, 7)]  # of the higher of two streams; odd sides halve to the larger half
TINY = Stages(4, units=1, unit_width=8, modules=(1, 1, 1), blocks=1)


class Official(NamedTuple):
    """The numbers of a configuration file of HRNet-Semantic-Segmentation."""

    channels: list[int]  # NUM_CHANNELS of stage 4; stages 2 and 3 have the first of them
    stem: int  # NUM_CHANNELS of stage 1
    units: int  # NUM_BLOCKS of stage 1
    modules: tuple[int, int, int]  # NUM_MODULES of stages 2, 3, 4
    blocks: int = 4  # NUM_BLOCKS of every stream there


OFFICIAL = {
    "hrnetv2_w48": Official([48, 96, 192, 384], 64, 4, (1, 4, 3)),
    "hrnetv2_w18": Official([18, 36, 72, 144], 64, 4, (1, 4, 3)),
    "hrnetv2_w18_small_v1": Official([16, 32, 64, 128], 32, 1, (1, 1, 1), 2),
    "hrnetv2_w18_small_v2": Official([18, 36, 72, 144], 64, 2, (1, 3, 2), 2),
}

Shape = tuple[int, ...]


def _norm(name: str, channels: int) -> Iterator[tuple[str, Shape]]:
    for part in ("weight", "bias", "running_mean", "running_var"):
        yield f"{name}.{part}", (channels,)
    yield f"{name}.num_batches_tracked", ()


def _pair(
    conv: str, norm: str, inputs: int, outputs: int, kernel: int
) -> Iterator[tuple[str, Shape]]:
    """A convolution without bias, and the batch norm after it."""
    yield f"{conv}.weight", (outputs, inputs, kernel, kernel)
    yield from _norm(norm, outputs)


def _module(name: str, channels: list[int], blocks: int) -> Iterator[tuple[str, Shape]]:
    for i, c in enumerate(channels):
        for b in range(blocks):
            for k in (1, 2):
                unit = f"{name}.branches.{i}.{b}"
                yield from _pair(f"{unit}.conv{k}", f"{unit}.bn{k}", c, c, 3)
    for i, target in enumerate(channels):
        for j, source in enumerate(channels):
            fuse = f"{name}.fuse_layers.{i}.{j}"
            if j > i:
                yield from _pair(f"{fuse}.0", f"{fuse}.1", source, target, 1)
            for k in range(i - j):
                outputs = target if k == i - j - 1 else source
                yield from _pair(f"{fuse}.{k}.0", f"{fuse}.{k}.1", source, outputs, 3)


def _official(config: Official, classes: int) -> dict[str, Shape]:
    """Every tensor of the official network's state dict, with its shape."""
    c = config.channels
    tensors = [*_pair("conv1", "bn1", 3, 64, 3), *_pair("conv2", "bn2", 64, 64, 3)]
    wide = 4 * config.stem
    for u in range(config.units):
        unit, inputs = f"layer1.{u}", wide if u else 64
        tensors += _pair(f"{unit}.conv1", f"{unit}.bn1", inputs, config.stem, 1)
        tensors += _pair(f"{unit}.conv2", f"{unit}.bn2", config.stem, config.stem, 3)
        tensors += _pair(f"{unit}.conv3", f"{unit}.bn3", config.stem, wide, 1)
        if inputs != wide:
            tensors += _pair(f"{unit}.downsample.0", f"{unit}.downsample.1", inputs, wide, 1)
    tensors += _pair("transition1.0.0", "transition1.0.1", wide, c[0], 3)
    tensors += _pair("transition1.1.0.0", "transition1.1.0.1", wide, c[1], 3)
    tensors += _pair("transition2.2.0.0", "transition2.2.0.1", c[1], c[2], 3)
    tensors += _pair("transition3.3.0.0", "transition3.3.0.1", c[2], c[3], 3)
    for stage, modules in zip((2, 3, 4), config.modules, strict=True):
        for m in range(modules):
            tensors += _module(f"stage{stage}.{m}", c[:stage], config.blocks)
    total = sum(c)
    tensors += [("last_layer.0.weight", (total, total, 1, 1)), ("last_layer.0.bias", (total,))]
    tensors += _norm("last_layer.1", total)
    tensors += [("last_layer.3.weight", (classes, total, 1, 1)), ("last_layer.3.bias", (classes,))]
    assert len(dict(tensors)) == len(tensors)
    return dict(tensors)


@pytest.mark.parametrize("name", OFFICIAL)
def test_names_and_shapes_are_the_official_ones(name: str) -> None:
    with torch.device("meta"):
        state = build_model(name, CLASSES).state_dict()
    expected = _official(OFFICIAL[name], CLASSES)
    assert set(state) == set(expected)
    assert {key: tuple(value.shape) for key, value in state.items()} == expected


@pytest.mark.parametrize(
    ("key", "shape"),
    [
        ("layer1.0.downsample.0.weight", (256, 64, 1, 1)),
        ("transition1.0.0.weight", (48, 256, 3, 3)),
        ("transition1.1.0.0.weight", (96, 256, 3, 3)),
        ("transition3.3.0.0.weight", (384, 192, 3, 3)),
        ("stage2.0.branches.0.0.conv1.weight", (48, 48, 3, 3)),
        ("stage2.0.fuse_layers.0.1.0.weight", (48, 96, 1, 1)),
        ("stage2.0.fuse_layers.1.0.0.0.weight", (96, 48, 3, 3)),
        ("stage3.3.fuse_layers.2.0.1.0.weight", (192, 48, 3, 3)),
        ("stage4.2.fuse_layers.3.0.2.0.weight", (384, 48, 3, 3)),
        ("last_layer.0.bias", (720,)),
        ("last_layer.3.weight", (19, 720, 1, 1)),
    ],
)
def test_some_names_of_w48_by_hand(key: str, shape: Shape) -> None:
    """From the official code and W48's configuration: a mistake in the generator above shows."""
    assert _official(OFFICIAL["hrnetv2_w48"], CLASSES)[key] == shape


def _shake(module: nn.Module) -> None:
    """Weights, statistics and affine parts of ordinary size: at their start most do nothing."""
    generator = torch.Generator().manual_seed(0)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            for tensor, low in (
                (part.weight.data, 0.5),
                (part.bias.data, -0.5),
                (part.running_mean, -0.5),
                (part.running_var, 0.5),
            ):
                assert tensor is not None
                tensor.uniform_(low, low + 1, generator=generator)
        elif isinstance(part, nn.Conv2d):
            fan = part.weight[0].numel()
            part.weight.data.normal_(0, (2 / fan) ** 0.5, generator=generator)


def _streams(size: Shape, channels: list[int]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    streams, (height, width) = [], size
    for c in channels:
        streams.append(torch.randn(2, c, height, width, generator=generator, dtype=torch.double))
        height, width = (height + 1) // 2, (width + 1) // 2
    return streams


def _tiny_module(channels: list[int], align_corners: bool = False) -> HighResolutionModule:
    module = HighResolutionModule(channels, 1, align_corners)
    _shake(module)
    return module.double().eval()


def _conv(state: dict[str, Tensor], name: str, x: Tensor, stride: int = 1) -> Tensor:
    """A convolution as a sum over the offsets of its kernel, padded by zeros."""
    weight = state[f"{name}.weight"]
    k = weight.shape[-1]
    height, width = x.shape[-2:]
    padded = F.pad(x, [k // 2] * 4)
    return sum(  # type: ignore[return-value]
        torch.einsum(
            "oi,nihw->nohw",
            weight[:, :, dy, dx],
            padded[..., dy : dy + height : stride, dx : dx + width : stride],
        )
        for dy in range(k)
        for dx in range(k)
    )


def _bn(state: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    weight, bias, mean, variance = (
        state[f"{name}.{part}"][:, None, None]
        for part in ("weight", "bias", "running_mean", "running_var")
    )
    return (x - mean) / (variance + 1e-5).sqrt() * weight + bias


def _unit(state: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    y = _bn(state, f"{name}.bn1", _conv(state, f"{name}.conv1", x)).clamp(min=0)
    return (_bn(state, f"{name}.bn2", _conv(state, f"{name}.conv2", y)) + x).clamp(min=0)


def _enlarge(x: Tensor, size: torch.Size, align_corners: bool) -> Tensor:
    """Bilinear, one pixel after the other."""
    (height, width), (tall, wide) = x.shape[-2:], size
    out = x.new_zeros(*x.shape[:2], tall, wide)
    for i in range(tall):
        for j in range(wide):
            if align_corners:
                y, z = i * (height - 1) / (tall - 1), j * (width - 1) / (wide - 1)
            else:
                y = max((i + 0.5) * height / tall - 0.5, 0)
                z = max((j + 0.5) * width / wide - 0.5, 0)
            for row, a in ((int(y), 1 - y % 1), (min(int(y) + 1, height - 1), y % 1)):
                for column, b in ((int(z), 1 - z % 1), (min(int(z) + 1, width - 1), z % 1)):
                    out[..., i, j] += a * b * x[..., row, column]
    return out


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_fusion_of_two_streams_written_out(size: Shape, align_corners: bool) -> None:
    module = _tiny_module([2, 4], align_corners)
    state, streams = module.state_dict(), _streams(size, [2, 4])
    high, low = (_unit(state, f"branches.{i}.0", x) for i, x in enumerate(streams))
    up = _bn(state, "fuse_layers.0.1.1", _conv(state, "fuse_layers.0.1.0", low))
    down = _conv(state, "fuse_layers.1.0.0.0", high, stride=2)
    expected = [
        (high + _enlarge(up, high.shape[-2:], align_corners)).clamp(min=0),
        (_bn(state, "fuse_layers.1.0.0.1", down) + low).clamp(min=0),
    ]
    with torch.no_grad():
        fused = module([x.clone() for x in streams])
    assert len(fused) == 2
    for got, want in zip(fused, expected, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-10)


def test_two_halvings_have_a_relu_between_them_and_none_after() -> None:
    module = _tiny_module([2, 4, 8])
    state, streams = module.state_dict(), _streams((8, 12), [2, 4, 8])
    high, middle, low = (_unit(state, f"branches.{i}.0", x) for i, x in enumerate(streams))
    name = "fuse_layers.2.0"
    half = _bn(state, f"{name}.0.1", _conv(state, f"{name}.0.0", high, stride=2)).clamp(min=0)
    quarter = _bn(state, f"{name}.1.1", _conv(state, f"{name}.1.0", half, stride=2))
    name = "fuse_layers.2.1.0"
    other = _bn(state, f"{name}.1", _conv(state, f"{name}.0", middle, stride=2))
    assert (quarter < 0).any() and (other < 0).any()  # else a ReLU would not show
    with torch.no_grad():
        got = module([x.clone() for x in streams])[2]
    torch.testing.assert_close(got, (quarter + other + low).clamp(min=0), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("align_corners", [False, True])
def test_enlarging_before_the_1x1_is_the_same_function(align_corners: bool) -> None:
    """Section 3.2 of the paper enlarges first; with fixed statistics the order is free."""
    module = _tiny_module([3, 6], align_corners)
    streams = _streams((8, 10), [3, 6])
    reduce = module.get_submodule("fuse_layers.0.1")
    branches = [module.get_submodule(f"branches.{i}") for i in (0, 1)]
    with torch.no_grad():
        high, low = (branch(x.clone()) for branch, x in zip(branches, streams, strict=True))
        big = F.interpolate(low, high.shape[-2:], mode="bilinear", align_corners=align_corners)
        expected = F.relu(high + reduce(big))
        got = module([x.clone() for x in streams])[0]
    torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-10)


def test_with_batch_statistics_the_order_is_not_free() -> None:
    """Enlarging changes the variance: the equality above is one of functions, not of training."""
    module = _tiny_module([3, 6]).train()
    reduce, low = module.get_submodule("fuse_layers.0.1"), _streams((8, 10), [3, 6])[1]
    with torch.no_grad():
        after = F.interpolate(reduce(low), (8, 10), mode="bilinear")
        before = reduce(F.interpolate(low, (8, 10), mode="bilinear"))
    assert (after - before).abs().max() > 0.1


@pytest.mark.parametrize("size", [(64, 96), (96, 64)])
def test_the_streams_are_those_of_timm(size: tuple[int, int]) -> None:
    """timm's hrnet_w18 has the same tensors and enlarges by nearest neighbours; set to bilinear and
    with the same weights, its four streams are ours. Its names are the official ones too."""
    torch.manual_seed(0)
    theirs = timm.create_model("hrnet_w18", features_only=True, feature_location="").eval()
    for module in theirs.modules():
        if isinstance(module, nn.Upsample):
            module.mode, module.align_corners = "bilinear", False
        elif isinstance(module, nn.BatchNorm2d):  # statistics that a training would have left
            assert module.running_mean is not None and module.running_var is not None
            nn.init.uniform_(module.running_mean, -0.1, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    ours = build_model("hrnetv2_w18", CLASSES).eval()
    loaded = ours.load_state_dict(theirs.state_dict(), strict=False)
    assert not loaded.unexpected_keys
    assert all(key.startswith("last_layer.") for key in loaded.missing_keys)
    streams: list[Tensor] = []
    ours.get_submodule("stage4").register_forward_hook(lambda *call: streams.extend(call[2]))
    image = torch.randn(1, 3, *size)
    with torch.no_grad():
        ours(image)
        _, *expected = theirs(image)  # the first is the stem's map
    assert [s.shape[1] for s in streams] == [18, 36, 72, 144]
    for stream, other in zip(streams, expected, strict=True):
        torch.testing.assert_close(stream, other, rtol=1e-5, atol=1e-5 * float(other.std()))


def test_every_stream_hears_every_other() -> None:
    module = _tiny_module([2, 4, 8, 16])
    streams = _streams((16, 16), [2, 4, 8, 16])
    with torch.no_grad():
        before = module([x.clone() for x in streams])
        for source in range(4):
            changed = [x + (i == source) for i, x in enumerate(streams)]
            after = module(changed)
            assert all(not torch.equal(a, b) for a, b in zip(after, before, strict=True))


def test_streams_keep_their_resolution_and_double_their_channels() -> None:
    network = SegmentationHRNet(TINY, CLASSES).train()  # which keeps the published order
    seen: dict[str, list[Shape]] = {}

    def note(name: str, output: list[Tensor]) -> None:
        seen[name] = [tuple(x.shape[1:]) for x in output]

    for name in ("stage2", "stage3", "stage4"):
        stage = network.get_submodule(name)
        stage.register_forward_hook(lambda module, inputs, out, name=name: note(name, out))
    heads: list[Shape] = []
    network.last_layer.register_forward_hook(
        lambda module, inputs, out: heads.extend(tuple(x.shape[1:]) for x in (*inputs, out))
    )
    with torch.no_grad():
        network(torch.zeros(2, 3, 64, 128))
    every = [(4, 16, 32), (8, 8, 16), (16, 4, 8), (32, 2, 4)]
    assert seen == {"stage2": every[:2], "stage3": every[:3], "stage4": every}
    assert heads == [(60, 16, 32), (CLASSES, 16, 32)]  # 15 C channels, at 1/4


def test_align_corners_is_that_of_every_interpolation(monkeypatch: pytest.MonkeyPatch) -> None:
    network = SegmentationHRNet(TINY, CLASSES)
    aligned = SegmentationHRNet(TINY, CLASSES, align_corners=True)
    _shake(network)
    aligned.load_state_dict(network.state_dict())
    image = torch.randn(1, 3, 65, 97, generator=torch.Generator().manual_seed(0))
    original, used = F.interpolate, list[bool]()

    def interpolate(
        x: Tensor, size: torch.Size, mode: str, align_corners: bool | None = None
    ) -> Tensor:
        used.append(bool(align_corners))
        return original(x, size, mode=mode, align_corners=align_corners)

    monkeypatch.setattr(F, "interpolate", interpolate)
    with torch.no_grad():
        plain, corners = (m.double().eval()(image.double()) for m in (network, aligned))
    # 1 + 3 + 6 in the modules, 3 in the head, 1 to the image's size; then the same again.
    assert used == [False] * 14 + [True] * 14
    assert (plain - corners).abs().max() > 1e-3 * plain.std()


def test_the_last_step_is_bilinear_to_the_size_of_the_image() -> None:
    for align_corners in (False, True):
        network = SegmentationHRNet(TINY, CLASSES, align_corners).eval()
        _shake(network)
        small: list[Tensor] = []
        network.last_layer[-1].register_forward_hook(
            lambda module, inputs, out, small=small: small.append(out)
        )
        with torch.no_grad():
            logits = network(torch.randn(1, 3, 36, 50))
        size = logits.shape[-2:]
        assert size == (36, 50)
        want = F.interpolate(small[0], size, mode="bilinear", align_corners=align_corners)
        assert torch.equal(logits, want)
        if align_corners:  # then corners are passed through
            corner = small[0][..., ::8, ::12][..., [0, -1], :][..., [0, -1]]
            assert torch.allclose(logits[..., [0, -1], :][..., [0, -1]], corner, atol=1e-5)


def test_initialisation_from_scratch() -> None:
    torch.manual_seed(0)
    network = SegmentationHRNet(TINY, CLASSES)
    classifier = network.last_layer[-1]
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.weight.numel() > 2000:
            fan_out = module.out_channels * module.kernel_size[0] ** 2
            assert module.weight.std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=0.1)
        if isinstance(module, nn.BatchNorm2d):
            assert (module.weight == 1).all() and (module.bias == 0).all()
    assert isinstance(classifier, nn.Conv2d)
    assert classifier.weight.std().item() == pytest.approx(0.001, rel=0.3)


@pytest.mark.parametrize("outputs", [1, 4])
@pytest.mark.parametrize("align_corners", [False, True])
def test_evaluation_computes_the_head_before_it_upsamples(
    align_corners: bool, outputs: int
) -> None:
    """The same as upsampling, concatenating, then all of the head; in a fraction of the work."""
    torch.manual_seed(0)
    model = SegmentationHRNet(TINY, CLASSES, align_corners, outputs).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for values in (module.running_mean, module.running_var, module.weight, module.bias):
                assert values is not None
                nn.init.uniform_(values, 0.5, 1.5)
    assert isinstance(model.last_layer[0], nn.Conv2d)
    nn.init.normal_(model.last_layer[0].bias)  # type: ignore[arg-type]
    image = torch.randn(2, 3, 67, 93)
    seen: list[torch.Size] = []
    model.last_layer[0].register_forward_hook(lambda _, inputs, __: seen.append(inputs[0].shape))
    with torch.no_grad():
        early = model(image)
        assert not seen
        published = model.resize(model.last_layer(model.forward_features(image)), (67, 93))  # type: ignore[arg-type]
        assert seen == [(2, model.out_channels, 17, 24)]
    torch.testing.assert_close(early, published, rtol=0, atol=1e-5 * published.abs().max().item())
    model.train()(image)
    assert len(seen) == 2  # training keeps the published order
