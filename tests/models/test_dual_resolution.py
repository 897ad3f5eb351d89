"""DDRNet and PIDNet against their official codes' flow, written out by the official names."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models import build_model
from models.dual_resolution import DAPPM
from models.pidnet import PAPPM, Bag, LightBag, Pag
from models.weights import Report

CLASSES = 5
IMAGE = (2, 3, 128, 192)  # a multiple of 64, as the official codes need
EPS = 1e-5


class Official:
    """The layers of both codes in evaluation, each by the names of its tensors in a state dict."""

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        self.state = state
        self.used: set[str] = set()

    def has(self, name: str) -> bool:
        return f"{name}.weight" in self.state

    def get(self, name: str) -> Tensor:
        self.used.add(name)
        return self.state[name]

    def conv(self, name: str, x: Tensor, stride: int = 1, groups: int = 1) -> Tensor:
        weight = self.get(f"{name}.weight")
        bias = self.get(f"{name}.bias") if f"{name}.bias" in self.state else None
        return F.conv2d(x, weight, bias, stride, weight.shape[-1] // 2, groups=groups)

    def bn(self, name: str, x: Tensor) -> Tensor:
        mean, var, weight, bias = (
            self.get(f"{name}.{part}")[:, None, None]
            for part in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / (var + EPS).sqrt() * weight + bias

    def conv_bn(self, name: str, x: Tensor, stride: int = 1, first: int = 0) -> Tensor:
        return self.bn(f"{name}.{first + 1}", self.conv(f"{name}.{first}", x, stride))

    def bn_relu_conv(self, name: str, x: Tensor, first: int = 0, groups: int = 1) -> Tensor:
        x = self.bn(f"{name}.{first}", x).relu()
        return self.conv(f"{name}.{first + 2}", x, groups=groups)

    def block(self, name: str, x: Tensor, stride: int = 1, relu: bool = True) -> Tensor:
        convs = 3 if self.has(f"{name}.conv3") else 2
        y = x
        for i in range(1, convs + 1):
            strided = i == (2 if convs == 3 else 1)
            y = self.conv(f"{name}.conv{i}", y, stride if strided else 1)
            y = self.bn(f"{name}.bn{i}", y)
            y = y.relu() if i < convs else y
        if self.has(f"{name}.downsample.0"):
            x = self.conv_bn(f"{name}.downsample", x, stride)
        return (x + y).relu() if relu and convs == 2 else x + y

    def layer(self, name: str, x: Tensor, stride: int = 1) -> Tensor:
        last = max(i for i in range(9) if self.has(f"{name}.{i}.conv1"))
        for i in range(last + 1):
            x = self.block(f"{name}.{i}", x, 1 if i else stride, relu=i < last)
        return x

    def stem(self, x: Tensor) -> Tensor:
        return self.conv_bn("conv1", self.conv_bn("conv1", x, 2).relu(), 2, first=3).relu()

    def head(self, name: str, x: Tensor) -> Tensor:
        x = self.conv(f"{name}.conv1", self.bn(f"{name}.bn1", x).relu())
        return self.conv(f"{name}.conv2", self.bn(f"{name}.bn2", x).relu())

    def pyramid(self, x: Tensor) -> Tensor:
        scales = [self.bn_relu_conv("spp.scale0", x)]
        for i, (kernel, stride) in enumerate([(5, 2), (9, 4), (17, 8), (0, 0)], start=1):
            pooled = F.avg_pool2d(x, kernel, stride, kernel // 2) if kernel else x.mean((2, 3))
            pooled = pooled if kernel else pooled[..., None, None]
            scales.append(resize(self.bn_relu_conv(f"spp.scale{i}", pooled, first=1), x))
        if self.has("spp.scale_process.0"):
            sums = torch.cat([scale + scales[0] for scale in scales[1:]], dim=1)
            maps = [scales[0], self.bn_relu_conv("spp.scale_process", sums, groups=4)]
        else:
            maps = scales[:1]
            for i in range(1, 5):
                maps.append(self.bn_relu_conv(f"spp.process{i}", scales[i] + maps[-1]))
        together = self.bn_relu_conv("spp.compression", torch.cat(maps, dim=1))
        return together + self.bn_relu_conv("spp.shortcut", x)

    def pag(self, name: str, x: Tensor, y: Tensor) -> Tensor:
        key, query = self.conv_bn(f"{name}.f_x", x), resize(self.conv_bn(f"{name}.f_y", y), x)
        sigma = torch.einsum("nchw,nchw->nhw", key, query).sigmoid()[:, None]
        return x + sigma * (resize(y, x) - x)


def resize(x: Tensor, like: Tensor, align_corners: bool = False) -> Tensor:
    return F.interpolate(x, like.shape[-2:], mode="bilinear", align_corners=align_corners)


def ddrnet(net: Official, image: Tensor) -> dict[str, Tensor]:
    x = net.layer("layer1", net.stem(image)).relu()
    low = high = net.layer("layer2", x, 2)
    early = high
    thirds = ("3",) if net.has("layer3.0.conv1") else ("3_1", "3_2")
    for step in (*thirds, "4"):
        early = high
        stride = 1 if step == "3_2" else 2
        before = net.layer(f"layer{step}", low.relu(), stride)
        own = net.layer(f"layer{step}_", high.relu())
        down = net.conv_bn(f"down{step}", own.relu(), 2)
        if step == "4":
            down = net.conv_bn("down4", down.relu(), 2, first=3)
        low, high = (
            before + down,
            own + resize(net.conv_bn(f"compression{step}", before.relu()), own),
        )
    high = net.layer("layer5_", high.relu())
    low = net.pyramid(net.layer("layer5", low.relu(), 2))
    out, aux = net.head("final_layer", high + resize(low, high)), net.head("seghead_extra", early)
    return {"out": resize(out, image), "aux": resize(aux, image)}


def pidnet(net: Official, image: Tensor) -> dict[str, Tensor]:
    x = net.layer("layer1", net.stem(image)).relu()
    x = net.layer("layer2", x, 2).relu()
    i = net.layer("layer3", x, 2).relu()
    p = net.pag("pag3", net.layer("layer3_", x), net.conv_bn("compression3", i))
    d = net.block("layer3_d", x, relu=False)
    d = (d + resize(net.conv_bn("diff3", i), d)).relu()
    aux = net.head("seghead_p", p.relu())
    i = net.layer("layer4", i, 2).relu()
    p = net.pag("pag4", net.layer("layer4_", p.relu()), net.conv_bn("compression4", i)).relu()
    single = net.has("layer4_d.conv1")
    d = net.block("layer4_d", d, relu=False) if single else net.layer("layer4_d", d)
    d = (d + resize(net.conv_bn("diff4", i), d)).relu()
    boundary = net.head("seghead_d", d)
    p, d = net.layer("layer5_", p), net.layer("layer5_d", d)
    i = resize(net.pyramid(net.layer("layer5", i, 2)), p)
    sigma = d.sigmoid()
    if net.has("dfm.conv_p.0"):
        fused = net.conv_bn("dfm.conv_p", (1 - sigma) * i + p)
        fused = fused + net.conv_bn("dfm.conv_i", i + sigma * p)
    else:
        fused = net.bn_relu_conv("dfm.conv", sigma * p + (1 - sigma) * i)
    heads = {"out": net.head("final_layer", fused), "aux": aux, "boundary": boundary}
    return {name: resize(x, image, align_corners=True) for name, x in heads.items()}


def shaken(name: str) -> nn.Module:
    """With its heads, and with statistics and affine parts as a training leaves them."""
    torch.manual_seed(0)
    network = build_model(name, CLASSES)
    network.add_training_heads()  # type: ignore[operator]
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            assert part.running_mean is not None and part.running_var is not None
            nn.init.uniform_(part.running_mean, -0.5, 0.5)
            nn.init.uniform_(part.running_var, 0.5, 1.5)
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.uniform_(part.bias, -0.5, 0.5)
    return network.double().eval()


NETWORKS: list[tuple[str, Callable[[Official, Tensor], dict[str, Tensor]]]] = [
    ("ddrnet23_slim:width=4", ddrnet),
    ("ddrnet39:width=4", ddrnet),
    ("pidnet_s:width=4", pidnet),
    ("pidnet_l:width=4", pidnet),
]


@pytest.mark.parametrize(("name", "official"), NETWORKS)
def test_all_heads_are_what_the_official_flow_gives(
    name: str, official: Callable[[Official, Tensor], dict[str, Tensor]]
) -> None:
    network = shaken(name)
    image = torch.randn(IMAGE, generator=torch.Generator().manual_seed(1)).double()
    net = Official(network.state_dict())
    with torch.no_grad():
        theirs = official(net, image)
        ours = network.training_heads(image)  # type: ignore[operator]
    assert ours.keys() == theirs.keys()
    for key, value in theirs.items():
        torch.testing.assert_close(ours[key], value, rtol=1e-9, atol=1e-9)
        assert value.std() > 1e-3, key
    counters = {key for key in network.state_dict() if key.endswith("num_batches_tracked")}
    assert net.used | counters == set(network.state_dict())  # no tensor of another name


@pytest.mark.parametrize(("name", "official"), NETWORKS[1:3])
def test_an_official_checkpoint_fits(
    name: str, official: Callable[..., dict[str, Tensor]], tmp_path: Path
) -> None:
    """As the official trainings save them: a network with its heads inside a model with losses."""
    network, path = shaken(name), tmp_path / "best.pt"
    state = {f"model.{key}": tensor for key, tensor in network.state_dict().items()}
    torch.save(state | {"sem_loss.criterion.weight": torch.ones(CLASSES)}, path)
    read = build_model(name, CLASSES, weights=path).double().eval()
    image = torch.randn(1, 3, 70, 90, generator=torch.Generator().manual_seed(1)).double()
    report = read.load_report
    assert isinstance(report, Report) and report.complete
    assert "of heads that only training uses left out" in report.note
    with torch.no_grad():
        torch.testing.assert_close(read(image), network(image))


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("ddrnet23_slim", 5_734_342),
        ("ddrnet39", 32_660_838),
        ("pidnet_s", 7_720_935),
        ("pidnet_l", 37_314_311),
    ],
)
def test_parameters_with_training_heads(name: str, params: int) -> None:
    """As official checkpoints hold them; without, and the operations, in test_models."""
    with torch.device("meta"):
        network = build_model(name, 19)
        network.add_training_heads()  # type: ignore[operator]
    assert sum(p.numel() for p in network.parameters()) == params


# --- Fusions, by hand.


def identity(module: nn.Module) -> None:
    """1x1 and 3x3 convolutions that pass each channel, batch norms that do nothing."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.dirac_(part.weight, part.groups)
        elif isinstance(part, nn.BatchNorm2d):
            part.eps = 0.0
    module.eval()


def maps(*values: float) -> Tensor:
    """(1, 2, 1, 2): the first two are the first channel's cells."""
    return torch.tensor([float(value) for value in values]).reshape(1, 2, 1, 2)


@torch.no_grad()
def test_pag_takes_the_other_where_both_agree() -> None:
    pag = Pag(2, 2)
    identity(pag)
    x, y = maps(1, 2, 3, 0), maps(2, 0, 1, 5)
    # Products: 1*2 + 3*1 = 5, and 2*0 + 0*5 = 0, of which the sigmoids are 0.993307 and 0.5.
    expected = maps(1 + 0.993307 * 1, 1, 3 - 0.993307 * 2, 2.5)
    torch.testing.assert_close(pag(x, y), expected, rtol=0, atol=1e-5)
    small = torch.tensor([2.0, 1.0]).reshape(1, 2, 1, 1)  # of another size: as if spread
    spread = maps(2, 2, 1, 1)
    torch.testing.assert_close(pag(x, small), pag(x, spread))


@torch.no_grad()
def test_bag_believes_p_at_edges_and_i_elsewhere() -> None:
    bag = Bag(2)
    identity(bag)
    p, i = maps(1, 2, 3, 4), maps(5, 6, 7, 8)
    edge = maps(100, -100, 100, -100)
    torch.testing.assert_close(bag(p, i, edge), maps(1, 6, 3, 8))
    torch.testing.assert_close(bag(p, i, maps(0, 0, 0, 0)), maps(3, 4, 5, 6))
    torch.testing.assert_close(bag(p - 10, i - 10, edge), maps(0, 0, 0, 0))  # rectified
    nn.init.ones_(bag.get_parameter("conv.2.weight"))  # a 3x3 sum over both channels
    torch.testing.assert_close(bag(p, i, edge), maps(18, 18, 18, 18))


@torch.no_grad()
def test_the_light_bag_adds_what_each_lacks() -> None:
    bag = LightBag(2)
    identity(bag)
    p, i = maps(1, 2, 3, 4), maps(5, 6, 7, 8)
    edge = maps(100, -100, 100, -100)
    # At an edge p + (i + p), elsewhere (i + p) + i.
    torch.testing.assert_close(bag(p, i, edge), maps(7, 14, 13, 20))
    nn.init.zeros_(bag.get_parameter("conv_i.0.weight"))
    torch.testing.assert_close(bag(p, i, edge), maps(1, 8, 3, 12))


@torch.no_grad()
@pytest.mark.parametrize("kind", [DAPPM, PAPPM])
def test_pooling_of_a_constant_map(kind: type[DAPPM] | type[PAPPM]) -> None:
    """Branches of one channel, 1x1s that pass it, 3x3s likewise: averages of ones over windows.

    Zeros around the map count, so that in the middle of a large one all averages are 1.
    """
    pool = kind(1, 1, 1)
    identity(pool)
    for part in (pool.compression, pool.shortcut):
        assert isinstance(part[2], nn.Conv2d)
        nn.init.ones_(part[2].weight)
    y = pool(torch.ones(1, 1, 65, 65))
    # DAPPM: maps of 1, 2, 3, 4, 5 and the shortcut's 1; PAPPM: 1, four times 2, and 1.
    expected = 16.0 if kind is DAPPM else 10.0
    assert y[0, 0, 32, 32] == pytest.approx(expected)
    assert y[0, 0, 0, 0] < expected


@torch.no_grad()
def test_ddrnet_fuses_both_ways_with_what_each_was_before() -> None:
    """One step with layers that do nothing, on constant maps: 1 + down(1), 2 + up(1)."""
    network = build_model("ddrnet23_slim:width=2", CLASSES).eval()
    identity(network)
    step = network._step
    assert callable(step)
    network.layer3 = network.layer3_ = nn.Identity()
    low, high = torch.ones(1, 8, 4, 4), torch.full((1, 4, 8, 8), 2.0)
    fused_low, fused_high = step("3", low, high)
    # A 1x1 and the middle of a 3x3 that pass channels: 8 to 4, and 4 to the first 4 of 8.
    assert torch.equal(fused_high, torch.full((1, 4, 8, 8), 3.0))
    assert torch.equal(fused_low[:, :4], torch.full((1, 4, 4, 4), 3.0))
    assert torch.equal(fused_low[:, 4:], torch.ones(1, 4, 4, 4))


@pytest.mark.parametrize("name", ["ddrnet23_slim:width=16", "pidnet_s:width=16"])
def test_convolutions_start_as_he_has_them_heads_included(name: str) -> None:
    torch.manual_seed(0)
    network = build_model(name, CLASSES)
    network.add_training_heads()  # type: ignore[operator]
    large = [m for m in network.modules() if isinstance(m, nn.Conv2d) and m.weight.numel() > 2000]
    assert any(conv is network.get_submodule("final_layer.conv1") for conv in large)
    heads = network.auxiliary
    assert isinstance(heads, tuple)
    assert all(network.get_submodule(f"{head}.conv1") in large for head in heads)
    for conv in large:
        fan_out = conv.out_channels * conv.kernel_size[0] * conv.kernel_size[1]
        std = conv.weight.detach().std()
        assert std == pytest.approx((2 / fan_out) ** 0.5, rel=0.1)
