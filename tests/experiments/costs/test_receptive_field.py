"""Effective receptive fields of networks whose field is known: by hand, by numpy, by theory."""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from experiments.costs.field_radius import Floats, centre, support
from experiments.costs.receptive_field import field, image_fields, mean_field
from models import build_model

SIZE = (33, 47)


def _images(count: int, size: tuple[int, int] = SIZE, seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(3, *size, generator=generator) for _ in range(count)]


def _stack(layers: int, channels: int, classes: int = 2) -> nn.Sequential:
    """3x3 convolutions without bias or activation."""
    widths = (3, *[channels] * (layers - 1), classes)
    convolutions = (nn.Conv2d(a, b, 3, padding=1, bias=False) for a, b in pairwise(widths))
    return nn.Sequential(*convolutions)


def _box(reach: Sequence[int], size: tuple[int, int] = SIZE) -> tuple[int, int, int, int]:
    """The box that reaches so far up, down, left and right of the centre."""
    (row, column), (up, down, left, right) = centre(*size), reach
    return row - up, column - left, up + down + 1, left + right + 1


@pytest.mark.parametrize("layers", [1, 2, 5, 9])
def test_the_support_of_3x3_convolutions_grows_by_two_a_layer(layers: int) -> None:
    torch.manual_seed(layers)
    energy = field(_stack(layers, 4), _images(1))
    assert support(energy) == _box([layers] * 4)
    assert support(energy)[2:] == (2 * layers + 1, 2 * layers + 1)
    assert energy.sum() == pytest.approx(1)


@pytest.mark.parametrize(
    ("layers", "reach"),
    [
        # Dilated by 1, 2, 4: 1 + 2 + 4 pixels to each side.
        ([(3, 1, 1), (3, 1, 2), (3, 1, 4)], (7, 7, 7, 7)),
        # By 3 alone it sees 3x3 points within 7x7 pixels.
        ([(3, 1, 3)], (3, 3, 3, 3)),
        # Output (8, 11) of the stride stands for pixels (16, 22) to (17, 23), and so for the centre
        # (16, 23). The second layer sees outputs 7-9 and 10-12, whose own windows lie about twice
        # their index: rows 13-19, columns 19-25.
        ([(3, 2, 1), (3, 1, 1)], (3, 3, 4, 2)),
    ],
)
def test_supports_of_dilation_and_stride_by_hand(
    layers: list[tuple[int, int, int]], reach: tuple[int, ...]
) -> None:
    """(kernel, stride, dilation) of each layer; a stride is undone by repeating pixels."""
    torch.manual_seed(0)
    widths = (3, *[4] * len(layers))
    network = nn.Sequential(
        *(
            nn.Conv2d(a, b, k, s, padding=d * (k // 2), dilation=d)
            for (a, b), (k, s, d) in zip(pairwise(widths), layers, strict=True)
        )
    )
    stride = math.prod(s for _, s, _ in layers)

    class Whole(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            small: Tensor = network(image)
            large = small.repeat_interleave(stride, 2).repeat_interleave(stride, 3)
            return large[..., : SIZE[0], : SIZE[1]]

    energy = field(Whole(), _images(1))
    assert support(energy) == _box(reach)
    if layers == [(3, 1, 3)]:
        assert np.count_nonzero(energy) == 9


def test_the_support_of_a_unet_is_188_pixels() -> None:
    """Followed back from the centre, a multiple of 16: two 3x3 convolutions a level, of which each
    transposed one of 2x2 halves the pixels that it is asked for, and each pooling doubles them."""
    first = last = 128
    for _ in range(4):  # up the right side of the U, from its end
        first, last = (first - 2) // 2, (last + 2) // 2
    for _ in range(4):  # and up the left one
        first, last = (first - 2) * 2, (last + 2) * 2 + 1
    first, last = first - 2, last + 2
    assert last - first + 1 == 188
    torch.manual_seed(0)
    energy = field(build_model("unet:width=4", 2), _images(2, (256, 256)))
    assert support(energy) == (first, first, 188, 188)


def _convolved(kernel: npt.NDArray[np.float64], times: int) -> Floats:
    """The n-fold convolution of a kernel with itself, in one dimension."""
    found = np.ones(1)
    for _ in range(times):
        found = np.convolve(found, kernel)
    return found


@pytest.mark.parametrize("layers", [2, 6])
def test_equal_weights_make_the_square_of_a_repeated_convolution(layers: int) -> None:
    network = _stack(layers, 3)
    for parameter in network.parameters():
        nn.init.constant_(parameter, 0.25)
    line = _convolved(np.ones(3), layers)
    expected = np.outer(line, line) ** 2
    energy = field(network, _images(2))
    row, column, rows, columns = support(energy)
    found = energy[row : row + rows, column : column + columns]
    assert found == pytest.approx(expected / expected.sum(), rel=1e-5)


def test_random_weights_spread_the_energy_as_the_theory_says() -> None:
    """Luo et al., section 2: weights of mean 0, independent and alike, have an expected squared
    gradient that is the n-fold convolution of the kernel's box, so that along each axis its
    variance is n (k^2 - 1) / 12, which tends to a Gaussian.

    One network of 32 channels is one draw; over 20 of them the mean is held to 4 % of the variance
    (their own spread leaves 1 %), and the whole distribution to a hundredth.
    """
    layers, expected = 8, 8 * (3**2 - 1) / 12
    total = np.zeros(SIZE)
    for seed in range(20):
        torch.manual_seed(seed)
        network = _stack(layers, 32, classes=8)
        for parameter in network.parameters():
            nn.init.normal_(parameter)
        total += field(network, _images(1)) / 20
    (row, column), box = centre(*SIZE), _convolved(np.ones(3) / 3, layers)
    for axis, at in ((1, row), (0, column)):
        line = total.sum(axis)
        offsets = np.arange(len(line)) - at
        assert line @ offsets == pytest.approx(0, abs=0.1)
        assert line @ offsets**2 == pytest.approx(expected, rel=0.04)
        assert line[at - layers : at + layers + 1] == pytest.approx(box, abs=0.01)
        gaussian = np.exp(-(offsets**2) / (2 * expected)) / math.sqrt(2 * math.pi * expected)
        assert line == pytest.approx(gaussian, abs=0.015)


def test_it_is_what_small_changes_of_each_pixel_do() -> None:
    """Differences in double, one input value at a time, with batch norm, dropout and stride."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 6, 3, stride=2, padding=1),
        nn.BatchNorm2d(6),
        nn.ReLU(inplace=True),
        nn.Dropout2d(),
        nn.Conv2d(6, 5, 3, padding=1),
        nn.Upsample(size=(12, 15), mode="bilinear"),
    )
    with torch.no_grad():
        network(4 * torch.randn(8, 3, 12, 15))  # statistics that are not 0 and 1
    images = _images(3, (12, 15))
    found = field(network, images)
    assert network.training and isinstance(network[1], nn.BatchNorm2d)  # left as it was
    assert all(parameter.requires_grad for parameter in network.parameters())
    network.double().eval()
    expected = np.zeros((12, 15))
    for image in images:
        step = 1e-6 * torch.eye(image.numel(), dtype=torch.float64).reshape(-1, *image.shape)
        with torch.no_grad():
            change = network(image.double() + step) - network(image.double() - step)
        energy = change[:, :, 6, 7].square().sum(1).reshape(image.shape).sum(0).numpy()
        expected += energy / energy.sum() / 3
    assert found == pytest.approx(expected, rel=1e-4, abs=1e-9)


def test_an_image_counts_as_much_as_another() -> None:
    """The gradient of the second is 1000 times as large."""

    class Gated(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            loud = image.detach().amax() > 10
            return 1000 * F.avg_pool2d(image, 3, 1, 1) if loud else image.clone()

    quiet, loud = torch.zeros(3, 7, 7), torch.full((3, 7, 7), 20.0)
    energy = field(Gated(), [quiet, loud])
    assert energy[3, 3] == pytest.approx(0.5 + 0.5 / 9)
    assert energy[2, 2] == pytest.approx(0.5 / 9)


@pytest.mark.parametrize(
    "model",
    [
        "hrnetv2_w18:width=4",
        "hrnet:streams=1:width=4",
        "unet:width=4",
        "dilatednet:norm=batch:width=4",
        "pspnet:trunk=resnet18d:width=8",
        "litehrnet18:width=4",
    ],
)
def test_networks_of_the_table_have_a_field(model: str) -> None:
    torch.manual_seed(0)
    energy = field(build_model(model, 3), _images(1, (64, 64)))
    assert energy.shape == (64, 64) and energy.dtype == np.float64
    assert np.isfinite(energy).all() and energy.min() >= 0
    assert energy.sum() == pytest.approx(1)
    assert field(build_model(model, 3).train(), _images(1, (64, 64))).sum() == pytest.approx(1)


def test_images_on_which_nothing_moves_the_centre_are_left_out() -> None:
    """A ReLU that is off at the centre of dark images."""
    network = nn.Sequential(nn.Conv2d(3, 2, 3, padding=1), nn.ReLU())
    for parameter in network.parameters():
        nn.init.constant_(parameter, 1)
    dark, light = torch.full((3, 9, 9), -1.0), torch.ones(3, 9, 9)
    found = [*image_fields(network, [light, dark, light])]
    assert found[1] is None
    assert mean_field(found) == pytest.approx(field(network, [light]))
    with pytest.raises(ValueError, match="the centre's logits on any of 2 images: a receptive"):
        field(network, [dark, dark])


class _Square(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        return image.square()


def test_what_has_no_field_is_said() -> None:
    with pytest.raises(ValueError, match=r"of image 1 is no number \(its energy is nan\)"):
        field(_Square(), [*_images(1), torch.full((3, *SIZE), math.nan)])
    with pytest.raises(ValueError, match=r"of one size, got \(20, 20\) and \(33, 47\)"):
        field(_stack(1, 2), [*_images(1), *_images(1, (20, 20))])
    with pytest.raises(ValueError, match="on any of 0 images"):
        field(_stack(1, 2), [])
