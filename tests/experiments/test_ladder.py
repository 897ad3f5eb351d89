"""The ladder from known structure; the ceiling by hand and against slow loops in fractions."""

import json
import re
import subprocess
import sys
from collections import defaultdict
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules import open_data
from datamodules.datasets.camvid import CAMVID
from datamodules.image_files import ImageFileDataset
from datamodules.labels import IGNORE, UInt8
from experiments import ladder
from experiments.costs.flops import count
from experiments.costs.layer_trace import Trace, trace_ancestors, trace_model
from experiments.scoring.metrics import score
from experiments.scoring.stride_ceiling import STRIDES, coarsen, measure, near_boundary
from tests.commands import ROOT

COMMITTED = ROOT / "experiments" / "results" / "stride-ceiling" / "camvid-test.json"
REAL = ROOT.parent / "shared" / "data" / "CamVid"
V = IGNORE


def labels(*rows: list[int]) -> UInt8:
    return np.array(rows, np.uint8)


def strides(trace: Trace) -> list[int]:
    return [round(trace.stride(layer)) for layer in trace.layers]


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
    assert list(record["strides"]) == [str(s) for s in STRIDES]
    assert record["strides"]["1"]["miou"] == record["strides"]["1"]["boundary_miou"] == 1.0
    by_scorer = score(data, lambda i: coarsen(data.mask(i), 4, 11)).metrics()
    assert by_scorer.items() <= record["strides"]["4"].items()
    several = measure(data, workers=2)
    assert all((several.boundary[s].tp == ceiling.boundary[s].tp).all() for s in STRIDES)


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
    assert macs == round(count(model, 19, (96, 64))["gmacs"] * 1e9)


def test_ancestors() -> None:
    """Multiply-adds that torchvision states for its weights; LeNet-5's added up by hand."""
    traces = trace_ancestors()
    macs = [sum(layer.macs for layer in trace.layers) for trace in traces.values()]
    assert macs == pytest.approx([0.4165e6, 0.714e9, 15.47e9, 4.09e9], rel=2e-3)
    assert [len(trace.layers) for trace in traces.values()] == [5, 8, 16, 54]
    for trace in traces.values():
        assert strides(trace) == sorted(strides(trace))
        assert trace.layers[-1].cells == 1


def test_command_writes_its_files(
    camvid: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Both parts in one call, with more networks than a row holds."""
    monkeypatch.setenv("COLUMNS", "80")
    models = "unet:width=8,hrnetv2_w18_small_v1,unet,deeplabv3p:trunk=mobilenetv2_100,unet:width=9"
    drawing = ["--models", models, "--size", "64x96", "--output", str(tmp_path / "new" / "steps")]
    data = ["--data", "camvid", "--data-root", str(camvid), "--workers", "1"]
    assert ladder.main([*drawing, *data, "--ceiling", str(tmp_path / "new" / "ceiling")]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines()[:-1])) <= 80 and "Bicyclist" in out
    names = {path.name for path in (tmp_path / "new").iterdir()}
    assert names == {"steps.svg", "steps.png", "ceiling.json", "ceiling.png"}
    for name in ("steps.png", "ceiling.png"):
        with Image.open(tmp_path / "new" / name) as image:
            assert np.asarray(image.convert("L")).std() > 5
    assert (tmp_path / "new" / "steps.svg").read_text().count("<svg") == 1
    assert str(tmp_path) not in (tmp_path / "new" / "ceiling.json").read_text()


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ("", r"nothing to show: name networks with --models or data with --data"),
        ("--models unt", r"unknown model 'unt'; did you mean 'unet'\? Known: .*hrnet.*"),
        ("--models unet:depth=3", r"unet has no option 'depth=3'.*"),
        ("--models unet --size 512", r"--size is '512': give height x width .*, as 360x480"),
        ("--models unet --size 32x512", r"--size is '32x512': .*"),
        ("--models deeplabv3p:output_stride=4", r"output_stride is 8 or 16, got 4.*"),
        ("--data kamvid", r"unknown data set 'kamvid'; did you mean 'camvid'.*"),
        ("--data camvid", r"camvid needs a folder .* --data-root"),
        ("--data streets --workers 0", r"got 0 workers: 1 or more are needed"),
    ],
)
def test_wrong_requests(request_: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert ladder.main(request_.split()) == 2
    assert re.fullmatch(said + r"\n", capsys.readouterr().err)


def test_ceiling_needs_no_torch() -> None:
    code = (
        "import sys, experiments.scoring.stride_ceiling, experiments.ladder;"
        "print({'torch', 'timm', 'matplotlib'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"


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
        assert scores["miou"] == pytest.approx(miou, abs=0.0005)
        assert scores["iou"]["Pole"] == pytest.approx(pole, abs=0.005)
