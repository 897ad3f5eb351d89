"""Class weights by rule: by hand, and as SegNet's authors published them for CamVid."""

from dataclasses import replace

import numpy as np
import pytest

from datamodules import open_data
from experiments.recipes import RECIPES, smoke
from experiments.training.class_weights import ClassPixels, inverse_sqrt, median_frequency
from experiments.training.training_data import class_pixels
from experiments.trials.data_check import check_data
from tests.trees.camvid import REAL, needs_real


def test_by_hand() -> None:
    """Class 0 is in images of 8 + 8 labelled pixels, class 1 in those of 8, class 2 in none."""
    train = ClassPixels(np.array([12, 4, 0]), np.array([16, 8, 0]))
    # Frequencies 12/16 and 4/8, of which 5/8 is the median.
    np.testing.assert_allclose(median_frequency(train), [5 / 6, 5 / 4, 0])
    weights = inverse_sqrt(train)
    np.testing.assert_allclose(weights[1] / weights[0], np.sqrt(3))
    np.testing.assert_allclose((weights * [0.75, 0.25, 0]).sum(), 1)
    assert weights[2] == 0


def test_the_demos_weights_follow_from_the_rule() -> None:
    """Data that are made have no check that counts them."""
    demo = RECIPES["demo"]()
    recipe = replace(demo, class_weights="inverse-sqrt")
    shown = class_pixels(recipe, open_data(recipe.data, "train"), check_data(recipe, None))
    assert shown is not None
    assert demo.class_weights == pytest.approx(inverse_sqrt(shown), abs=0.005)
    assert class_pixels(smoke(), open_data(smoke().data, "train"), check_data(recipe, None)) is None


@needs_real
def test_camvids_median_frequencies_are_near_segnets() -> None:
    """Those of its authors' prototxt (SegNet-Tutorial), in the order of the classes.

    They count otherwise in a way that nobody has told: two of theirs are medians over shares of
    all pixels to four digits, and SignSymbol has two and a half times our weight.
    """
    recipe = replace(RECIPES["camvid-quick"](), class_weights="median-frequency")
    shown = class_pixels(recipe, open_data("camvid", "train", REAL), check_data(recipe, REAL))
    assert shown is not None
    published = np.array(
        [0.2595, 0.1826, 4.5640, 0.1417, 0.9051, 0.3826, 9.6446, 1.8418, 0.6823, 6.2478, 7.3614]
    )
    ratio = published / median_frequency(shown)
    others = np.arange(11) != 6
    assert (np.abs(ratio[others] - 0.91) < 0.08).all()
    assert ratio[6] == pytest.approx(2.5, abs=0.1)
    share = shown.pixels / shown.pixels.sum()
    np.testing.assert_allclose((np.median(share) / share)[[2, 3]], published[[2, 3]], rtol=1e-3)
