"""The benchmark of reading, small: that it runs, and that the decoded copy is worth it."""

import json
from pathlib import Path

import numpy as np
import pytest

from experiments.reading import photograph
from tests.commands import run


def test_photographs_have_the_spectrum_of_photographs() -> None:
    """Power falls as 1 / frequency^2 between the lowest frequencies and the camera's noise."""
    image = photograph(np.random.default_rng(0), (256, 256)).astype(float)
    assert image.shape == (256, 256, 3)
    power = np.abs(np.fft.fft2(image[..., 1] - image[..., 1].mean())) ** 2
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(256), np.fft.fftfreq(256)))
    middle = (frequency > 0.02) & (frequency < 0.2)
    slope = np.polyfit(np.log(frequency[middle]), np.log(power[middle]), 1)[0]
    assert slope == pytest.approx(-2, abs=0.15)


@pytest.mark.slow
def test_the_decoded_copy_reads_ten_times_as_fast(tmp_path: Path) -> None:
    output = tmp_path / "reading.json"
    small = ("--images", 2, "--crops", 8, "--rounds", 1)
    status, text = run("experiments.reading", *small, "--output", output)
    assert status == 0, text
    figures = json.loads(output.read_text())
    assert figures["smallest_png_mb"] >= 2
    speeds = {name: row["images_per_second"] for name, row in figures["readers"].items()}
    assert list(speeds) == ["albumentations", "torchvision", "files", "cache"]
    assert speeds["cache"] >= 10 * max(speeds["albumentations"], speeds["torchvision"])
    assert all(row["private_mb"] <= 150 for row in figures["readers"].values())
