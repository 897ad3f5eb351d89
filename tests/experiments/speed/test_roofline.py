"""The least time of a network against hand counts, and speeds that are plausible."""

import pytest
import torch
from torch import nn

from experiments.costs import flops
from experiments.speed import roofline
from experiments.speed.block_timing import FEWEST_BLOCKS, seconds_a_step
from experiments.speed.roofline import layer_work, least_seconds, measure_roofline, operations, tf32
from experiments.speed.throughput import Roofline
from tests.devices import DEVICES

CPU = torch.device("cpu")


class Ticks:
    """A clock that goes on by a second at each look."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


def test_blocks_follow_until_the_time_is_over() -> None:
    done: list[int] = []
    found = seconds_a_step(
        lambda: done.append(1), CPU, seconds=10, warm_up=2, block=4, clock=Ticks()
    )
    # A block has a look before and after it, and one asks whether there is time for another: looks
    # 2, 5 and 8 follow the three least blocks, so that the fourth starts at 9 and none at 12.
    assert (found, len(done)) == (1 / 4, 2 + 4 * 4)
    done.clear()
    seconds_a_step(lambda: done.append(1), CPU, seconds=0, warm_up=0, block=4, clock=Ticks())
    assert len(done) == 4 * FEWEST_BLOCKS


def test_layers_are_those_that_are_counted() -> None:
    """Of a network with transposed convolutions, by another counter."""
    layers = layer_work("unet:width=4", 7, (64, 96))
    counted = flops.count("unet:width=4", 7, (64, 96)).gmacs * 1e9
    assert sum(layer.macs for layer in layers) == pytest.approx(counted, rel=1e-12)
    first = layers[0]  # 3x3 from 3 to 4 channels, without bias
    assert first.macs == 64 * 96 * 4 * 27
    assert (first.activations, first.weights) == (64 * 96 * (3 + 4), 4 * 27)


def test_products_of_matrices_count(monkeypatch: pytest.MonkeyPatch) -> None:
    flat = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 5))
    monkeypatch.setattr(roofline, "build_model", lambda *_: flat.to("meta"))
    (layer,) = layer_work.__wrapped__("", 5, (33, 33))  # what a cache keeps would stay
    assert (layer.macs, layer.activations, layer.weights) == (15, 3 + 5, 15)


def test_the_least_time_is_the_longer_of_both() -> None:
    layers = layer_work("unet:width=4", 7, (64, 96))
    macs = sum(layer.macs for layer in layers)
    values = sum(2 * layer.activations + layer.weights for layer in layers)
    slow_products = Roofline(1e-6, 1, 1, copy_gb_s=1e9)
    slow_copies = Roofline(1e9, 1, 1, copy_gb_s=1e-3)
    assert least_seconds(layers, 2, False, slow_products) == pytest.approx(4 * macs / 1e6)
    assert least_seconds(layers, 2, True, slow_copies) == pytest.approx(3 * 2 * values / 1e6)
    both = Roofline(1e-6, 1, 1, copy_gb_s=1e-3)
    assert least_seconds(layers, 2, False, both) < 4 * macs / 1e6 + 2 * values / 1e6
    assert operations(layers, 2, True) == 12 * macs


@pytest.mark.parametrize("device", DEVICES)
def test_speeds_are_plausible(device: str) -> None:
    """Of any processor or card of the last and the next ten years."""
    found = measure_roofline(torch.device(device), seconds=0.02)
    low, high = (1e-4, 10) if device == "cpu" else (0.5, 1e5)
    assert low < found.bf16_tflops < high and 0 < found.fp32_tflops < high
    assert 0.05 < found.copy_gb_s < 1e5


def test_tf32_is_as_before_in_the_end() -> None:
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    for allowed in (True, False):
        with tf32(allowed):
            assert matmul.allow_tf32 == cudnn.allow_tf32 == allowed
    assert (matmul.allow_tf32, cudnn.allow_tf32) == before
