"""PASCAL VOC 2012 and SBD on a small tree, which Pillow and SciPy read beside the data set."""

import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import loadmat, savemat

from datamodules.datasets.voc2012 import INFO, LISTS, VOC2012, voc2012
from datamodules.labels import IGNORE, DataError, UInt8
from tests.trees.voc2012 import FURTHER, TRAIN, VAL, build, build_png

SBD = "benchmark_RELEASE/dataset"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    build(tmp_path)
    return tmp_path


@pytest.fixture
def folder(root: Path) -> Path:
    return root / "VOCdevkit/VOC2012"


def _pixels(path: Path) -> UInt8:
    with Image.open(path) as file:
        return np.array(file)


def _expected(path: Path) -> UInt8:
    """Class indices of a label file; they are its ids."""
    if path.suffix == ".png":
        return _pixels(path)
    ids: UInt8 = loadmat(path, simplify_cells=True)["GTcls"]["Segmentation"]
    return ids


def test_names_colours_and_border() -> None:
    assert VOC2012.num_classes == 21
    assert VOC2012.names[0] == "background" and VOC2012.names[15] == "person"
    assert list(VOC2012.names[1:]) == sorted(VOC2012.names[1:])
    for label in VOC2012.labels:  # the border's colour too is that of its id
        bits = f"{label.id:024b}"[::-1]
        colour = tuple(int(bits[channel::3], 2) for channel in range(3))
        assert label.colour == colour, label
    assert (VOC2012.labels[-1].id, VOC2012.labels[-1].train_id) == (255, IGNORE)


def test_published_counts_add_up() -> None:
    counts = INFO.counts
    assert counts["train"] + counts["val"] == counts["trainval"]
    assert counts["trainaug"] == 10582 < counts["train"] + 8498 + 2857


@pytest.mark.parametrize(
    ("split", "ids"), [("train", TRAIN), ("val", VAL), ("trainval", sorted(TRAIN + VAL))]
)
def test_pixels_are_the_files(root: Path, folder: Path, split: str, ids: list[str]) -> None:
    data = voc2012(split, root)
    assert data.ids == data.groups == ids
    for index, id in enumerate(ids):
        image, mask = data[index]
        assert np.array_equal(image, _pixels(folder / f"JPEGImages/{id}.jpg"))
        assert np.array_equal(mask, _pixels(folder / f"SegmentationClass/{id}.png"))
        assert set(np.unique(mask)) <= {*range(21), IGNORE} and IGNORE in mask


def test_the_root_may_be_any_of_three_folders(root: Path, folder: Path) -> None:
    first = voc2012("trainaug", root)
    for place in (folder, folder.parent):
        data = voc2012("trainaug", place)
        assert data.samples == first.samples
        assert data.fingerprint() == first.fingerprint()


@pytest.mark.parametrize("place", [".", "VOCdevkit", "VOCdevkit/VOC2012"])
def test_trainaug_of_the_release_takes_nothing_of_val(root: Path, place: str) -> None:
    (root / "benchmark_RELEASE").rename(root / place / "benchmark_RELEASE")
    data = voc2012("trainaug", root)
    assert data.ids == TRAIN + FURTHER
    assert "2 in VOC's val were left out" in data.notes[0]
    for index, id in enumerate(data.ids):
        own = root / f"VOCdevkit/VOC2012/SegmentationClass/{id}.png"
        path = own if id in TRAIN else root / place / SBD / f"cls/{id}.mat"
        image, mask = data[index]
        assert np.array_equal(mask, _expected(path)), id
        assert image.shape[:2] == mask.shape


@pytest.mark.parametrize("name", ["trainaug.txt", "train_aug.txt"])
def test_trainaug_of_png_files(root: Path, folder: Path, name: str) -> None:
    shutil.rmtree(root / "benchmark_RELEASE")
    build_png(root)
    (folder / LISTS / "trainaug.txt").rename(folder / LISTS / name)
    data = voc2012("trainaug", root)
    assert data.ids == sorted(TRAIN + FURTHER)
    for index, id in enumerate(data.ids):
        labels = "SegmentationClass" if id in TRAIN else "SegmentationClassAug"
        assert np.array_equal(data.mask(index), _pixels(folder / f"{labels}/{id}.png")), id


def test_a_list_that_leaks_val_is_refused(root: Path, folder: Path) -> None:
    build_png(root)
    listing = folder / LISTS / "trainaug.txt"
    listing.write_text("\n".join([*TRAIN, VAL[1], *FURTHER, VAL[0]]))
    with pytest.raises(DataError) as caught:
        voc2012("trainaug", root)
    text = str(caught.value)
    assert str(listing) in text and f"2 images of VOC's val, the first {VAL[1]}" in text


@pytest.mark.parametrize(
    "line", ["{}\r\n", "{} 1\n", "\ufeff{}\n\n", "/JPEGImages/{0}.jpg /SegmentationClass/{0}.png\n"]
)
def test_only_the_ids_of_a_list_count(root: Path, folder: Path, line: str) -> None:
    lines = "".join(line.format(id) for id in TRAIN)
    text = lines[0] + lines[1:].replace("\ufeff", "")  # a mark of UTF-8 begins a file
    (folder / LISTS / "train.txt").write_bytes(text.encode())
    data = voc2012("train", root)
    assert data.ids == TRAIN
    assert data[0][1].shape == data[0][0].shape[:2]


def test_a_value_beyond_the_table(root: Path, folder: Path) -> None:
    path = root / SBD / "cls/2008_000002.mat"
    ids = _expected(path)
    ids[0, :3] = 21
    savemat(path, {"GTcls": {"Segmentation": ids}})
    with pytest.raises(DataError) as caught:
        voc2012("trainaug", root).mask(len(TRAIN))
    assert str(path) in str(caught.value) and "21 (3 pixels)" in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        {"GTinst": 1},
        {"GTcls": {"Boundaries": 1}},
        {"GTcls": {"Segmentation": np.zeros((3, 4, 3), np.uint8)}},
        {"GTcls": {"Segmentation": np.zeros((3, 4))}},
    ],
)
def test_another_matlab_file(root: Path, content: dict[str, object]) -> None:
    path = root / SBD / "cls/2008_000002.mat"
    savemat(path, content)
    with pytest.raises(DataError, match=r"2008_000002\.mat .*unpack benchmark\.tgz again"):
        voc2012("trainaug", root).mask(len(TRAIN))


@pytest.mark.parametrize("keep", [0, 3, 100, 130, 200, -20])
def test_a_damaged_matlab_file(root: Path, keep: int) -> None:
    path = root / SBD / "cls/2008_000002.mat"
    path.write_bytes(path.read_bytes()[:keep])
    data = voc2012("trainaug", root)
    with pytest.raises(DataError, match=r"2008_000002\.mat "):
        data.mask(len(TRAIN))
    assert data.mask(len(TRAIN) + 1).size


def test_what_is_missing_at_once(root: Path, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="none was given.*--data-root"):
        voc2012("train")
    with pytest.raises(DataError, match="'test'.*train, val, trainval, trainaug"):
        voc2012("test", root)
    with pytest.raises(DataError, match=f"no VOC 2012 at {tmp_path}/no .*{LISTS}.*--data-root"):
        voc2012("train", tmp_path / "no")
    shutil.rmtree(root / "benchmark_RELEASE")
    with pytest.raises(DataError, match=r"looked for SegmentationClassAug.*benchmark\.tgz"):
        voc2012("trainaug", root)
    (folder / LISTS / "val.txt").unlink()
    with pytest.raises(DataError, match=r"looked for val\.txt"):
        voc2012("val", root)
    shutil.rmtree(folder / "SegmentationClass")
    with pytest.raises(DataError, match="looked for SegmentationClass.:"):
        voc2012("train", root)


def test_a_listed_file_that_is_missing_is_told_on_reading(root: Path, folder: Path) -> None:
    (folder / f"JPEGImages/{TRAIN[1]}.jpg").unlink()
    (root / SBD / "cls/2008_000007.mat").unlink()
    data = voc2012("trainaug", root)
    for id in (TRAIN[1], "2008_000007"):
        with pytest.raises(DataError, match=id):
            data[data.ids.index(id)]


def test_it_can_be_sent_to_another_process(root: Path) -> None:
    data = voc2012("trainaug", root)
    copy = pickle.loads(pickle.dumps(data))
    assert copy.ids == data.ids
    assert np.array_equal(copy[len(TRAIN)][1], data[len(TRAIN)][1])
