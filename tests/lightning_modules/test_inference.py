"""Predictions under any protocol, against plain inference and against slow loops in NumPy."""

from dataclasses import asdict
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from experiments.trials.protocols import Protocol
from lightning_modules.inference import predict, probabilities, starts, window_weights
from models import build_model

Float = npt.NDArray[np.float64]
K = 4


def _image(height: int, width: int, seed: int = 0) -> Tensor:
    return torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


def _network() -> nn.Module:
    """Sees 5x5 pixels, with zeros beyond the edge: windows differ from the whole near theirs."""
    torch.manual_seed(1)
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, K, 3, padding=1))


class Symmetric(nn.Module):
    """A network whose answer to a mirrored image is the mirrored answer, to the bit."""

    def forward(self, image: Tensor) -> Tensor:
        around = torch.roll(image, 1, -1) + torch.roll(image, -1, -1)
        return torch.cat([image, around[:, :1]], 1)


def _softmax(logits: Tensor) -> Float:
    values = logits[0].double().numpy()
    exponentials = np.exp(values - values.max(0))
    return np.asarray(exponentials / exponentials.sum(0))


@torch.inference_mode()
def _ask(network: nn.Module, image: Tensor, **changes: Any) -> Tensor:
    return probabilities(network, image, Protocol(**changes))


def _bell(height: int, width: int) -> Float:
    """nnU-Net's importance of pixels, one after the other."""
    weights = np.empty((height, width))
    for y in range(height):
        for x in range(width):
            dy = (y - (height - 1) / 2) / (height / 8)
            dx = (x - (width - 1) / 2) / (width / 8)
            weights[y, x] = np.exp(-(dy**2 + dx**2) / 2)
    return weights


def _slow_windows(
    network: nn.Module, image: Tensor, window: Any, stride: Any, flip: bool, gaussian: bool
) -> Float:
    """For each pixel the weighted mean over all windows that hold it."""
    height, width = image.shape[-2:]
    h, w = min(window[0], height), min(window[1], width)
    weight = _bell(h, w) if gaussian else np.ones((h, w))
    total, counts = np.zeros((K, height, width)), np.zeros((height, width))
    y = 0
    while True:
        top = min(y, height - h)
        x = 0
        while True:
            left = min(x, width - w)
            crop = image[..., top : top + h, left : left + w]
            with torch.inference_mode():
                found = _softmax(network(crop))
                if flip:
                    found = (found + _softmax(network(crop.flip(-1)))[..., ::-1]) / 2
            total[:, top : top + h, left : left + w] += weight * found
            counts[top : top + h, left : left + w] += weight
            if left == width - w:
                break
            x += stride[1]
        if top == height - h:
            break
        y += stride[0]
    assert (counts > 0).all()
    return total / counts


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_windows_equal_a_slow_loop(data: st.DataObject) -> None:
    size = tuple(data.draw(st.integers(33, 60)) for _ in range(2))
    window = tuple(data.draw(st.integers(33, 70)) for _ in range(2))
    stride = tuple(data.draw(st.integers(max(1, side // 4), side)) for side in window)
    how = {"flip": data.draw(st.booleans()), "gaussian": data.draw(st.booleans())}
    image, network = _image(*size), _network()
    ours = _ask(network, image, window=window, stride=stride, **how)[0].numpy()
    np.testing.assert_allclose(
        ours, _slow_windows(network, image, window, stride, **how), rtol=0, atol=2e-6
    )
    np.testing.assert_allclose(ours.sum(0), 1, rtol=0, atol=1e-5)


@given(st.integers(1, 300), st.integers(1, 300), st.data())
def test_windows_cover_every_pixel_and_stay_inside(
    length: int, window: int, data: st.DataObject
) -> None:
    stride = data.draw(st.integers(1, window))
    found = starts(length, window, stride)
    window = min(window, length)
    covered = {pixel for start in found for pixel in range(start, start + window)}
    assert covered == set(range(length))
    assert found == sorted(set(found))
    assert all(b - a <= stride for a, b in pairwise(found))
    # As many as ceil((length - window) / stride) + 1, and not one more.
    assert len(found) == -((window - length) // stride) + 1


def test_gaussian_weights() -> None:
    weights = window_weights((48, 65), True)
    np.testing.assert_allclose(weights.double().numpy(), _bell(48, 65), rtol=1e-4, atol=1e-12)
    torch.testing.assert_close(weights, weights.flip(0).flip(1))
    assert weights.min() > 0
    assert torch.equal(window_weights((3, 4), False), torch.ones(3, 4))


def test_nnunets_weights_have_this_shape() -> None:
    """It filters a single one (`compute_gaussian`); of odd sides its centre is ours."""
    from scipy.ndimage import gaussian_filter

    one = np.zeros((65, 97))
    one[32, 48] = 1
    theirs = gaussian_filter(one, (65 / 8, 97 / 8), mode="constant")  # cut off at 4 sigma
    ours = window_weights((65, 97), True).numpy()
    np.testing.assert_allclose(ours, theirs / theirs.max(), rtol=0, atol=1e-3)


@pytest.mark.parametrize("model", ["unet:width=4", "hrnetv2_w18_small_v1"])
@pytest.mark.parametrize("window", [None, (48, 64), (64, 64)])
@pytest.mark.parametrize("gaussian", [False, True])
def test_one_pass_is_plain_inference_to_the_bit(
    model: str, window: tuple[int, int] | None, gaussian: bool
) -> None:
    torch.manual_seed(0)
    network, image = build_model(model, 5).eval(), _image(48, 64)
    calls: list[Tensor] = []

    def watched(x: Tensor) -> Tensor:
        calls.append(x)
        logits: Tensor = network(x)
        return logits

    with torch.inference_mode():
        plain = network(image)
        protocol = Protocol(window=window, stride=window, gaussian=bool(window) and gaussian)
        found = predict(watched, image, protocol)
    assert found.dtype == torch.uint8
    assert torch.equal(found, plain.argmax(1).byte())
    assert len(calls) == 1 and calls[0] is image
    whole = _ask(network, image, **asdict(protocol))
    assert torch.equal(whole, plain.softmax(1))


def test_close_logits_are_told_apart() -> None:
    """Their probabilities are one number in float32, and the first of them would win."""
    logits = torch.zeros(1, 2, 33, 33)
    logits[:, 1] = 1e-9
    assert (logits.softmax(1).argmax(1) == 0).all()
    assert (predict(lambda _: logits, _image(33, 33), Protocol()) == 1).all()


def test_flip_changes_nothing_for_a_network_that_does_not_see_it() -> None:
    network, image = Symmetric(), _image(40, 50)
    whole = _ask(network, image, flip=True)
    torch.testing.assert_close(whole, _ask(network, image), rtol=0, atol=1e-7)
    windows = {"window": (33, 33), "stride": (20, 20)}
    flipped, plain = _ask(network, image, flip=True, **windows), _ask(network, image, **windows)
    torch.testing.assert_close(flipped, plain, rtol=0, atol=1e-7)


def test_flip_is_the_mean_of_both() -> None:
    network, image = _network(), _image(40, 50)
    with torch.inference_mode():
        mirrored = _softmax(network(image.flip(-1)))[..., ::-1]
        expected = (_softmax(network(image)) + mirrored) / 2
    ours = _ask(network, image, flip=True)
    np.testing.assert_allclose(ours[0].numpy(), expected, rtol=0, atol=1e-6)
    assert np.abs(expected - mirrored).max() > 0.01  # so the halves do differ
    back = _ask(network, image.flip(-1), flip=True).flip(-1)
    torch.testing.assert_close(ours, back, rtol=0, atol=1e-6)


def test_scales_equal_opencv() -> None:
    """Resized by cv2.INTER_LINEAR there and back, as HRNet's authors do it."""
    network, image = _network(), _image(80, 101)
    expected = np.zeros((K, 80, 101))
    for scale in (0.5, 1.0, 1.75):
        height, width = int(80 * scale + 0.5), int(101 * scale + 0.5)
        scaled = cv2.resize(image[0].permute(1, 2, 0).numpy(), (width, height))
        with torch.inference_mode():
            found = _softmax(network(torch.from_numpy(scaled).permute(2, 0, 1)[None]))
        back = cv2.resize(found.transpose(1, 2, 0), (101, 80))
        expected += back.transpose(2, 0, 1) / 3
    ours = _ask(network, image, scales=(0.5, 1.0, 1.75))[0].numpy()
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-4)
    np.testing.assert_allclose(ours.sum(0), 1, rtol=0, atol=1e-5)


def test_bytes_are_passed_as_they_are_and_resized_as_numbers() -> None:
    seen: list[Tensor] = []

    def network(image: Tensor) -> Tensor:
        seen.append(image)
        return torch.cat([image.float(), image.float()], 1)

    image = (_image(66, 66).abs() * 80).byte()
    predict(network, image, Protocol(scales=(1.0, 0.5)))
    assert seen[0] is image
    assert seen[1].dtype == torch.float32 and seen[1].shape == (1, 3, 33, 33)


def test_an_image_that_is_too_small_for_networks() -> None:
    with pytest.raises(ValueError, match="an image of 48x64 has 24x32 at scale 0.5.* at least 33"):
        predict(_network(), _image(48, 64), Protocol(scales=(0.5, 1.0)))
