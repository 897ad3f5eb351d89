"""COCO's JSON: masks against rectangles by hand, slow loops, and an encoder of run lengths."""

import json
import pickle
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pycocotools import mask as rle

from datamodules.datasets.coco import INFO, coco
from datamodules.image_files import ImageFileDataset
from datamodules.labels import IGNORE, DataError
from tests.trees.coco import (
    STUFF,
    THINGS,
    TRASH,
    Row,
    build,
    build_coco,
    build_panoptic,
    write,
)

HEIGHT, WIDTH = 20, 30
PHOTO = {"id": 7, "file_name": "a.png", "height": HEIGHT, "width": WIDTH}
KINDS = [{"id": 2, "name": "can"}, {"id": 5, "name": "cup"}]


def _open(
    root: Path, rows: Sequence[Row], kinds: Sequence[Row] = KINDS, image: Row = PHOTO
) -> ImageFileDataset:
    """A split of one image, with a second one of which nothing is known."""
    empty = {**image, "id": 8, "file_name": "empty.png"}
    for row in (image, empty):
        path = root / row["file_name"]
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (WIDTH, HEIGHT)).save(path)
    write(root / "train.json", [image, empty], rows, kinds)
    return coco("train", root)


def _row(shape: object, *, id: int = 1, category: int = 5, crowd: int = 0) -> Row:
    row = {"id": id, "image_id": 7, "category_id": category, "iscrowd": crowd}
    return {**row, "segmentation": shape, "area": 12.5}


def _box(x: int, y: int, width: int, height: int) -> list[list[int]]:
    return [[x, y, x + width, y, x + width, y + height, x, y + height]]


def _runs(pixels: np.ndarray) -> list[int]:
    """Run lengths down the columns, in a loop; they begin with those of nothing."""
    counts, last = [0], False
    for value in pixels.T.reshape(-1).tolist():
        if value != last:
            counts.append(0)
            last = value
        counts[-1] += 1
    return counts


def test_background_and_categories_by_their_ids(tmp_path: Path) -> None:
    rows = [_row(_box(2, 3, 10, 5)), _row(_box(20, 0, 10, 4), id=2, category=2)]
    data = _open(tmp_path, rows)
    expected = np.zeros((HEIGHT, WIDTH), np.uint8)
    expected[3:8, 2:12] = 2
    expected[:4, 20:] = 1
    assert data.labels.names == ("background", "can", "cup")
    assert data.labels.palette[:3] == b"\0\0\0"
    image, mask = data[0]
    assert np.array_equal(mask, expected) and mask.dtype == np.uint8
    assert image.shape == (HEIGHT, WIDTH, 3)
    assert not data.mask(1).any()  # an image without annotations is all background


def test_a_polygon_is_what_lies_inside(tmp_path: Path) -> None:
    """By the even-odd rule at the centres of pixels, but for those that the outline touches."""
    corners = [(3.2, 2.1), (26.7, 5.4), (14.9, 9.3), (22.5, 17.8), (5.1, 15.2)]
    data = _open(tmp_path, [_row([[value for corner in corners for value in corner]])])
    mask, inside, checked = data.mask(0), 0, 0
    for y in range(HEIGHT):
        for x in range(WIDTH):
            crossings, nearest = 0, np.inf
            for (x1, y1), (x2, y2) in zip(corners, corners[1:] + corners[:1], strict=True):
                along = ((x + 0.5 - x1) * (x2 - x1) + (y + 0.5 - y1) * (y2 - y1)) / (
                    (x2 - x1) ** 2 + (y2 - y1) ** 2
                )
                along = min(1.0, max(0.0, along))
                away = (x1 + along * (x2 - x1) - x - 0.5, y1 + along * (y2 - y1) - y - 0.5)
                nearest = min(nearest, float(np.hypot(*away)))
                if (y1 > y + 0.5) != (y2 > y + 0.5):
                    crossings += x + 0.5 < x1 + (y + 0.5 - y1) / (y2 - y1) * (x2 - x1)
            if nearest > 0.75:
                assert mask[y, x] == (2 if crossings % 2 else 0), (x, y)
                inside, checked = inside + crossings % 2, checked + 1
    assert inside > 100 and checked > 400


def test_an_object_may_have_several_parts_and_reach_outside(tmp_path: Path) -> None:
    data = _open(tmp_path, [_row(_box(-5, -5, 8, 9) + _box(28, 18, 9, 9))])
    expected = np.zeros((HEIGHT, WIDTH), np.uint8)
    expected[:4, :3] = expected[18:, 28:] = 2
    assert np.array_equal(data.mask(0), expected)


@pytest.mark.parametrize("first", [False, True])
def test_run_lengths(tmp_path: Path, first: bool) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.random((HEIGHT, WIDTH)) < 0.3
    pixels[0, 0] = first
    packed = rle.encode(np.asfortranarray(pixels, np.uint8))
    shapes = [
        {"size": [HEIGHT, WIDTH], "counts": _runs(pixels)},
        {"size": [HEIGHT, WIDTH], "counts": packed["counts"].decode()},
    ]
    for shape in shapes:
        data = _open(tmp_path, [_row(shape)])
        assert np.array_equal(data.mask(0), pixels * 2)
        (tmp_path / "train.json").unlink()


def test_the_smaller_object_lies_on_top(tmp_path: Path) -> None:
    large, small = _box(0, 0, 20, 20), _box(5, 5, 4, 4)
    for ids in ((1, 2), (2, 1)):
        rows = [_row(large, id=ids[0], category=2), _row(small, id=ids[1], category=5)]
        mask = _open(tmp_path / f"{ids[0]}", rows).mask(0)
        assert mask[6, 6] == 2 and mask[0, 0] == mask[10, 10] == 1


def test_of_equal_objects_the_higher_id_lies_on_top(tmp_path: Path) -> None:
    rows = [
        _row(_box(0, 0, 6, 6), id=30, category=2),
        _row(_box(3, 0, 6, 6), id=9, category=5),
    ]
    mask = _open(tmp_path, rows).mask(0)
    assert mask[0, :9].tolist() == [1] * 6 + [2] * 3


def test_crowds_lie_below_everything(tmp_path: Path) -> None:
    crowd = np.zeros((HEIGHT, WIDTH), bool)
    crowd[2:4, 2:4] = True
    shape = {"size": [HEIGHT, WIDTH], "counts": _runs(crowd)}
    rows = [
        _row(shape, id=9, category=2, crowd=1),
        _row(_box(3, 0, WIDTH - 3, HEIGHT), id=1, category=5),
    ]
    mask = _open(tmp_path, rows).mask(0)
    assert mask[2:4, 2:4].tolist() == [[1, 2], [1, 2]]
    assert mask[0, 0] == 0


def test_many_objects_are_painted_in_the_stated_order(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows, painted = [], np.zeros((HEIGHT, WIDTH), np.uint8)
    for id in rng.permutation(60).tolist():
        x, y, width, height = rng.integers(1, 10, size=4).tolist()
        crowd = np.zeros((HEIGHT, WIDTH), bool)
        crowd[y : y + height, x : x + width] = True
        counted = {"size": [HEIGHT, WIDTH], "counts": _runs(crowd)}
        shape = counted if id % 5 == 0 else _box(x, y, width, height)
        kind = int(rng.choice([2, 5]))
        rows.append(
            _row(shape, id=id, category=kind, crowd=id % 5 == 0) | {"box": (x, y, width, height)}
        )
    for row in sorted(rows, key=lambda r: (-r["iscrowd"], -r["box"][2] * r["box"][3], r["id"])):
        x, y, width, height = row["box"]
        painted[y : y + height, x : x + width] = 1 if row["category_id"] == 2 else 2
    assert np.array_equal(_open(tmp_path, rows).mask(0), painted)


IDS = st.sets(st.integers(0, 65535), min_size=1, max_size=12)


@settings(max_examples=25, deadline=None)
@given(ids=IDS, background=st.booleans(), panoptic=st.booleans())
def test_any_ids_become_the_classes_in_their_order(
    tmp_path_factory: pytest.TempPathFactory, ids: set[int], background: bool, panoptic: bool
) -> None:
    """A category a row of pixels; the last row has none."""
    root = tmp_path_factory.mktemp("ids")
    order = sorted(ids)
    if background:  # the highest id, so that its order alone would put it last
        order = [order[-1], *order[:-1]]
    kinds = [{"id": i, "name": f"kind {i}"} for i in sorted(ids, reverse=True)]
    if background:
        kinds[0]["name"] = "Background"
    if panoptic:
        data = _panoptic(root, np.repeat([[*range(1, len(ids) + 1), 0]], WIDTH, 0).T, order, kinds)
        expected = [*range(len(ids)), IGNORE]
    else:
        rows = [_row(_box(0, n, WIDTH, 1), id=n, category=i) for n, i in enumerate(order)]
        data = _open(root, rows, kinds)
        expected = [*range(len(ids)), 0] if background else [*range(1, len(ids) + 1), 0]
    mask = data.mask(0)[: len(expected)]
    assert np.array_equal(mask, np.repeat([expected], WIDTH, 0).T)
    names = [kind["name"] for i in order for kind in kinds if kind["id"] == i]
    without = background or panoptic
    assert list(data.labels.names) == (names if without else ["background", *names])
    colours = [label.colour for label in data.labels.classes]
    assert len(set(colours)) == len(colours)


def _panoptic(
    root: Path, segments: np.ndarray, categories: Sequence[int], kinds: Sequence[Row]
) -> ImageFileDataset:
    """One image, whose n-th segment, but for 0, has the n-th category."""
    folder = root / "annotations/panoptic_val2017"
    folder.mkdir(parents=True)
    colours = np.stack([segments % 256, segments // 256 % 256, segments // 65536], axis=-1)
    Image.fromarray(colours.astype(np.uint8)).save(folder / "a.png")
    image = {**PHOTO, "file_name": "a.jpg"}
    Image.new("RGB", segments.shape[::-1]).save(root / "a.jpg")
    values = [value for value in np.unique(segments).tolist() if value]
    info = [{"id": v, "category_id": c} for v, c in zip(values, categories, strict=True)]
    row = {"image_id": 7, "file_name": "a.png", "segments_info": info}
    write(folder.with_suffix(".json"), [image], [row], kinds)
    return coco("val", root)


def test_panoptic_ids_are_red_green_blue(tmp_path: Path) -> None:
    segments = np.array([[0, 1, 258], [65536 + 512 + 3, 0, 256]])
    kinds = [{"id": 9, "name": "sky"}, {"id": 4, "name": "sea"}]
    data = _panoptic(tmp_path, segments, [9, 4, 4, 9], kinds)  # of 1, 256, 258 and 66051
    assert data.labels.names == ("sea", "sky")
    assert data.mask(0).tolist() == [[IGNORE, 1, 0], [1, IGNORE, 0]]
    assert data.labels.classes[0].colour != (0, 0, 0)  # which shows what is not scored


def test_panoptic_segments_that_the_json_lacks(tmp_path: Path) -> None:
    data = _panoptic(tmp_path, np.array([[1, 2]]), [2, 5], KINDS)
    path = data.samples[0].mask
    assert path is not None
    Image.fromarray(np.array([[[1, 0, 0], [77, 1, 0]]], np.uint8)).save(path)
    with pytest.raises(DataError, match=r"a\.png has 1 segments .*val2017\.json.* first 333"):
        data.mask(0)
    Image.fromarray(np.array([[1, 2]], np.uint8)).save(path)
    with pytest.raises(DataError, match=r"a\.png has one channel"):
        data.mask(0)


def test_a_competition_tree(tmp_path: Path) -> None:
    build(tmp_path)
    assert INFO.splits is not None
    assert INFO.splits(tmp_path) == ["train", "val", "test", "train_all"]
    data = {split: coco(split, tmp_path) for split in INFO.splits(tmp_path)}
    assert data["train"].labels.names == ("background", *TRASH)
    assert data["train"].ids[:2] == ["batch_01_vt-0003", "batch_01_vt-0004"]
    assert set(data["train"].groups) == {"batch_01_vt", "batch_02_vt"}
    for smaller, larger in INFO.nested:
        assert {*data[smaller].ids} < {*data[larger].ids}
    for split in ("train", "val", "train_all"):
        for index in range(len(data[split])):
            assert 3 < len(np.unique(data[split][index][1])) <= 11
    assert [sample.mask for sample in data["test"].samples] == [None, None]
    assert (data["test"][0][1] == IGNORE).all()
    assert "no annotations" in data["test"].notes[0]


def test_the_trees_of_coco(tmp_path: Path) -> None:
    build_coco(tmp_path / "instances")
    build_panoptic(tmp_path / "panoptic")
    for kind, names in (("instances", THINGS), ("panoptic", STUFF)):
        for split in ("train", "val"):
            data = coco(split, tmp_path / kind)
            assert data.labels.names[-len(names) :] == tuple(names.values())
            assert data.ids == data.groups == [sample.image.stem for sample in data.samples]
            for index in range(len(data)):
                assert len(np.unique(data[index][1])) == 5  # with background, or ignore
    assert data.samples[0].image == tmp_path / "panoptic/val2017/000000000139.jpg"


@pytest.mark.parametrize(
    ("listing", "folder"),
    [
        ("train.json", ""),
        ("train.json", "train"),
        ("train.json", "train2017"),
        ("annotations/instances_train.json", "images"),
        ("annotations/instances_train2014.json", "train2014"),
        ("annotations/instances_train2017.json", "train2017"),
    ],
)
def test_where_images_may_lie(tmp_path: Path, listing: str, folder: str) -> None:
    images = [{**PHOTO, "id": n, "file_name": f"{n}.png"} for n in range(3)]
    (tmp_path / folder).mkdir(exist_ok=True)
    (tmp_path / listing).parent.mkdir(exist_ok=True)
    write(tmp_path / listing, images, [], KINDS)
    with pytest.raises(DataError, match=r"lists the image 0\.png, which is in none of"):
        coco("train", tmp_path)
    Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / folder / "0.png")
    data = coco("train", tmp_path)  # the first alone decides; the check names the others
    assert [sample.image for sample in data.samples] == [
        tmp_path / folder / f"{n}.png" for n in range(3)
    ]


def test_what_is_missing_or_there_twice(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="none was given.*--data-root"):
        coco("train")
    with pytest.raises(DataError, match=f"{tmp_path}/no .*<split>.json.*panoptic_.*--data-root"):
        coco("train", tmp_path / "no")
    build_panoptic(tmp_path)
    with pytest.raises(DataError, match="no split 'test': name one of train, val"):
        coco("test", tmp_path)
    masks = tmp_path / "annotations/panoptic_val2017"
    shutil.rmtree(masks)
    with pytest.raises(DataError, match=f"unpack its PNGs as {masks}"):
        coco("val", tmp_path)
    listing = masks.with_suffix(".json")
    shutil.copy(listing, listing.with_name("panoptic_val2014.json"))
    with pytest.raises(DataError, match=r"panoptic_val2014\.json, .*panoptic_val2017\.json"):
        coco("val", tmp_path)


def test_splits_need_the_same_categories(tmp_path: Path) -> None:
    _open(tmp_path, [])
    kinds = [{"id": 2, "name": "can"}, {"id": 5, "name": "mug"}, {"id": 6, "name": "jar"}]
    write(tmp_path / "val.json", [PHOTO], [], kinds)
    for split, only, others in (
        ("train", "5 cup", "5 mug, 6 jar"),
        ("val", "5 mug, 6 jar", "5 cup"),
    ):
        with pytest.raises(
            DataError, match=f"first has {only}, only the second {others}"
        ) as caught:
            coco(split, tmp_path)
        assert str(tmp_path / "train.json") in str(caught.value)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"images": None}, "no list 'images'"),
        ({"annotations": None}, "no list 'annotations'"),
        ({"categories": {}}, "no list 'categories'"),
        ({"images": []}, "1 unknown image ids, such as 7"),
        ({"images": [], "annotations": []}, "lists no images"),
        ({"images": [{"id": 7, "file_name": "a.png"}]}, "no height, width in row 0 of images"),
        ({"annotations": [{"id": 1}]}, "no image_id, category_id, segmentation in row 0"),
        ({"annotations": [3]}, "in row 0 of annotations"),
        ({"categories": [{"id": 2}]}, "no name in row 0 of categories"),
        ({"annotations": [_row([], category=77)]}, "1 unknown category ids, such as 77"),
        ({"annotations": [{**_row([]), "image_id": 99}]}, "1 unknown image ids, such as 99"),
        ({"images": [PHOTO, {**PHOTO, "id": 1, "file_name": "a.jpg"}]}, "a.png and a.jpg, both a"),
        ({"images": [PHOTO, {**PHOTO, "file_name": "b.png"}]}, "lists images of the same id"),
        ({"categories": [*KINDS, *KINDS]}, "no label table: ids must be distinct"),
        ({"categories": [*KINDS, {"id": 65536, "name": "x"}]}, "no label table: ids must"),
        ({"categories": [*KINDS, {"id": "3a", "name": "x"}]}, "'3a' for id in row 2 of categories"),
        ({"categories": [{"id": n, "name": "x"} for n in range(254)]}, "255 classes do not fit"),
    ],
)
def test_a_json_that_cannot_be_used(tmp_path: Path, change: Row, text: str) -> None:
    _open(tmp_path, [_row(_box(0, 0, 3, 3))])
    path = tmp_path / "train.json"
    content = {**json.loads(path.read_text()), **change}
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))
    with pytest.raises(DataError, match=text) as caught:
        coco("train", tmp_path)
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "\xff\xfe", '{"images": [1'])
def test_a_damaged_json(tmp_path: Path, text: str) -> None:
    (tmp_path / "train.json").write_text(text, "latin-1")
    with pytest.raises(
        DataError, match=r"train\.json (is empty|is not UTF-8|is not JSON|has no list)"
    ):
        coco("train", tmp_path)


RUNS = {"size": [HEIGHT, WIDTH], "counts": [0, 600]}


@pytest.mark.parametrize(
    "shape",
    [
        [],
        [[]],
        [[1, 2, 3, 4]],
        ["abcdef"],
        [["a"] * 6],
        [[1, 2, 3, 4, 5, 6, 7]],
        [[1, 2, np.nan, 4, 5, 6]],
        [[1, 2, 3, 4, 5, -1e9]],
        7,
        {"counts": [0, 600]},
        {**RUNS, "size": [WIDTH, HEIGHT]},
        {**RUNS, "counts": [0, 601]},
        {**RUNS, "counts": [0, 599]},
        {**RUNS, "counts": [0, 10**15]},
        {**RUNS, "counts": [9, -2, 593]},
        {**RUNS, "counts": 5},
        {**RUNS, "counts": "~~~~"},
        {**RUNS, "counts": "5"},
        {**RUNS, "counts": ""},
    ],
)
def test_an_annotation_that_cannot_be_drawn(tmp_path: Path, shape: object) -> None:
    data = _open(tmp_path, [_row(_box(0, 0, 3, 3)), _row(shape, id=41)])
    with pytest.raises(DataError, match="id 41, that cannot be drawn") as caught:
        data.mask(0)
    text = str(caught.value)
    assert text.startswith(str(tmp_path / "train.json")) and "\n" not in text
    assert not data.mask(1).any()  # others can be read


def test_an_image_of_another_size_than_the_json_says(tmp_path: Path) -> None:
    data = _open(tmp_path, [])
    Image.new("RGB", (WIDTH - 1, HEIGHT)).save(tmp_path / "a.png")
    write(tmp_path / "train.json", [PHOTO], [_row(_box(0, 0, 3, 3))], KINDS)
    data = coco("train", tmp_path)
    with pytest.raises(DataError, match=r"a\.png is 29x20 but its label .*train\.json is 30x20"):
        data[0]


@pytest.mark.parametrize("tree", [build, build_panoptic])
def test_the_json_is_parsed_once_and_not_sent_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tree: Callable[[Path], None]
) -> None:
    tree(tmp_path)
    loads = Mock(wraps=json.loads)
    monkeypatch.setattr("datamodules.json_file.json.loads", loads)
    data = coco("val", tmp_path)
    sent = pickle.dumps(data)
    assert b"segments_info" not in sent and b"segmentation" not in sent
    copy = pickle.loads(sent)
    for index in range(len(data)):
        assert np.array_equal(copy[index][1], data[index][1])
    coco("train", tmp_path)
    assert loads.call_count == 2  # train and val, whose categories are compared


def test_a_json_that_has_changed_is_read_again(tmp_path: Path) -> None:
    assert not _open(tmp_path, [_row(_box(0, 0, 1, 1), category=2)]).mask(0)[5, 5]
    assert _open(tmp_path, [_row(_box(0, 0, 10, 10), category=2)]).mask(0)[5, 5] == 1
