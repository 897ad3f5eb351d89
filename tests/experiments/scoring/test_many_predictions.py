"""Scoring of images that grow in number, of few: names, files and memory are those of many."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from experiments.scoring import counts
from experiments.scoring.counts import Gathered, ImageCounts
from experiments.trials.results import finished, per_image, read_results
from tests.experiments.many_predictions import PARTS, STAGES, build


def test_every_stage_of_the_measurement_works(tmp_path: Path) -> None:
    """Its result is one that the sums of its images confirm."""
    root, num = tmp_path / "many", 2 * PARTS
    build(root, num)
    for stage in STAGES.values():
        stage(root)
    (result,) = finished(read_results(root / "results"))
    arrays = per_image(result)
    assert arrays is not None and len(arrays["ids"]) == num
    assert (root / "results" / "report.html").is_file()


@pytest.mark.parametrize("on_disk", [False, True])
def test_no_more_than_a_part_is_held(monkeypatch: pytest.MonkeyPatch, on_disk: bool) -> None:
    """Rows on disk take no memory of the process, and are what was added."""
    if on_disk:
        monkeypatch.setattr(counts, "_IN_MEMORY", 0)
    rng, k, num, size = np.random.default_rng(0), 19, 2000, 20
    shapes = {name: getattr(_one(k), name).shape for name in ImageCounts._fields[2:]}
    rows = [rng.integers(0, 99, (size, *shape)) for shape in shapes.values()]
    tracemalloc.start()
    gathered = Gathered(num, k)
    for _ in range(0, num, size):
        gathered.extend(np.ones((k + 1, k + 1), np.int64), np.ones((3, k), np.int64), rows)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert gathered.whole and (gathered.matrix == num / size).all()
    total = sum(row.nbytes for row in gathered.rows)
    assert peak < total / 20 if on_disk else peak >= total
    for kept, added in zip(gathered.rows, rows, strict=True):
        assert np.array_equal(kept, np.concatenate([added] * (num // size)))


def _one(k: int) -> ImageCounts:
    image = np.zeros((4, 4), np.uint8)
    return counts.count(image, image, k)
