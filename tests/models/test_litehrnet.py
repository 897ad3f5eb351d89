"""Lite-HRNet: its parts by hand, its fusion as the official code runs it, its names and sizes."""

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from models import build_model
from models.litehrnet import (
    CrossResolutionWeighting,
    IterativeHead,
    LiteHRModule,
    litehrnet18,
    litehrnet30,
    shuffle,
)
from models.weights import Report

CLASSES = 5


@pytest.mark.parametrize(
    ("build", "params", "macs", "published"),
    [(litehrnet18, 1_130_851, 1.9747, 1.98), (litehrnet30, 1_763_799, 3.0750, 3.08)],
)
def test_parameters_and_operations_at_512x1024(
    build: type[nn.Module], params: int, macs: float, published: float
) -> None:
    """In 2^30, beside what was counted from the official layer sizes, of two decimals."""
    with torch.device("meta"):
        network, image = build(19).eval(), torch.empty(1, 3, 512, 1024)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(image)
    counted = counter.get_total_flops() / 2 / 2**30
    assert sum(p.numel() for p in network.parameters()) == params
    assert counted == pytest.approx(macs, rel=1e-4)
    assert counted == pytest.approx(published, rel=4e-3)


def test_names_and_shapes_are_the_official_ones() -> None:
    """Of a part of each kind; stages count from 0 there."""
    with torch.device("meta"):
        state = build_model("litehrnet18", 19).state_dict()
    official = {
        "stem.conv1.conv.weight": (32, 3, 3, 3),
        "stem.branch1.0.conv.weight": (16, 1, 3, 3),
        "stem.branch1.1.bn.weight": (16,),
        "stem.expand_conv.conv.weight": (32, 16, 1, 1),
        "stem.depthwise_conv.conv.weight": (32, 1, 3, 3),
        "stem.linear_conv.bn.running_mean": (16,),
        "transition0.0.0.weight": (32, 1, 3, 3),
        "transition0.0.2.weight": (40, 32, 1, 1),
        "transition0.1.0.2.weight": (80, 32, 1, 1),
        "transition2.3.0.2.weight": (320, 160, 1, 1),
        "stage0.1.layers.1.cross_resolution_weighting.conv1.conv.weight": (7, 60, 1, 1),
        "stage2.1.layers.0.cross_resolution_weighting.conv2.bn.bias": (300,),
        "stage1.3.layers.0.depthwise_convs.2.conv.weight": (80, 1, 3, 3),
        "stage1.3.layers.0.depthwise_convs.2.bn.weight": (80,),
        "stage2.0.layers.1.spatial_weighting.0.conv1.conv.bias": (5,),
        "stage2.0.layers.1.spatial_weighting.3.conv2.conv.weight": (160, 40, 1, 1),
        "stage2.1.fuse_layers.0.3.0.weight": (40, 320, 1, 1),
        "stage2.1.fuse_layers.3.0.0.0.weight": (40, 1, 3, 3),
        "stage2.1.fuse_layers.3.0.1.2.weight": (40, 40, 1, 1),
        "stage2.1.fuse_layers.3.0.2.2.weight": (320, 40, 1, 1),
        "head_layer.projects.0.depthwise_conv.conv.weight": (320, 1, 3, 3),
        "head_layer.projects.0.pointwise_conv.conv.weight": (160, 320, 1, 1),
        "head_layer.projects.3.pointwise_conv.conv.weight": (40, 40, 1, 1),
    }
    found = {name: tuple(state[f"backbone.{name}"].shape) for name in official}
    assert found == official
    assert {name.split(".")[1] for name in state if name.startswith("backbone.")} == {
        name.split(".")[0] for name in official
    } | {"transition1"}


def test_an_official_checkpoint_fills_the_trunk(tmp_path: Path) -> None:
    network, path = build_model("litehrnet18:width=8", CLASSES), tmp_path / "litehrnet.pth"
    state = {n: t for n, t in network.state_dict().items() if n.startswith("backbone.")}
    state["keypoint_head.final_layer.weight"] = torch.zeros(17, 8, 1, 1)
    torch.save({"meta": {}, "state_dict": state}, path)
    with pytest.warns(UserWarning, match="2 missing, 0 of another shape, 1 unexpected"):
        read = build_model("litehrnet18:width=8", CLASSES, weights=path)
    report = read.load_report
    assert isinstance(report, Report)
    assert report.trunk[0] == report.trunk[1] == len(report.loaded)
    assert report.missing == ("classifier.weight", "classifier.bias")


def _in_place(module: LiteHRModule, streams: list[Tensor]) -> list[Tensor]:
    """The official fusion, with its additions in place on the first stream, path by path."""
    out, fused = [x.clone() for x in streams], []
    for i in range(len(out)):
        layers = module.fuse_layers[i]
        assert isinstance(layers, nn.ModuleList)

        def path(j: int, layers: nn.ModuleList = layers, i: int = i) -> Tensor:
            x = layers[j](out[j])
            return F.interpolate(x, scale_factor=2.0 ** (j - i), mode="nearest") if j > i else x

        total = path(0) if i else out[0]
        for j in range(len(out)):
            total += out[j] if i == j else path(j)
        fused.append(total.relu())
    return fused


@torch.no_grad()
def test_a_fusion_is_the_official_one_with_its_first_stream_twice() -> None:
    torch.manual_seed(0)
    module = LiteHRModule([4, 8, 16], blocks=0).double().eval()
    streams = [torch.randn(2, 4 * 2**i, 16 // 2**i, 24 // 2**i).double() for i in range(3)]
    expected = _in_place(module, streams)
    kept = [x.clone() for x in streams]
    found = module(streams)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs)
    assert all(torch.equal(*pair) for pair in zip(streams, kept, strict=True))
    plain = copy.deepcopy(module)  # nothing comes from below: the first row is its stream twice
    for layer in plain.fuse_layers[0][1:]:  # type: ignore[index]
        nn.init.zeros_(layer[0].weight)
    torch.testing.assert_close(plain(streams)[0], 2 * streams[0].relu())


@torch.no_grad()
def test_cross_resolution_weights_are_of_the_smallest_streams_cells() -> None:
    torch.manual_seed(0)
    weighting = CrossResolutionWeighting([4, 8]).double().eval()
    streams = [torch.rand(1, 4, 4, 6).double() + 1, torch.rand(1, 8, 2, 3).double() + 1]
    found = weighting(streams)
    pooled = streams[0].reshape(1, 4, 2, 2, 3, 2).mean(dim=(3, 5))
    weights = weighting.conv2(weighting.conv1(torch.cat([pooled, streams[1]], dim=1)))
    ratio = found[0] / streams[0]
    for y in range(4):
        for x in range(6):
            torch.testing.assert_close(ratio[0, :, y, x], weights[0, :4, y // 2, x // 2])
    torch.testing.assert_close(found[1] / streams[1], weights[:, 4:])


def test_shuffled_channels_alternate() -> None:
    x = torch.arange(6.0).reshape(1, 6, 1, 1).expand(2, 6, 3, 2)
    assert shuffle(x)[0, :, 1, 1].tolist() == [0, 3, 1, 4, 2, 5]


@torch.no_grad()
def test_the_head_adds_each_stream_to_what_came_from_below() -> None:
    head = IterativeHead([1, 1]).eval()
    for part in head.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.dirac_(part.weight)
        elif isinstance(part, nn.BatchNorm2d):
            part.eps = 0.0
    low = torch.tensor([0.0, 3.0]).reshape(1, 1, 1, 2)
    y = head([torch.ones(1, 1, 1, 4), low])
    assert y.flatten().tolist() == pytest.approx([1, 2, 3, 4])  # corners aligned: 0, 1, 2, 3


@pytest.mark.parametrize("width", [0, 7])
def test_a_width_that_does_not_split_is_refused(width: int) -> None:
    with pytest.raises(ValueError, match=f"even and at least 2, got {width}: give channels"):
        build_model(f"litehrnet18:width={width}", CLASSES)
