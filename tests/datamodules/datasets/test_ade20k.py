"""ADE20K on a made-up root in the benchmark's layout."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules.datasets.ade20k import ADE20K, INFO, ade20k
from datamodules.labels import IGNORE, DataError, UInt8
from tests.trees.ade20k import SIZES, build


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For tests that change nothing in it."""
    root = tmp_path_factory.mktemp("ade") / "ADEChallengeData2016"
    build(root)
    return root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    build(tmp_path)
    return tmp_path


def _pixels(path: Path) -> UInt8:
    with Image.open(path) as file:
        return np.array(file)


def test_names_and_colours_of_the_benchmark() -> None:
    assert ADE20K.num_classes == 150
    assert len(ADE20K.labels) == 151
    assert len(set(ADE20K.names)) == 150
    names = ADE20K.names
    assert names[:5] == ("wall", "building", "sky", "floor", "tree")
    assert (names[12], names[20], names[80], names[149]) == ("person", "car", "bus", "flag")
    colours = [label.colour for label in ADE20K.classes]
    assert colours[names.index("person")] == (150, 5, 61)
    assert colours[names.index("chest of drawers")] == (6, 51, 255)
    assert colours[names.index("flag")] == (92, 0, 255)
    # The one pair that the benchmark paints alike.
    alike = {a for a, c in zip(names, colours, strict=True) if colours.count(c) > 1}
    assert alike == {"road", "skyscraper"}


def test_the_order_of_ids_and_groups(tree: Path) -> None:
    data = ade20k("train", tree)
    assert data.ids == [f"ADE_train_{i:08}" for i in range(1, 7)]
    assert data.groups == data.ids
    assert ade20k("val", tree).ids == ["ADE_val_00000001", "ADE_val_00000002", "ADE_val_00000003"]


def test_the_folder_that_holds_it_will_do(tree: Path) -> None:
    assert ade20k("val", tree.parent).samples == ade20k("val", tree).samples


@pytest.mark.parametrize("split", ["train", "val"])
def test_pixels_are_the_files(tree: Path, split: str) -> None:
    data = pickle.loads(pickle.dumps(ade20k(split, tree)))  # as another process gets it
    folder = {"train": "training", "val": "validation"}[split]
    for index, (width, height) in enumerate(SIZES[split]):
        image, mask = data[index]
        assert image.shape == (height, width, 3)
        with Image.open(tree / f"images/{folder}/{data.ids[index]}.jpg") as file:
            assert np.array_equal(image, np.array(file.convert("RGB")))
        ids = _pixels(tree / f"annotations/{folder}/{data.ids[index]}.png")
        expected = [[IGNORE if v == 0 else v - 1 for v in row] for row in ids.tolist()]
        assert mask.tolist() == expected


def test_a_grey_photo_is_read_as_rgb(tree: Path) -> None:
    assert _pixels(tree / "images/training/ADE_train_00000002.jpg").ndim == 2
    image = ade20k("train", tree).image(1)
    assert image.shape == (64, 48, 3) and (image == image[..., :1]).all()


def test_every_value_of_a_byte(root: Path) -> None:
    """0 is ignored, 1 to 150 are one less, and anything else is refused."""
    data = ade20k("train", root)
    path = root / "annotations/training/ADE_train_00000001.png"
    for value in range(256):
        Image.fromarray(np.full((2, 3), value, np.uint8)).save(path)
        if value <= 150:
            expected = 255 if value == 0 else value - 1
            assert data.mask(0).tolist() == [[expected] * 3] * 2
        else:
            with pytest.raises(DataError) as caught:
                data.mask(0)
            assert str(path) in str(caught.value)
            assert f" {value} (6 pixels)" in str(caught.value)


def test_nothing_is_mapped_twice(tree: Path) -> None:
    mask = ade20k("train", tree).mask(0)
    with pytest.raises(TypeError, match="once; got ndarray"):
        ADE20K.to_train(mask)  # type: ignore[arg-type]


@pytest.mark.parametrize("lost", ["images/training", "annotations/training"])
def test_a_pair_of_which_one_is_missing_stays_a_sample(root: Path, lost: str) -> None:
    before = ade20k("train", root)
    (path,) = (root / lost).glob("ADE_train_00000003.*")
    path.unlink()
    after = ade20k("train", root)
    assert after.samples == before.samples
    with pytest.raises(DataError) as caught:
        after[2]
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("lost", ["images/validation", "annotations/validation"])
def test_no_folder_of_a_split(root: Path, lost: str) -> None:
    (root / lost).rename(root / "moved")
    assert len(ade20k("train", root)) == 6
    with pytest.raises(DataError) as caught:
        ade20k("val", root)
    text = str(caught.value)
    assert str(root.absolute()) in text and f"looked for {lost})" in text
    assert "ADEChallengeData2016.zip" in text and "--data-root" in text


def test_no_root_unknown_splits_and_empty_folders(root: Path) -> None:
    with pytest.raises(DataError, match="none was given.*--data-root"):
        ade20k("train")
    with pytest.raises(DataError, match="'test'.*train, val"):
        ade20k("test", root)
    for path in root.glob("*/validation/*"):
        path.unlink()
    with pytest.raises(DataError, match=r"images/validation holds no images"):
        ade20k("val", root)


def test_what_it_says_of_itself() -> None:
    assert INFO.counts == {"train": 20210, "val": 2000}
    assert INFO.test_split == "val"
    (archive,) = INFO.downloads()
    assert archive.url.endswith("/ADEChallengeData2016.zip")
    assert len(archive.digest.removeprefix("sha1:")) == 40
