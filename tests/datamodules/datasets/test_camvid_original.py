"""The original CamVid of 32 colours, on a small tree and against the real lists where they are."""

import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules.datasets.camvid import CAMVID, INFO, ORIGINAL, PAINTED, SPLITS, STILLS, camvid
from datamodules.labels import IGNORE, DataError, UInt8
from tests.trees.camvid import LABEL_COLOURS, NAMES, REAL, build, build_original, needs_real

# The published grouping, by names; Void is the one that is none of the 11.
GROUPS = {
    "Sky": ["Sky"],
    "Building": ["Bridge", "Building", "Wall", "Tunnel", "Archway"],
    "Pole": ["Column_Pole", "TrafficCone"],
    "Road": ["Road", "LaneMkgsDriv", "LaneMkgsNonDriv"],
    "Pavement": ["Sidewalk", "ParkingBlock", "RoadShoulder"],
    "Tree": ["Tree", "VegetationMisc"],
    "SignSymbol": ["SignSymbol", "Misc_Text", "TrafficLight"],
    "Fence": ["Fence"],
    "Car": ["Car", "SUVPickupTruck", "Truck_Bus", "Train", "OtherMoving"],
    "Pedestrian": ["Pedestrian", "Child", "CartLuggagePram", "Animal"],
    "Bicyclist": ["Bicyclist", "MotorcycleScooter"],
}
CLASS = {name: CAMVID.names.index(group) for group, names in GROUPS.items() for name in names}
PUBLISHED = {
    name: (int(red), int(green), int(blue))
    for red, green, blue, name in map(str.split, LABEL_COLOURS.splitlines())
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    build_original(tmp_path)
    return tmp_path


def _pixels(path: Path) -> UInt8:
    with Image.open(path) as file:
        return np.array(file)


def test_the_32_colours_are_the_published_ones_in_their_groups() -> None:
    assert {label.name: label.colour for label in ORIGINAL.labels} == PUBLISHED
    assert len(set(PUBLISHED.values())) == 32
    assert set(CLASS) == set(PUBLISHED) - {"Void"}
    for label in ORIGINAL.labels:
        assert label.train_id == CLASS.get(label.name, IGNORE), label.name


def test_each_pixel_has_the_class_of_its_colour(root: Path) -> None:
    of_colour = {colour: CLASS.get(name, IGNORE) for name, colour in PUBLISHED.items()}
    for split in SPLITS:
        data = camvid(split, root)
        assert data.labels is CAMVID
        for index, name in enumerate(data.ids):
            image, mask = data[index]
            assert np.array_equal(image, _pixels(root / f"{STILLS}/{name}.png"))
            painted = _pixels(root / f"{PAINTED}/{name}_L.png")
            expected = [[of_colour[tuple(pixel)] for pixel in row] for row in painted.tolist()]
            assert np.array_equal(mask, expected)
            assert set(np.unique(mask)) == {*range(11), IGNORE}


def test_splits_groups_and_seconds(root: Path) -> None:
    for split, names in NAMES.items():
        data = camvid(split, root)
        assert data.ids == sorted(names)
        assert data.groups == [name.split("_")[0] for name in data.ids]
    test = camvid("test", root)
    assert [sample.second for sample in test.samples] == [285.0, 346.0, 0.0, 170.0]


def test_the_tutorial_has_the_same_splits(
    root: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    tutorial = tmp_path_factory.mktemp("tutorial")
    build(tutorial)
    for split in SPLITS:
        assert camvid(split, root).ids == camvid(split, tutorial).ids
        assert camvid(split, tutorial)[0][1].shape == (48, 64)


@needs_real
def test_the_rule_gives_the_real_lists(tmp_path: Path) -> None:
    real = {split: camvid(split, REAL).ids for split in SPLITS}
    for folder in (STILLS, PAINTED):
        (tmp_path / folder).mkdir()
    for names in real.values():
        for name in names:
            (tmp_path / STILLS / f"{name}.png").touch()
    for split, names in real.items():
        data = camvid(split, tmp_path)
        assert data.ids == names
        assert len(data) == INFO.counts[split]


def test_lists_come_first_where_both_layouts_lie(root: Path) -> None:
    build(root)
    assert camvid("val", root).samples[0].image.parent == root / "val"


def test_a_colour_that_is_none_of_the_32(root: Path) -> None:
    path = root / PAINTED / "0016E5_07959_L.png"
    painted = _pixels(path)
    painted[0, :3] = (1, 2, 3)
    Image.fromarray(painted).save(path)
    with pytest.raises(DataError) as caught:
        camvid("val", root)[0]
    assert str(path) in str(caught.value) and "(1, 2, 3) (3 pixels)" in str(caught.value)
    assert camvid("val", root)[1][1].shape == (48, 64)


def test_an_image_or_a_label_that_lacks_is_still_listed(root: Path) -> None:
    (root / STILLS / "0001TP_006690.png").unlink()
    (root / PAINTED / "0016E5_08190_L.png").unlink()
    data = camvid("train", root)
    assert data.ids == sorted(NAMES["train"])
    for index in (data.ids.index("0001TP_006690"), data.ids.index("0016E5_08190")):
        with pytest.raises(DataError, match=data.ids[index]):
            data[index]


def test_missing_folders_and_foreign_names(root: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        camvid("train", tmp_path / "nowhere")
    text = str(caught.value)
    assert str((tmp_path / "nowhere").absolute()) in text
    assert "train.txt" in text and STILLS in text and "--data-root" in text
    Image.new("RGB", (4, 4)).save(root / STILLS / "cover.png")
    with pytest.raises(DataError, match=r"cover\.png"):
        camvid("train", root)
    shutil.rmtree(root / PAINTED)
    with pytest.raises(DataError, match=f"looked for {PAINTED}"):
        camvid("train", root)


def test_a_split_without_images(root: Path) -> None:
    for folder in (STILLS, PAINTED):
        for path in (root / folder).glob("0016E5_0[78]*"):
            path.unlink()
    with pytest.raises(DataError, match="no image of the split val"):
        camvid("val", root)


def test_it_can_be_sent_to_another_process(root: Path) -> None:
    data = camvid("test", root)
    copy = pickle.loads(pickle.dumps(data))
    assert copy.ids == data.ids
    assert np.array_equal(copy[2][1], data[2][1])
