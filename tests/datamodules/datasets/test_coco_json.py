"""COCO's JSON as tools write it: read as meant, or refused by row and key."""

import math
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from datamodules.datasets.coco import INFO, coco
from datamodules.labels import DataError, UInt8
from datamodules.validation.check import check
from tests.trees.coco import Row, build, write

BOX = [2, 3, 12, 3, 12, 8, 2, 8]
EXPECTED = np.zeros((20, 30), np.uint8)
EXPECTED[3:8, 2:12] = 2
Change = dict[str, Any]


def _picture(root: Path, name: str = "a.png") -> Row:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(len(name)).integers(256, size=(20, 30, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(root / name)
    return {"id": 7, "file_name": name, "height": 20, "width": 30}


def _mask(root: Path, *, image: Change = {}, row: Change = {}, kind: Change = {}) -> UInt8:  # noqa: B006
    """Of one image with one object, of which some values are others."""
    kinds = [{"id": 2, "name": "can"}, {"id": 5, "name": "cup"} | kind]
    one = {"id": 1, "image_id": 7, "category_id": 5, "segmentation": [BOX], "iscrowd": 0}
    write(root / "train.json", [_picture(root) | image], [one | row], kinds)
    return coco("train", root).mask(0)


@pytest.mark.parametrize(
    "change",
    [
        {"image": {"height": 20.0, "width": 30.0}},
        {"image": {"height": "20", "width": "30.0"}},
        {"image": {"id": "7"}},
        {"image": {"id": "7"}, "row": {"image_id": "7.0"}},
        {"image": {"id": "a7"}, "row": {"image_id": "a7"}},
        {"image": {"id": "007"}, "row": {"image_id": "007"}},
        {"image": {"file_name": ".\\a.png"}},
        {"image": {"file_name": "./a.png"}},
        {"row": {"category_id": "5"}},
        {"row": {"category_id": 5.0, "id": "x1"}},
        {"kind": {"id": "5", "name": "cup"}},
        {"row": {"segmentation": BOX}},
        {"row": {"segmentation": [[str(number) for number in BOX]]}},
        {"row": {"iscrowd": None}},
        {"row": {"iscrowd": "0"}},
        {"row": {"iscrowd": False}},
    ],
    ids=str,
)
def test_what_is_meant_is_read(tmp_path: Path, change: dict[str, Change]) -> None:
    assert np.array_equal(_mask(tmp_path, **change), EXPECTED)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"image": {"height": None}}, "None for height in row 0 of images"),
        ({"image": {"height": math.nan}}, "nan for height in row 0"),
        ({"image": {"width": 30.5}}, "30.5 for width in row 0"),
        ({"image": {"width": True}}, "True for width"),
        ({"image": {"width": "wide"}}, "'wide' for width"),
        ({"image": {"width": 0}}, "0 for width"),
        ({"image": {"height": -20}}, "-20 for height"),
        ({"image": {"height": 10**9}}, "1000000000 for height"),
        ({"image": {"height": "9" * 5000}}, "9... for height"),
        ({"image": {"id": math.inf}}, "inf for id in row 0 of images"),
        ({"image": {"id": None}}, "None for id"),
        ({"image": {"id": [7]}}, "for id"),
        ({"image": {"file_name": 7}}, "7 for file_name in row 0"),
        ({"image": {"file_name": ""}}, "'' for file_name"),
        ({"image": {"file_name": "a/.."}}, "for file_name"),
        ({"image": {"file_name": "a\0.png"}}, "for file_name"),
        ({"row": {"image_id": True}}, "True for image_id in row 0 of annotations"),
        ({"row": {"category_id": {}}}, "{} for category_id in row 0 of annotations"),
        ({"row": {"category_id": "cup"}}, "'cup' for category_id"),
        ({"row": {"id": math.nan}}, "nan for id in row 0 of annotations"),
        ({"row": {"iscrowd": "no"}}, "'no' for iscrowd"),
        ({"kind": {"id": False}}, "False for id in row 1 of categories"),
        ({"kind": {"name": None}}, "None for name in row 1"),
        ({"kind": {"name": " "}}, "for name in row 1"),
        ({"row": {"segmentation": None}}, "id 1, .*segmentation is null"),
        ({"row": {"segmentation": {"size": 7, "counts": []}}}, "its size is 7"),
        ({"row": {"segmentation": {"size": [20, 30]}}}, "its counts are neither"),
        ({"row": {"segmentation": [BOX, 7]}}, "no polygons"),
        ({"row": {"segmentation": [[[x, x] for x in range(6)]]}}, "pairs of x and y"),
        ({"row": {"segmentation": BOX[:5]}}, "pairs of x and y"),
        ({"row": {"segmentation": [None] * 6}}, "far outside"),
    ],
    ids=str,
)
def test_what_is_not_to_be_told_is_refused(
    tmp_path: Path, change: dict[str, Change], text: str
) -> None:
    with pytest.raises(DataError, match=text) as caught:
        _mask(tmp_path, **change)
    said = str(caught.value)
    assert said.startswith(str(tmp_path / "train.json")) and len(said.splitlines()) == 1
    assert "Error" not in said and "NoneType" not in said


@pytest.mark.parametrize("depth", [10, 100_000])
def test_a_json_that_is_nested(tmp_path: Path, depth: int) -> None:
    (tmp_path / "train.json").write_text('{"images": ' + "[" * depth + "]" * depth + "}")
    with pytest.raises(DataError, match=r"train\.json (is nested too deeply|has no list)"):
        coco("train", tmp_path)


def test_categories_of_one_name_are_told_apart(tmp_path: Path) -> None:
    """As in Roboflow's files, whose first category is of no object."""
    names = ["mold", "leaf", "mold", unicodedata.normalize("NFD", "잎"), "잎", "background"]
    kinds = [{"id": id, "name": name} for id, name in enumerate(names)]
    row = {"id": 1, "image_id": 7, "category_id": 2, "segmentation": [BOX]}
    write(tmp_path / "train.json", [_picture(tmp_path)], [row], kinds)
    data = coco("train", tmp_path)
    expected = ("background", "mold (0)", "leaf", "mold (2)", "잎 (3)", "잎 (4)")
    assert data.labels.names == expected
    assert np.unique(data.mask(0)).tolist() == [0, 3]
    assert "categories of one name (2 mold, 2 잎) are told apart by their ids" in data.notes


def _roboflow(root: Path) -> Path:
    for number, split in enumerate(("train", "valid", "test")):
        name = f"{split}{'x' * number}.png"
        write(root / "new.json", [_picture(root / split, name)], [], [{"id": 0, "name": "leaf"}])
        (root / "new.json").rename(root / split / "_annotations.coco.json")
    return root


def _root_json(root: Path) -> Path:
    build(root)
    (root / "val.json").rename(root / "validation.json")
    return root


def _in_annotations(root: Path) -> Path:
    build(root)
    (root / "annotations").mkdir()
    for split in ("train", "val", "test"):
        (root / f"{split}.json").rename(root / f"annotations/{split}.json")
    (root / "annotations/._train.json").write_bytes(b"\0\5\x16\7")  # of macOS
    return root


@pytest.mark.parametrize("tree", [_roboflow, _root_json, _in_annotations])
def test_splits_by_other_names(tmp_path: Path, tree: Callable[[Path], Path]) -> None:
    tree(tmp_path)
    assert INFO.splits and list(INFO.splits(tmp_path))[:3] == ["train", "val", "test"]
    for split in ("train", "val", "test"):
        data = coco(split, tmp_path)
        assert all(sample.image.is_file() for sample in data.samples)
        data.image(0)
    assert coco("valid", tmp_path).ids == coco("val", tmp_path).ids


def test_json_files_of_something_else_are_left_out_and_counted(tmp_path: Path) -> None:
    build(tmp_path)
    before = coco("train", tmp_path)
    (tmp_path / "package.json").write_text('{"name": "images"}')
    (tmp_path / "results.json").write_text('[{"image_id": 7, "score": 1}]')
    (tmp_path / "cut.json").write_text("{")
    (tmp_path / "._train.json").write_bytes(b"\0\5\x16\7")
    data = coco("train", tmp_path)
    assert data.ids == before.ids and data.fingerprint() == before.fingerprint()
    assert data.notes[-1].startswith("3 JSON files are left out")
    assert "package.json" in data.notes[-1]
    assert INFO.splits and list(INFO.splits(tmp_path)) == ["train", "val", "test", "train_all"]


def test_a_folder_without_json_is_one_sentence(tmp_path: Path) -> None:
    for ask in (coco, lambda split, root: check("coco", root)):
        with pytest.raises(DataError, match=r"no COCO annotations at .*_annotations\.coco\.json"):
            ask("train", tmp_path)


@pytest.mark.parametrize("name", ["../a.png", "/etc/a.png", "images/../../a.png"])
def test_names_that_lead_out_of_the_root(tmp_path: Path, name: str) -> None:
    root = tmp_path / "root"
    inside = _picture(root)
    _picture(tmp_path)
    rows = [inside, {**inside, "id": 8, "file_name": name}]
    write(root / "train.json", rows, [], [{"id": 1, "name": "x"}])
    with pytest.raises(DataError, match=r"train\.json lists '.*a\.png', which is not below"):
        coco("train", root)


@pytest.mark.parametrize("name", ["{root}/photos/a.png", "../photos/a.png", "가/é.png"])
def test_names_that_stay_within_it(tmp_path: Path, name: str) -> None:
    there = name.removeprefix("{root}/").removeprefix("../")
    picture = _picture(tmp_path, unicodedata.normalize("NFD", there))
    picture["file_name"] = name.format(root=tmp_path)
    (tmp_path / "annotations").mkdir()
    where = tmp_path / "annotations/instances_train.json"
    write(where, [picture], [], [{"id": 1, "name": "x"}])
    data = coco("train", tmp_path)
    assert data.samples[0].image.is_file() and not data.ids[0].startswith(".")


def test_a_category_that_no_split_for_training_shares(tmp_path: Path) -> None:
    build(tmp_path)
    (tmp_path / "train.json").unlink()
    report = check("coco", tmp_path)
    (text,) = [f.text for f in report.errors if f.kind == "no split"]
    assert text.startswith("there is no split train, only val, test, train_all: add it")
    assert not check("coco", tmp_path, ["val"]).refused
