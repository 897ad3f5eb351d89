"""Label tables: one list of rows, and what is derived from it."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules.datasets.camvid import CAMVID
from datamodules.labels import IGNORE, DataError, Ids, Label, LabelSet, RawLabels, UInt8

# Two values of the file train one class, the rows are not in the order of the class indices, and
# values lie far apart: what Cityscapes' raw ids and relabelled data sets look like.
MANY = LabelSet(
    (
        Label(30, 1, "plant", (0, 10, 0)),
        Label(7, 0, "road", (9, 9, 9)),
        Label(31, 1, "grass", (0, 20, 0)),
        Label(200, 2, "sky", (0, 0, 30)),
        Label(3, IGNORE, "void", (77, 77, 77)),
    )
)
FILE = Path("labels") / "clip_7.png"


def test_camvid_is_the_table_of_the_tutorial() -> None:
    names = "Sky Building Pole Road Pavement Tree SignSymbol Fence Car Pedestrian Bicyclist"
    assert CAMVID.names == tuple(names.split())
    assert CAMVID.num_classes == 11
    assert [label.id for label in CAMVID.classes] == list(range(11))
    assert len({label.colour for label in CAMVID.labels}) == 12  # a report can be read by colour


def test_classes_follow_the_train_ids_and_not_the_rows() -> None:
    assert MANY.names == ("road", "plant", "sky")  # the first row of a class names it
    assert MANY.num_classes == 3
    assert [label.id for label in MANY.classes] == [7, 30, 200]


def test_every_value_maps_as_a_loop_over_the_rows_says() -> None:
    rng = np.random.default_rng(0)
    ids = rng.choice(np.array([30, 7, 31, 200, 3], np.uint8), size=(13, 9))
    row = {label.id: label.train_id for label in MANY.labels}
    expected = [[row[int(value)] for value in line] for line in ids]
    mask = MANY.to_train(RawLabels(ids, FILE))
    assert mask.dtype == np.uint8
    assert mask.tolist() == expected


def test_the_input_is_left_alone() -> None:
    ids = np.array([[11, 0], [10, 11]], np.uint8)
    mask = CAMVID.to_train(RawLabels(ids, FILE))
    assert ids.tolist() == [[11, 0], [10, 11]]
    assert mask.tolist() == [[IGNORE, 0], [10, IGNORE]]


@pytest.mark.parametrize("labels", [CAMVID, MANY], ids=["camvid", "many"])
def test_a_palette_png_shows_each_class_in_its_colour(labels: LabelSet, tmp_path: Path) -> None:
    everything = np.arange(256, dtype=np.uint8).reshape(16, 16)
    picture = Image.fromarray(everything)
    picture.putpalette(labels.palette)
    picture.save(tmp_path / "mask.png")
    with Image.open(tmp_path / "mask.png") as file:
        shown = np.array(file.convert("RGB")).reshape(256, 3)
        assert np.array_equal(np.array(file), everything)
    for index, label in enumerate(labels.classes):
        assert tuple(shown[index]) == label.colour
    assert not shown[labels.num_classes :].any()


def test_unknown_values_are_named_with_file_and_counts() -> None:
    ids: UInt8 = np.full((4, 5), 3, np.uint8)
    ids[0, :3], ids[2, 2] = 77, 255
    with pytest.raises(DataError) as caught:
        CAMVID.to_train(RawLabels(ids, FILE))
    text = str(caught.value)
    assert str(FILE) in text
    assert re.search(r"77 \(3 pixels\), 255 \(1 pixels\)", text)
    assert "knows 0-11:" in text  # what would have been right


@pytest.mark.parametrize("value", [12, 100, 253, 254, 255])
def test_each_unlisted_value_is_refused(value: int) -> None:
    with pytest.raises(DataError, match=rf"\b{value} \(1 pixels\)"):
        CAMVID.to_train(RawLabels(np.array([[0, value]], np.uint8), FILE))


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("labels", [CAMVID, MANY], ids=["camvid", "many"])
def test_every_value_of_a_file_is_mapped_or_refused(labels: LabelSet, bits: int) -> None:
    row = {label.id: label.train_id for label in labels.labels}
    every: Ids = np.arange(2**bits, dtype=np.uint16)
    if bits == 8:
        every = every.astype(np.uint8)
    for value in every:
        ids: Ids = np.full((1, 1), value, every.dtype)
        if int(value) in row:
            assert labels.to_train(RawLabels(ids, FILE)).tolist() == [[row[int(value)]]]
        elif value < 300 or value % 997 == 0:  # a refusal takes 50 us and there are 65,000
            with pytest.raises(DataError, match=rf"\b{value} \(1 pixels\)"):
                labels.to_train(RawLabels(ids, FILE))
    refused = set(re.findall(r"(\d+) \(1 pixels\)", _refusal(labels, every)))
    assert refused and not refused & {str(value) for value in row}


def _refusal(labels: LabelSet, ids: Ids) -> str:
    with pytest.raises(DataError) as caught:
        labels.to_train(RawLabels(ids[None], FILE))
    return str(caught.value)


def test_nothing_is_mapped_twice() -> None:
    once = MANY.to_train(RawLabels(np.array([[7, 30]], np.uint8), FILE))
    with pytest.raises(TypeError, match="once; got ndarray"):
        MANY.to_train(once)  # type: ignore[arg-type]


def test_colours_are_ids_as_a_loop_over_the_pixels_says() -> None:
    rng = np.random.default_rng(0)
    rows = [MANY.labels[i] for i in rng.integers(len(MANY.labels), size=7 * 9)]
    colours = np.array([label.colour for label in rows], np.uint8).reshape(7, 9, 3)
    raw = MANY.from_colours(colours, FILE)
    assert raw.ids.ravel().tolist() == [label.id for label in rows]
    colours[2, 3], colours[5, 5] = (9, 9, 8), (255, 255, 255)
    with pytest.raises(DataError, match=r"labels/clip_7.png has 2 colours.*\(9, 9, 8\) \(1 pix"):
        MANY.from_colours(colours, FILE)


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        ([(0, 0), (1, 2)], r"without a gap, got \[0, 2\]"),
        ([(0, 1), (1, 2)], "from 0"),
        ([(0, IGNORE)], r"got \[\]"),
        ([(0, 0), (0, 1)], r"distinct.*\[0\]"),
        ([(70000, 0)], "within 0 to 65535"),
        ([(i, i) for i in range(255)], "255 classes.*at most 254"),
    ],
)
def test_tables_that_are_none(rows: list[tuple[int, int]], what: str) -> None:
    with pytest.raises(ValueError, match=what):
        LabelSet(tuple(Label(id, train, f"c{id}", (0, 0, 0)) for id, train in rows))
