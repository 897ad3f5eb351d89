"""Layers of networks whose structure is known."""

import contextlib
import sys
from collections import defaultdict

import pytest

from experiments.costs import layer_trace
from experiments.costs.flops import count
from experiments.costs.layer_trace import Trace, trace_ancestors, trace_model


def strides(trace: Trace) -> list[int]:
    return [round(trace.stride(layer)) for layer in trace.layers]


def test_trace_unet() -> None:
    """Two convolutions a level; up, two convolutions; the classifier: Fig. 1 of its paper."""
    trace = trace_model("unet:width=8", (64, 96))
    down = [s for level in (1, 2, 4, 8, 16) for s in (level, level)]
    up = [s for level in (8, 4, 2, 1) for s in (level,) * 3]
    assert strides(trace) == [*down, *up, 1]
    assert [layer.channels for layer in trace.layers[:10:2]] == [8, 16, 32, 64, 128]
    assert [layer.depth for layer in trace.layers] == list(range(1, 24))
    assert trace.layers[20].sources == {1, 19}  # the skip of full resolution, and the climb
    assert trace.layers[0].macs == 64 * 96 * 8 * 3 * 9
    assert trace.layers[19].macs == 32 * 48 * 16 * 8 * 4  # transposed, 2x2


def test_trace_hrnet() -> None:
    trace = trace_model("hrnetv2_w18_small_v1", (64, 64))
    seen = strides(trace)
    assert set(seen) == {2, 4, 8, 16, 32} and seen[:2] == [2, 4] and seen[-2:] == [4, 4]
    at_once: dict[int, set[int]] = defaultdict(set)
    for layer, stride in zip(trace.layers, seen, strict=True):
        at_once[layer.depth].add(stride)
    # Stage 4 has four convolutions a stream; the streams enter it up to two layers apart.
    assert list(at_once.values()).count({4, 8, 16, 32}) >= 3
    head = trace.layers[-2]
    assert head.channels == 15 * 16
    assert {seen[i] for i in head.sources} >= {4, 8, 16, 32}


@pytest.mark.parametrize("model", ["hrnetv2_w18_small_v1", "deeplabv3p:trunk=mobilenetv2_100"])
def test_trace_counts_what_cost_counts(model: str) -> None:
    macs = sum(layer.macs for layer in trace_model(model, (96, 64)).layers)
    assert macs == round(count(model, 19, (96, 64)).gmacs * 1e9)


@pytest.mark.parametrize(
    "model",
    [
        "hrnetv2_w18_small_v1",
        "unetpp:trunk=resnet18:width=8",
        "pspnet:trunk=resnet18d:width=8",
        "deconvnet:width=4",
    ],
)
def test_shapes_that_are_told_are_those_that_torch_finds(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Layers, and which feeds which, at a size that no stride divides."""
    told = trace_model(model, (65, 97))
    monkeypatch.setattr(layer_trace, "_SHAPED", {})
    monkeypatch.setattr(layer_trace, "_ShapesAlone", contextlib.nullcontext)
    assert trace_model(model, (65, 97)) == told


def test_counting_leaves_no_library_hidden() -> None:
    count("unet:width=2", 5, (64, 64))
    import wandb

    assert sys.modules["wandb"] is wandb


def test_ancestors() -> None:
    """Multiply-adds that torchvision states for its weights; LeNet-5's added up by hand."""
    traces = trace_ancestors()
    macs = [sum(layer.macs for layer in trace.layers) for trace in traces.values()]
    assert macs == pytest.approx([0.4165e6, 0.714e9, 15.47e9, 4.09e9], rel=2e-3)
    assert [len(trace.layers) for trace in traces.values()] == [5, 8, 16, 54]
    for trace in traces.values():
        assert strides(trace) == sorted(strides(trace))
        assert trace.layers[-1].cells == 1
