"""The stride ceiling by hand, and against slow loops in fractions."""

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from datamodules import open_data
from datamodules.datasets.camvid import CAMVID
from datamodules.image_files import ImageFileDataset
from datamodules.labels import IGNORE, UInt8
from experiments.scoring.boundary import near_other_class
from experiments.scoring.metrics import score
from experiments.scoring.stride_ceiling import BAND, STRIDES, CeilingRecord, coarsen, measure
from experiments.trials.results import read_record, write_record
from tests.commands import ROOT

COMMITTED = ROOT / "experiments" / "results" / "stride-ceiling" / "camvid-test.json"
REAL = ROOT.parent / "shared" / "data" / "CamVid"
V = IGNORE


def labels(*rows: list[int]) -> UInt8:
    return np.array(rows, np.uint8)


def test_ceiling_by_hand() -> None:
    """A line one pixel wide is half of its cells, and a quarter of what its neighbours get.

    Shares of the line in a row of cells are (1/2, 0). Brought back, pixels at 1/4, 3/4, 5/4 and
    7/4 of a cell have 1/2, 3/8, 1/8 and 0: at the border the two classes tie, and the lower wins.
    """
    line = labels(*[[1, 0, 0, 0]] * 4)
    assert coarsen(line, 2, 2).tolist() == [[0, 0, 0, 0]] * 4
    swapped = labels(*[[0, 1, 1, 1]] * 4)
    assert coarsen(swapped, 2, 2).tolist() == [[0, 1, 1, 1]] * 4
    assert coarsen(swapped, 4, 2).tolist() == [[1, 1, 1, 1]] * 4


def test_void_has_no_say() -> None:
    """A void cell adds nothing, which the last pixel shows; one that is mostly void says little."""
    mask = labels([1, V, V, V], [1, V, V, V])
    assert coarsen(mask, 2, 2).tolist() == [[1, 1, 1, 0]] * 2
    # A quarter of either class in its cell: 1/4 of each at the middle, from both sides.
    assert coarsen(labels([1, V, 0, V], [V, V, V, V]), 2, 2).tolist() == [[1, 1, 0, 0]] * 2
    # All of one cell is class 1 and a quarter of the other class 0: at the third pixel 1/4 of the
    # former, 1, are more than 3/4 of the latter, 3/16.
    assert coarsen(labels([1, 1, 0, V], [1, 1, V, V]), 2, 2).tolist() == [[1, 1, 1, 0]] * 2


def test_cut_cells_are_filled_with_void() -> None:
    """One row of three at stride 2: cells have 2 and 1 labels of 4 pixels."""
    # Shares of class 0: 1/2, 3/8, 1/8; of class 1: 0, 1/16, 3/16.
    assert coarsen(labels([0, 0, 1]), 2, 2).tolist() == [[0, 0, 1]]


@pytest.mark.parametrize(("height", "width"), [(8, 8), (7, 13), (33, 21), (3, 5)])
def test_ceiling_agrees_with_slow_loops(height: int, width: int) -> None:
    rng = np.random.default_rng(height)
    for stride in (2, 3, 4, 8, 32):
        mask = rng.integers(0, 4, (height, width), dtype=np.uint8)
        mask[rng.random(mask.shape) < 0.3] = IGNORE
        mask[: height // 2, : width // 2] = IGNORE  # whole cells without a label
        fast, slow = coarsen(mask, stride, 4), slow_shares(mask, stride, 4)
        for y in range(height):
            for x in range(width):  # which of two equal shares wins is left to rounding
                assert slow[y][x][fast[y, x]] > max(slow[y][x]) - Fraction(1, 10**9)


def slow_shares(mask: UInt8, stride: int, k: int) -> list[list[list[Fraction]]]:
    """Shares (H, W, K) from their definition."""
    height, width = mask.shape
    cells = {}
    for i in range(-(-height // stride)):
        for j in range(-(-width // stride)):
            tile = mask[i * stride : (i + 1) * stride, j * stride : (j + 1) * stride]
            valid = [int(v) for v in tile.flat if v != IGNORE]
            cells[i, j] = [Fraction(valid.count(c), stride**2) for c in range(k)]
    lowest, rightmost = max(cells)

    def around(pixel: int, last: int) -> list[tuple[int, Fraction]]:
        """The two nearest cell centres and their weights; the outermost reach on to the rim."""
        centre = Fraction(2 * pixel + 1, 2 * stride) - Fraction(1, 2)
        place = min(max(centre, Fraction(0)), Fraction(last))
        first = int(place)
        return [(first, 1 - place + first), (min(first + 1, last), place - first)]

    return [
        [
            [
                sum(
                    (
                        a * b * cells[i, j][c]
                        for i, a in around(y, lowest)
                        for j, b in around(x, rightmost)
                    ),
                    Fraction(0),
                )
                for c in range(k)
            ]
            for x in range(width)
        ]
        for y in range(height)
    ]


def near_boundary(mask: UInt8) -> UInt8:
    return np.where(near_other_class(mask, BAND), mask, np.uint8(IGNORE))


def test_boundary_band() -> None:
    """Three pixels on either side, none at a border with void, and corners by their distance."""
    mask = labels([0] * 6 + [1] * 6)
    assert near_boundary(mask).tolist() == [[V] * 3 + [0] * 3 + [1] * 3 + [V] * 3]
    assert (near_boundary(labels([2] * 4 + [V] * 4)) == IGNORE).all()
    assert near_boundary(labels([0, 0, V, V, 1])).tolist() == [[V, 0, V, V, 1]]
    corner = np.zeros((5, 5), np.uint8)
    corner[0, 0] = 1
    near = np.argwhere(near_boundary(corner) != IGNORE)
    assert {(y, x) for y, x in near.tolist()} == {
        (y, x) for y in range(5) for x in range(5) if y**2 + x**2 <= 9
    }


def test_ceiling_of_a_split(camvid: Path) -> None:
    data = open_data("camvid", "test", camvid)
    ceiling = measure(data, workers=1)
    record = ceiling.record("camvid", "test", data)
    assert tuple(record.strides) == STRIDES
    assert record.strides[1].miou == record.strides[1].boundary_miou == 1.0
    by_scorer = score(data, lambda i: coarsen(data.mask(i), 4, 11)).metrics()
    theirs = by_scorer.model_dump(exclude_unset=True)
    assert theirs.items() <= record.strides[4].model_dump().items()
    several = measure(data, workers=2)
    assert all((several.boundary[s].tp == ceiling.boundary[s].tp).all() for s in STRIDES)


def test_what_is_committed_is_what_would_be_written(tmp_path: Path) -> None:
    record = read_record(COMMITTED, CeilingRecord)
    assert record is not None
    write_record(tmp_path / "again.json", record)
    assert (tmp_path / "again.json").read_bytes() == COMMITTED.read_bytes()


def test_committed_numbers() -> None:
    """All six strides of the whole test split: what is coarser has less, on CamVid at least."""
    record = json.loads(COMMITTED.read_text())
    assert record["data"]["num_images"] == 233
    assert list(record["strides"]) == [str(s) for s in STRIDES]
    for scores in record["strides"].values():
        assert list(scores["iou"]) == list(CAMVID.names)
        assert scores["miou"] == pytest.approx(np.mean(list(scores["iou"].values())))
    for name in ("miou", "boundary_miou"):
        values = [scores[name] for scores in record["strides"].values()]
        assert values[0] == 1.0 and values == sorted(values, reverse=True)


@pytest.mark.skipif(not REAL.is_dir(), reason=f"no CamVid in {REAL.name} of the shared data")
def test_committed_numbers_come_from_this_code() -> None:
    """The published split by its hash, and every third image against figures of another program."""
    data = open_data("camvid", "test", REAL)
    assert isinstance(data, ImageFileDataset)
    assert data.fingerprint() == json.loads(COMMITTED.read_text())["data"]["hash"]
    data = ImageFileDataset(data.labels, data.samples[::3])
    known = {2: (0.971, 0.84), 4: (0.926, 0.59), 8: (0.849, 0.25), 16: (0.759, 0.09)}
    for stride, (miou, pole) in {**known, 32: (0.645, 0.02)}.items():
        back = [coarsen(data.mask(i), stride, 11) for i in range(len(data.ids))]
        scores = score(data, back.__getitem__).metrics()
        assert scores.miou == pytest.approx(miou, abs=0.0005)
        assert scores.iou["Pole"] == pytest.approx(pole, abs=0.005)
