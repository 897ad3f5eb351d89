"""Options that try the lecture's claims: the default is what it was, each does what its name says.

What the networks were before they had options was recorded once with the code of commit 253befa:
names and shapes, initial weights, and logits of both modes in fp64. Their bits were compared then.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from experiments.costs.flops import paper_count
from experiments.costs.match_budget import MatchBudget
from experiments.costs.width_search import match_network
from models import build_model, model_options
from models.hrnet import Ablation, SegmentationHRNet
from models.hrnet_module import AS_PUBLISHED, Exchange, HighResolutionModule
from models.upsampling import transposed

CLASSES = 5
BUDGET = MatchBudget("gmacs", 1.0, (64, 64), CLASSES, "32-true", 2, 1, "any")
V2, SMALL = "hrnetv2_w18:width=4", "hrnetv2_w18_small_v2"
V2S = f"{SMALL}:width=4"  # with all that V2 has, in fewer and shorter modules

Two = tuple[float, float]
# Hash of names and shapes, then sums over weights and over logits in training and evaluation.
RECORDED: dict[str, tuple[str, Two, Two, Two]] = {
    "hrnetv2_w18:width=4": (
        "98ea9cf4db17",
        (46799.93692012034, -51.209687065605266),
        (956.3361579114863, -0.36170403251652244),
        (320392.5080715533, 1.2825896119403666),
    ),
    "hrnetv2_w48:width=4:align_corners=true": (
        "2b4936bf512c",
        (44203.65397765071, -40.438152183207364),
        (1474.0232940932535, -0.3193182121296397),
        (551920.4247572854, -82.38949212293856),
    ),
    "hrnetv1_w32:width=4": (
        "51dc826809e0",
        (42892.630590181434, -4.08346344153631),
        (4483.488815599612, -0.2703107318912411),
        (16311.506630078624, -6.015721868083977),
    ),
    "hrnetv2_w18_small_v1:width=4": (
        "24095ee1c28f",
        (10074.589059672378, -1.8148203688009144),
        (1537.9799925953946, 0.09816445632305477),
        (1839.351435834746, 0.18610154709575916),
    ),
    "hrnetv2_w18_small_v2:width=4": (
        "bbe3c04f663f",
        (20334.79421328349, -13.999363322371579),
        (1217.0099511594706, 0.0010589493896939334),
        (913.4061250310152, -0.47377523630520035),
    ),
    "unet:width=4": (
        "ec4821609d01",
        (7765.803017732136, 22.288531322746664),
        (18300.10700834373, 107.17206397622027),
        (12639.064545405066, 19.720572695148874),
    ),
    "deeplabv3p:trunk=resnet18:width=8": (
        "10d5d315b7b2",
        (12029.98387834619, 5.425262048951755),
        (6001.092417233226, 6.863443321844674),
        (2147.9897070929183, 0.06639659447852833),
    ),
    "deeplabv3p_os8:trunk=resnet18:width=8": (
        "10d5d315b7b2",
        (12029.98387834619, 5.425262048951755),
        (5971.564657609129, -50.635023724944034),
        (2141.7246200199293, 0.07009652687525439),
    ),
    "dilatednet:width=4": (
        "fecafa0f087c",
        (20439.073024618425, -17.710673665990516),
        (5567.466655866779, -7.467255017233853),
        (2874.6568597986334, 5.24371217590841),
    ),
}

# One case of each option, and combinations that lead through other lines.
OPTIONS = [
    f"{V2S}:fusion=across",
    f"{V2S}:fusion=final",
    f"{V2S}:fusion=none",
    f"{V2S}:down=maxpool",
    f"{V2S}:down=bilinear:align_corners=true",
    f"{V2S}:merge=concat",
    f"{V2S}:order=upsample-first",
    f"{V2S}:streams=1",
    f"{V2S}:streams=2:merge=concat:fusion=final:down=maxpool",
    f"{V2S}:streams=3:fusion=none",
    "hrnetv1_w18:width=4:fusion=final:order=upsample-first",
    "hrnetv1_w18:width=4:down=bilinear:merge=concat",
    "hrnetv1h_w18:width=4",
    "hrnetv1h_w32:width=4:streams=2",
    f"{V2S}:fusion=across:down=bilinear:merge=concat:streams=3",
    "unet:width=4:up=bilinear",
    "unet:width=4:skip=none",
    "unet:width=4:up=bilinear:skip=none",
    "deeplabv3p:trunk=resnet18:width=8:skip=false",
    "deeplabv3p:trunk=resnet18:width=8:up=transposed",
    "deeplabv3p_os8:trunk=resnet18:width=8:up=transposed:skip=false",
    "dilatednet:width=4:up=transposed",
]


def _build(name: str) -> nn.Module:
    torch.manual_seed(0)
    return build_model(name, CLASSES)


def _images(*shape: int) -> Tensor:
    return torch.randn(shape[0], 3, *shape[1:], generator=torch.Generator().manual_seed(0))


def _settle(network: nn.Module, images: Tensor) -> None:
    """Take these images' statistics for those of the data: initial ones all but mute a network."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        network.train()(images)
    network.eval()


def _fingerprint(values: Tensor) -> Two:
    """Two sums; the second depends on the order."""
    values = values.detach().double().flatten()
    wave = torch.arange(len(values)).double().cos()
    return float(values.abs().sum()), float(values @ wave)


# --- Defaults.


@pytest.mark.parametrize("name", RECORDED)
def test_without_options_a_network_is_what_it_was(name: str) -> None:
    shapes, *sums = RECORDED[name]
    network = _build(name)
    found = [(key, tuple(value.shape)) for key, value in network.state_dict().items()]
    assert hashlib.sha256(repr(found).encode()).hexdigest()[:12] == shapes
    weights = _fingerprint(torch.cat([p.flatten() for p in network.parameters()]))
    network, images = network.double(), _images(2, 40, 50).double()
    torch.manual_seed(0)  # dropout
    with torch.no_grad():
        trained = _fingerprint(network.train()(images))
        tested = _fingerprint(network.eval()(images))
    # Other processors round fp32 weights otherwise as they draw them, and so all that follows.
    for got, want, within in zip((weights, trained, tested), sums, (1e-6, 1e-4, 1e-4), strict=True):
        assert got == pytest.approx(want, abs=within * want[0])


@pytest.mark.parametrize(
    ("name", "spelt"),
    [
        (V2, "fusion=all:down=strided:merge=sum:order=conv-first:streams=4"),
        ("unet:width=4", "up=transposed:skip=concat"),
        ("deeplabv3p:trunk=resnet18:width=8", "skip=true:up=bilinear"),
        ("dilatednet:width=4", "up=bilinear"),
    ],
)
def test_defaults_spelt_out_are_the_default(name: str, spelt: str) -> None:
    plain, full = _build(name), _build(f"{name}:{spelt}")
    ours, theirs = plain.state_dict(), full.state_dict()
    assert list(ours) == list(theirs)
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    logits = []
    for network in (plain, full):
        torch.manual_seed(0)
        logits.append(network(_images(2, 33, 40)))
    assert torch.equal(*logits)


def test_a_module_computes_to_the_bit_what_it_did() -> None:
    """As it was before it had options: operation by operation, in the same order."""
    torch.manual_seed(0)
    module = HighResolutionModule([4, 8, 16], 2, False)
    streams = [torch.randn(2, 4 * 2**i, 12 // 2**i, 20 // 2**i) for i in range(3)]
    got = module([x.clone() for x in streams])
    twin = HighResolutionModule([4, 8, 16], 2, False)
    twin.load_state_dict(
        {k: v for k, v in module.state_dict().items() if "running" not in k and "num_" not in k},
        strict=False,
    )
    streams = [branch(x) for branch, x in zip(twin.branches, streams, strict=True)]
    for i, layers in enumerate(twin.fuse_layers):
        assert isinstance(layers, nn.ModuleList)
        total: Tensor | int = 0
        for j, (layer, x) in enumerate(zip(layers, streams, strict=True)):
            y = layer(x)
            if j > i:
                y = F.interpolate(y, streams[i].shape[-2:], mode="bilinear", align_corners=False)
            total = total + y
        assert isinstance(total, Tensor)
        assert torch.equal(got[i], F.relu(total))


# --- Every option.


def test_an_option_has_a_case_here() -> None:
    said = {part.split("=")[0] for name in OPTIONS for part in name.split(":")[1:]}
    assert said >= set(Ablation.__annotations__) == set(AS_PUBLISHED._fields)
    for name in ("hrnet", "hrnetv1_w18", "hrnetv2_w18_small_v1"):
        assert set(model_options(name)) == {"width", "align_corners", *Ablation.__annotations__}


@pytest.mark.parametrize("name", OPTIONS)
def test_any_size_and_every_parameter_learns(name: str) -> None:
    network = _build(name)
    closed = [m.weight for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    for weight in closed:
        if not weight.any():  # of residual units that start as an identity
            nn.init.ones_(weight)
    target = torch.arange(2 * 40 * 50).reshape(2, 40, 50) // 5 % CLASSES
    loss = F.cross_entropy(network(_images(2, 40, 50)), target)
    names, parameters = zip(*network.named_parameters(), strict=True)
    for key, gradient in zip(names, torch.autograd.grad(loss, parameters), strict=True):
        assert gradient.isfinite().all() and gradient.any(), key
    if not hasattr(network, "min_train_batch"):
        assert network(_images(1, 33, 33)).isfinite().all()
    with torch.no_grad():
        for size in ((33, 33), (64, 47)):
            logits = network.eval()(_images(1, *size))
            assert logits.shape == (1, CLASSES, *size)
            assert logits.isfinite().all()


@pytest.mark.parametrize(
    "family",
    [
        *(f"{SMALL}:{option}" for option in ("fusion=final", "down=maxpool", "merge=concat")),
        *(f"{SMALL}:{option}" for option in ("order=upsample-first", "streams=1")),
        *("hrnetv1h_w18", "unet:up=bilinear", "unet:skip=none", "dilatednet:up=transposed"),
        *(f"deeplabv3p:trunk=resnet18:{option}" for option in ("skip=false", "up=transposed")),
    ],
)
def test_a_width_is_found_for_a_budget(family: str) -> None:
    row = match_network(family, replace(BUDGET, value=0.2))
    assert row.model == f"{family}:width={row.width}"
    assert abs(row.off_percent) < 10


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("hrnet:fusion=some", "fusion is all, across, final or none, got 'some': choose one"),
        ("hrnet:down=conv", "down is strided, maxpool or bilinear, got 'conv'"),
        ("hrnet:merge=product", "merge is sum or concat, got 'product'"),
        ("hrnet:order=first", "order is conv-first or upsample-first, got 'first'"),
        ("hrnet:streams=5", "streams is 1 to 4, got 5: 4 are the paper's"),
        ("hrnet:streams=0", "streams is 1 to 4, got 0"),
        ("hrnet:streams=1:down=maxpool:merge=concat", "down=maxpool and merge=concat would change"),
        ("hrnet:streams=1:fusion=none", "streams=1 leaves nothing to exchange, so that fusion=no"),
        ("hrnet:fusion=none:order=upsample-first", "fusion=none leaves nothing to exchange"),
        ("hrnetv1_w18:fusion=none", "fusion=none keeps the lower streams from the only one that"),
        ("hrnetv1_w18:fusion=final:down=bilinear", "only goes up, so that down=bilinear would"),
        ("hrnetv2_w18_small_v1:fusion=across", "stages of one module have no fusion within them"),
        ("hrnetv1h_w18:streams=1", "streams=1 leaves V1h's map as wide as V2's: take a network"),
        ("unet:up=nearest", "up is transposed or bilinear, got 'nearest': choose one of them"),
        ("unet:skip=sum", "skip is concat or none, got 'sum': choose one of them"),
        ("deeplabv3p:up=nearest", "up is bilinear or transposed, got 'nearest': choose one"),
        ("deeplabv3p:skip=none", "deeplabv3p:skip takes a value of type bool, got 'none'"),
        ("dilatednet:up=nearest", "up is bilinear or transposed, got 'nearest': choose one"),
    ],
)
def test_what_is_none_or_contradicts_is_refused(name: str, says: str) -> None:
    with torch.device("meta"), pytest.raises(ValueError, match=says) as caught:
        build_model(name, CLASSES)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "option"),
    [
        *(("hrnet", "fusion"), ("hrnet", "down"), ("hrnetv1_w18", "merge"), ("hrnet", "order")),
        *(("unet", "up"), ("unet", "skip"), ("deeplabv3p", "up"), ("dilatednet", "up")),
    ],
)
def test_values_that_come_from_code_are_checked_too(name: str, option: str) -> None:
    """A command's are before anything is built."""
    says = f"{option} is .* or .*, got 'other': choose one of them"
    with torch.device("meta"), pytest.raises(ValueError, match=says):
        build_model(name, CLASSES, **{option: "other"})


# --- HRNet.


def _stage_input(stage: int) -> list[Tensor]:
    shapes = [(1, 4 * 2**i, 16 // 2**i, 16 // 2**i) for i in range(stage)]
    return [torch.randn(shape, requires_grad=True) for shape in shapes]


def _hears(part: nn.Module, streams: list[Tensor]) -> bool:
    """Whether the highest stream that is put out depends on the lower ones that come in."""
    _, *low = streams
    gradients = torch.autograd.grad(part(streams)[0].sum(), low, allow_unused=True)
    flows = {bool(g is not None and g.any()) for g in gradients}
    assert len(flows) == 1
    return flows.pop()


@pytest.mark.parametrize(
    ("fusion", "fusions", "stage3", "module"),
    [
        ("all", 8, True, True),
        ("across", 3, True, False),
        ("final", 1, False, False),
        ("none", 0, False, False),
    ],
)
def test_streams_hear_each_other_where_they_are_fused(
    fusion: str, fusions: int, stage3: bool, module: bool
) -> None:
    """Of the paper's eight fusions (Table 12); the last but `none` has."""
    network = _build(f"{V2}:fusion={fusion}")
    modules = [m for m in network.modules() if isinstance(m, HighResolutionModule)]
    assert sum(len(m.fuse_layers) > 0 for m in modules) == fusions
    third = network.get_submodule("stage3")
    assert _hears(third, _stage_input(3)) == stage3
    assert isinstance(third, nn.Sequential)
    assert _hears(third[0], _stage_input(3)) == module
    assert _hears(network.get_submodule("stage4"), _stage_input(4)) == (fusion != "none")


@pytest.mark.parametrize("streams", [1, 2, 3, 4])
def test_there_are_as_many_streams(streams: int) -> None:
    network = _build(f"{V2}:streams={streams}")
    assert isinstance(network, SegmentationHRNet)
    with torch.no_grad():
        maps = network.streams(_images(1, 64, 64))
    every = [(4, 16), (8, 8), (16, 4), (32, 2)]
    assert [x.shape[1:3] for x in maps] == every[:streams]
    whole, state = _build(V2).state_dict(), network.state_dict()
    trunk = [key for key in state if not key.startswith("last_layer")]
    assert all(state[key].shape == whole[key].shape for key in trunk)
    assert (len(trunk) < len(whole) - 9) == (streams < 4)


def test_upsampling_first_is_the_same_function_and_costs_more() -> None:
    """Section 3.2 of the paper against its code: 721.0 against 696.2 GFLOPs, by its unit."""
    code, paper = _build(V2S), _build(f"{V2S}:order=upsample-first")
    paper.load_state_dict(code.state_dict())
    images = _images(2, 65, 97)
    trained = [network.train()(images) for network in (code, paper)]
    assert (trained[0] - trained[1]).abs().max() > 0.05 * trained[0].abs().max()
    _settle(code, images)
    paper.load_state_dict(code.state_dict())
    with torch.no_grad():
        got, want = paper.eval()(images), code(images)
    torch.testing.assert_close(got, want, rtol=0, atol=1e-5 * float(want.abs().max()))
    costs = [paper_count(f"hrnet:order={order}") for order in ("conv-first", "upsample-first")]
    assert [round(cost.paper_gflops, 1) for cost in costs] == [696.2, 721.0]
    assert costs[0].params == costs[1].params


def _module(**options: str) -> HighResolutionModule:
    """Of three streams, in fp64, with statistics and affine parts of ordinary size."""
    torch.manual_seed(0)
    module = HighResolutionModule([2, 4, 8], 1, False, exchange=Exchange(**options))  # type: ignore[arg-type]
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            for values in (part.running_mean, part.running_var, part.weight, part.bias):
                assert values is not None
                nn.init.uniform_(values, 0.5, 1.5)
    return module.double().eval()


def _parts(module: nn.Module) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    assert isinstance(module, nn.Sequential)
    conv, norm = module[-2], module[-1]
    assert isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
    return conv, norm


def _conv_bn(module: nn.Module, x: Tensor) -> Tensor:
    """A 1x1 convolution and batch norm as sums."""
    conv, norm = _parts(module)
    y = torch.einsum("oi,nihw->nohw", conv.weight[:, :, 0, 0], x)
    assert norm.running_var is not None
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    assert norm.running_mean is not None
    moved = y - norm.running_mean[:, None, None]
    return moved * scale[:, None, None] + norm.bias[:, None, None]


def _pooled(x: Tensor) -> Tensor:
    """The maximum of 3x3 around every second value."""
    height, width = x.shape[-2:]
    rows = []
    for i in range(0, height, 2):
        windows = [
            x[..., max(0, i - 1) : i + 2, max(0, j - 1) : j + 2].amax((2, 3))
            for j in range(0, width, 2)
        ]
        rows.append(torch.stack(windows, dim=-1))
    return torch.stack(rows, dim=-2)


def _averaged(x: Tensor) -> Tensor:
    return sum(x[..., i::2, j::2] for i in (0, 1) for j in (0, 1)) / 4  # type: ignore[return-value]


@pytest.mark.parametrize("down", ["maxpool", "bilinear"])
def test_streams_go_down_by_pooling_or_interpolation(down: str) -> None:
    halve = {"maxpool": _pooled, "bilinear": _averaged}[down]
    module = _module(down=down)
    assert all(
        m.stride == (1, 1) and m.kernel_size == (1, 1)
        for m in module.fuse_layers.modules()
        if isinstance(m, nn.Conv2d)
    )
    high, middle, low = (torch.randn(2, 2 * 2**i, 8 // 2**i, 12 // 2**i).double() for i in range(3))
    module.branches = nn.ModuleList(nn.Identity() for _ in range(3))
    lowest = module.fuse_layers[2]
    assert isinstance(lowest, nn.ModuleList)
    want = _conv_bn(lowest[0], halve(halve(high))) + _conv_bn(lowest[1], halve(middle)) + low
    with torch.no_grad():
        got = module([high, middle, low])[2]
    torch.testing.assert_close(got, want.clamp(min=0), rtol=1e-10, atol=1e-10)


def test_concatenated_streams_can_be_their_sum() -> None:
    """With identities side by side for the 1x1 that follows, and by the sums that it stands for."""
    torch.manual_seed(1)
    summed, joined = _module(), _module(merge="concat")
    joined.load_state_dict(summed.state_dict(), strict=False)
    streams = [torch.randn(2, 2 * 2**i, 8 // 2**i, 12 // 2**i).double() for i in range(3)]
    seen: list[Tensor] = []
    with torch.no_grad():
        for layer in joined.merge_layers:
            assert isinstance(layer, nn.Sequential)
            layer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        got = joined([x.clone() for x in streams])
        for layer, x, y in zip(joined.merge_layers, seen, got, strict=True):
            assert x.shape[1] == 3 * y.shape[1]
            torch.testing.assert_close(_conv_bn(layer, x).clamp(min=0), y, rtol=1e-10, atol=1e-10)
        for layer in joined.merge_layers:
            conv, norm = _parts(layer)
            conv.weight.copy_(torch.eye(len(conv.weight)).repeat(1, 3)[..., None, None])
            norm.reset_running_stats()
            norm.reset_parameters()
            norm.eps = 0.0
        want, got = (m([x.clone() for x in streams]) for m in (summed, joined))
    for a, b in zip(got, want, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


def test_v1h_is_v1_whose_map_is_as_wide_as_that_of_v2() -> None:
    shapes = [
        {key: value.shape for key, value in _build(f"hrnet{v}_w18:width=4").state_dict().items()}
        for v in ("v1", "v1h", "v2")
    ]
    trunk, widened, head = (
        {k: s for k, s in these.items() if k.split(".")[0] in names}
        for these, names in zip(
            (shapes[0], shapes[1], shapes[2]),
            ([k.split(".")[0] for k in shapes[0] if "last" not in k], ["widen"], ["last_layer"]),
            strict=True,
        )
    )
    assert shapes[1] == trunk | widened | head
    assert widened["widen.0.weight"] == (60, 4, 1, 1)
    network = _build("hrnetv1h_w18:width=4")
    assert isinstance(network, SegmentationHRNet)
    images = _images(2, 45, 50)
    _settle(network, images)
    seen: list[torch.Size] = []
    network.widen.register_forward_hook(lambda _, inputs, out: seen.append(inputs[0].shape))
    with torch.no_grad():
        got = network(images)
        want = network.resize(network.last_layer(network.forward_features(images)), (45, 50))  # type: ignore[arg-type]
    assert seen[0] == (2, 4, 12, 13)  # the highest stream alone, as V1's head sees it
    torch.testing.assert_close(got, want, rtol=0, atol=1e-5 * float(want.abs().max()))


def test_imagenet_weights_are_for_the_network_as_published() -> None:
    """The order of a 1x1 and an interpolation is none of theirs."""
    with torch.device("meta"):
        marks = {
            option: build_model(f"{SMALL}{option}", 2).imagenet
            for option in ("", ":order=upsample-first", ":fusion=final", ":streams=3", ":width=17")
        }
        assert build_model("hrnetv1h_w18", 2).imagenet == "hrnet_w18"
    name = "hrnet_w18_small_v2"
    assert list(marks.values()) == [name, name, None, None, None]


# --- The others.


@contextmanager
def _maps(part: nn.Module) -> Iterator[list[Tensor]]:
    """The outputs of a module, with gradients of their own."""
    seen: list[Tensor] = []

    def keep(module: nn.Module, inputs: object, output: Tensor) -> None:
        output.retain_grad()
        seen.append(output)

    handle = part.register_forward_hook(keep)
    yield seen
    handle.remove()


@pytest.mark.parametrize("skip", ["concat", "none"])
def test_a_decoder_without_skips_knows_the_encoders_maps_by_their_maxima(skip: str) -> None:
    """Pooling lets one value of 2x2 through; all others reach the logits by the skip alone."""
    network = _build(f"unet:width=4:skip={skip}")
    with _maps(network.get_submodule("encoder.0")) as seen:
        network(_images(1, 32, 48)).square().sum().backward()
    assert seen[0].grad is not None
    used = seen[0].grad.unfold(2, 2, 2).unfold(3, 2, 2).flatten(4) != 0
    assert (used.sum(-1) > 1).any() == (skip == "concat")
    assert used.any()


def test_u_net_goes_up_by_interpolation_or_learns_to() -> None:
    bilinear, learned = _build("unet:width=4:up=bilinear"), _build("unet:width=4")
    for network, kinds in ((bilinear, 0), (learned, 4)):
        assert sum(isinstance(m, nn.ConvTranspose2d) for m in network.modules()) == kinds
    up, x = bilinear.get_submodule("up.1"), torch.randn(1, 32, 5, 7)
    assert isinstance(up, nn.Sequential) and isinstance(up[0], nn.Conv2d)
    large = F.interpolate(x, (10, 14), mode="bilinear")
    want = torch.einsum("oi,nihw->nohw", up[0].weight[:, :, 0, 0], large)
    assert up[0].bias is not None
    with torch.no_grad():
        torch.testing.assert_close(up(x), want + up[0].bias[:, None, None], rtol=0, atol=1e-5)


class _OtherLow(nn.Module):
    """A trunk whose 1/4 map alone is replaced by noise."""

    def __init__(self, trunk: nn.Module, place: int) -> None:
        super().__init__()
        self.trunk, self.place = trunk, place

    def forward(self, image: Tensor) -> list[Tensor]:
        maps: list[Tensor] = list(self.trunk(image))
        maps[self.place] = torch.randn_like(maps[self.place])
        return maps


@pytest.mark.parametrize("skip", ["true", "false"])
def test_deeplab_without_a_skip_does_not_see_the_quarter_map(skip: str) -> None:
    network = _build(f"deeplabv3p:trunk=resnet18:width=8:skip={skip}")
    images = _images(2, 48, 64)
    _settle(network, images)
    with torch.no_grad():
        before = network(images)
        assert isinstance(network.low, int)
        network.trunk = _OtherLow(network.get_submodule("trunk"), network.low).eval()
        assert torch.equal(network(images), before) == (skip == "false")


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_learned_upsampling_starts_as_interpolation(factor: int) -> None:
    layer, x = transposed(3, factor), torch.randn(2, 3, 6, 9)
    want = F.interpolate(x, scale_factor=factor, mode="bilinear")
    with torch.no_grad():
        got = layer(x)
    inner = (..., slice(factor // 2, -(factor // 2)), slice(factor // 2, -(factor // 2)))
    torch.testing.assert_close(got[inner], want[inner], rtol=0, atol=1e-6)
    assert got.shape == want.shape
    assert not torch.allclose(got[..., 0, :], want[..., 0, :], atol=1e-3)  # zeros beyond the map
    with torch.no_grad():
        layer.weight[1] *= 2
        assert torch.equal(layer(x)[:, 1], 2 * got[:, 1])  # a filter a channel, and it is learnt
        assert torch.equal(layer(x)[:, 0], got[:, 0])


@pytest.mark.parametrize(
    ("name", "border"), [("dilatednet:width=4", 4), ("deeplabv3p:trunk=resnet18:width=8", 32)]
)
def test_a_network_that_learns_to_upsample_starts_as_the_other(name: str, border: int) -> None:
    """But for borders, here of an image whose maps are whole; of others the right and lower ones
    are cut."""
    plain, learned = _build(name), _build(f"{name}:up=transposed")
    images = _images(2, 96, 128)
    _settle(plain, images)
    left = learned.load_state_dict(plain.state_dict(), strict=False)
    assert all(key.startswith("up") for key in left.missing_keys) and left.missing_keys
    assert not left.unexpected_keys
    with torch.no_grad():
        want, got = plain(images), learned.eval()(images)
    inner = (..., slice(border, -border), slice(border, -border))
    torch.testing.assert_close(got[inner], want[inner], rtol=0, atol=1e-5 * float(want.abs().max()))
    assert not torch.allclose(got, want, atol=1e-3 * float(want.abs().max()))
