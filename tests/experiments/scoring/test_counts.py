"""Work on many images by several processes, and how long an image takes."""

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from experiments.scoring.counts import count, in_order
from experiments.scoring.prediction_files import read_file
from tests.maps import scene


def _die(index: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_process_that_is_killed_is_said_in_a_sentence() -> None:
    with pytest.raises(ValueError, match="one of 2 processes was killed, .*: give fewer --jobs"):
        list(in_order(_die, 40, 2))


@pytest.mark.slow
def test_a_large_image_takes_less_than_half_a_second_of_a_core(tmp_path: Path) -> None:
    """0.2 s for 2048x1024 pixels and 19 classes, with the reading of both PNGs."""
    paths = [tmp_path / f"{name}.png" for name in ("truth", "prediction")]
    for path, ids in zip(paths, scene(1024, 2048), strict=True):
        Image.fromarray(ids).save(path)
    times = []
    for _ in range(5):
        before = time.process_time()
        truth, prediction = (read_file(path)[0].astype(np.uint8) for path in paths)
        count(truth, prediction, 19)
        times.append(time.process_time() - before)
    assert min(times) < 0.5
