"""Augmentation against slicing, resizing by hand, and the independence it claims."""

import random
from itertools import combinations

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from datamodules.imagenet_statistics import MEAN_COLOUR
from datamodules.labels import IGNORE, UInt8
from datamodules.loading.sampling import sample_seed
from datamodules.loading.transforms import (
    CropGeometry,
    photometric,
    sample_crop,
    warp_crop,
)

HEIGHT, WIDTH = 20, 30
CROP = (8, 11)
SAMPLES = 2000


def _pair(height: int = HEIGHT, width: int = WIDTH) -> tuple[UInt8, UInt8]:
    rng = np.random.default_rng(0)
    image = rng.integers(256, size=(height, width, 3), dtype=np.uint8)
    mask = rng.choice(np.array([0, 5, 10], np.uint8), size=(height, width))
    return image, mask


def _drawn(i: int, **changes: object) -> CropGeometry:
    """Of image i in epoch 0, by default where the scaled image may be smaller than the crop."""
    settings = {"size": (HEIGHT, WIDTH), "crop": (16, 24), "scale": (0.5, 2.0), "flip": True}
    rng = np.random.default_rng(sample_seed(0, 0, i))
    return sample_crop(rng, **{**settings, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize(("top", "left"), [(0, 0), (3, 7), (12, 19)])
def test_at_scale_1_a_crop_is_a_slice(top: int, left: int, flip: bool) -> None:
    image, mask = _pair()
    cut, labels = warp_crop(image, mask, CROP, CropGeometry(1.0, top, left, flip))
    window = np.s_[top : top + CROP[0], left : left + CROP[1]]
    step = -1 if flip else 1
    assert np.array_equal(cut, image[window][:, ::step])
    assert np.array_equal(labels, mask[window][:, ::step])
    assert cut.dtype == labels.dtype == np.uint8


def test_the_inputs_are_left_alone() -> None:
    image, mask = _pair()
    for i in range(20):
        warp_crop(image, mask, CROP, _drawn(i, crop=CROP))
    assert np.array_equal(image, _pair()[0])
    assert np.array_equal(mask, _pair()[1])


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("scale", [2, 3])
def test_enlarging_is_resizing_and_then_cutting(scale: int, flip: bool) -> None:
    image, mask = _pair()
    top, left, crop = 5, 9, (24, 36)
    cut, labels = warp_crop(image, mask, crop, CropGeometry(scale, top, left, flip))
    window = np.s_[top : top + crop[0], left : left + crop[1]]
    step = -1 if flip else 1
    large = cv2.resize(image, (WIDTH * scale, HEIGHT * scale), interpolation=cv2.INTER_LINEAR)
    assert np.abs(cut.astype(int) - large[window][:, ::step]).max() <= 1
    repeated = mask.repeat(scale, axis=0).repeat(scale, axis=1)
    assert np.array_equal(labels, repeated[window][:, ::step])


@pytest.mark.parametrize("flip", [False, True])
def test_any_scale_is_resizing_and_then_cutting(flip: bool) -> None:
    """Within a grey level, on noise, of which a window at whole pixels would be off by 100."""
    image, mask = _pair(97, 131)
    step = -1 if flip else 1
    for scale in np.random.default_rng(1).uniform(0.5, 2.0, 40):
        large = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
        top, left = large.shape[0] // 3, large.shape[1] // 4
        cut, _ = warp_crop(image, mask, CROP, CropGeometry(float(scale), top, left, flip))
        expected = large[top : top + CROP[0], left : left + CROP[1]][:, ::step]
        assert np.abs(cut.astype(int) - expected).max() <= 1, scale


@pytest.mark.parametrize("scale", [0.5, 0.8, 1.37, 2.0])
def test_a_ramp_shows_where_each_pixel_comes_from(scale: float) -> None:
    """Bilinear interpolation is exact on it, so its values are the coordinates of the source."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    image = np.stack([rows * 10, columns * 8, rows * 5 + columns * 4], axis=-1).astype(np.uint8)
    labels = (rows // 4 * 10 + columns // 4).astype(np.uint8)
    for flip in (False, True):
        cut, mask = warp_crop(image, labels, (6, 8), CropGeometry(scale, 2, 3, flip))
        for y in range(6):
            for x in range(8):
                across = 7 - x if flip else x
                row = (2 + y + 0.5) / scale - 0.5
                column = (3 + across + 0.5) / scale - 0.5
                expected = np.array([row * 10, column * 8, row * 5 + column * 4])
                assert np.abs(cut[y, x] - expected).max() < 1
                if abs(row % 1 - 0.5) > 0.1 and abs(column % 1 - 0.5) > 0.1:  # no tie
                    assert mask[y, x] == labels[round(row), round(column)]


@pytest.mark.parametrize("flip", [False, True])
def test_padding_is_mean_colour_and_ignore_around_the_image(flip: bool) -> None:
    image, mask = _pair()
    cut, labels = warp_crop(image, mask, (27, 41), CropGeometry(1.0, -3, -2, flip))
    expected = np.full((27, 41, 3), MEAN_COLOUR, np.uint8)
    ignored = np.full((27, 41), IGNORE, np.uint8)
    expected[3 : 3 + HEIGHT, 2 : 2 + WIDTH] = image
    ignored[3 : 3 + HEIGHT, 2 : 2 + WIDTH] = mask
    step = -1 if flip else 1
    assert np.array_equal(cut, expected[:, ::step])
    assert np.array_equal(labels, ignored[:, ::step])


def test_the_mean_colour_is_that_of_imagenet() -> None:
    mean = np.array([0.485, 0.456, 0.406])  # as printed by every library that ships its weights
    assert tuple(np.rint(255 * mean)) == MEAN_COLOUR


def test_masks_gain_no_value_but_ignore_and_that_only_as_padding() -> None:
    image, mask = _pair()
    padded = 0
    for i in range(200):
        d = _drawn(i)
        labels = warp_crop(image, mask, (16, 24), d)[1]
        values = set(np.unique(labels).tolist())
        assert values <= {0, 5, 10, IGNORE}
        if min(round(HEIGHT * d.scale) - 16, round(WIDTH * d.scale) - 24) >= 0:
            assert IGNORE not in values
        else:
            padded += IGNORE in values
    assert 20 < padded < 180  # both cases were tried


def test_an_image_smaller_than_the_crop_is_wholly_in_it() -> None:
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    places = set()
    for i in range(100):
        d = _drawn(i, crop=(50, 70))
        shown = warp_crop(image, mask, (50, 70), d)[1] == 0
        rows, columns = np.flatnonzero(shown.any(axis=1)), np.flatnonzero(shown.any(axis=0))
        assert abs(len(rows) - HEIGHT * d.scale) <= 1
        assert abs(len(columns) - WIDTH * d.scale) <= 1
        places.add((int(rows[0]), int(columns[0])))
    assert len(places) > 90  # at random, not always in a corner


def test_draws_fill_their_ranges_evenly() -> None:
    draws = [_drawn(i, size=(64, 80), crop=(33, 40), scale=(1.0, 1.5)) for i in range(SAMPLES)]
    scales = np.array([d.scale for d in draws])
    assert scales.min() >= 1.0 and scales.max() <= 1.5
    counts = np.histogram(scales, bins=5, range=(1.0, 1.5))[0]
    assert np.abs(counts / SAMPLES - 0.2).max() < 0.04  # 4.5 standard deviations
    assert abs(np.mean([d.flip for d in draws]) - 0.5) < 0.05
    slack = np.array([[round(64 * d.scale) - 33, round(80 * d.scale) - 40] for d in draws])
    place = np.array([[d.top, d.left] for d in draws])
    assert (place >= 0).all() and (place <= slack).all()
    assert (place == 0).any(axis=0).all() and (place == slack).any(axis=0).all()
    assert np.abs((place / slack).mean(axis=0) - 0.5).max() < 0.03
    assert not any(_drawn(i, flip=False).flip for i in range(50))


def _colourful() -> UInt8:
    return np.random.default_rng(1).integers(60, 190, size=(8, 8, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def parameters() -> dict[str, npt.NDArray[np.float64]]:
    """What was drawn for 50 epochs of 40 images; there is room for the crop at every scale."""
    image, rows = _colourful(), []
    for epoch in range(SAMPLES // 40):
        for index in range(40):
            entropy = sample_seed(0, epoch, index)
            d = sample_crop(
                np.random.default_rng(entropy), (200, 300), (90, 120), (0.75, 2.0), True
            )
            tall, wide = round(200 * d.scale) - 90, round(300 * d.scale) - 120
            bright = photometric(image, entropy).mean()
            rows.append((d.scale, d.top / tall, d.left / wide, d.flip, bright))
    names = ("scale", "top", "left", "flip", "photometric")
    return dict(zip(names, np.array(rows, float).T, strict=True))


def test_parameters_are_independent(parameters: dict[str, npt.NDArray[np.float64]]) -> None:
    for one, other in combinations(parameters, 2):
        r = np.corrcoef(parameters[one], parameters[other])[0, 1]
        assert abs(r) < 0.05, (one, other)


@pytest.mark.parametrize("lag", [1, 40])
def test_neighbours_and_epochs_are_independent(
    lag: int, parameters: dict[str, npt.NDArray[np.float64]]
) -> None:
    for name, values in parameters.items():
        r = np.corrcoef(values[:-lag], values[lag:])[0, 1]
        assert abs(r) < 0.08, name  # 3.6 standard deviations


def test_the_same_entropy_gives_the_same_whatever_came_before() -> None:
    image = _colourful()
    first = [photometric(image, sample_seed(0, 0, i)) for i in range(20)]
    geometry = [_drawn(i) for i in range(20)]
    for i in reversed(range(20)):
        photometric(image, sample_seed(7, 7, i))
        assert np.array_equal(photometric(image, sample_seed(0, 0, i)), first[i])
        assert _drawn(i) == geometry[i]
    assert len({picture.tobytes() for picture in first}) > 10
    assert len(set(geometry)) == 20


def test_global_random_state_is_neither_used_nor_changed() -> None:
    image = _colourful()
    results = []
    for seed in (0, 1):
        random.seed(seed)
        np.random.seed(seed)
        before = random.getstate(), np.random.get_state(legacy=False)
        results.append([photometric(image, sample_seed(0, 0, i)) for i in range(10)])
        assert [_drawn(i) for i in range(5)] == [_drawn(i) for i in range(5)]
        after = random.getstate(), np.random.get_state(legacy=False)
        assert repr(after) == repr(before)
    assert np.array_equal(results[0], results[1])


def test_photometric_changes_stay_in_their_range() -> None:
    """On even grey neither contrast, saturation nor hue shows: what is left is brightness."""
    grey = np.full((4, 4, 3), 100, np.uint8)
    pictures = [photometric(grey, sample_seed(0, 0, i)) for i in range(600)]
    levels = np.array([picture.mean() for picture in pictures])
    assert all(np.ptp(picture) <= 1 for picture in pictures)
    assert 59 <= levels.min() < 65
    assert 135 < levels.max() <= 141
    assert (grey == 100).all()


def test_four_images_of_five_change() -> None:
    image = _colourful()
    same = [np.array_equal(photometric(image, sample_seed(0, 1, i)), image) for i in range(600)]
    assert abs(np.mean(same) - 0.2) < 0.05  # 3 standard deviations
