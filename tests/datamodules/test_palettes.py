"""Indexed masks: a palette decides, contradicts or says nothing, whatever wrote it."""

from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules.datasets.camvid import CAMVID
from datamodules.datasets.folder import draft_labels, folder
from datamodules.datasets.label_table import read_mask, read_table
from datamodules.datasets.voc2012 import VOC2012
from datamodules.image_files import ImageFileDataset, Sample
from datamodules.labels import DataError, LabelSet, UInt8
from datamodules.palettes import differing, meanings
from datamodules.validation.check import check

COLOURS = ((0, 0, 0), (200, 10, 30), (10, 180, 40), (40, 60, 220))
NAMES = "sky", "wall", "tree", "sea"
MASK = np.array([[0, 1, 2, 3], [3, 2, 1, 1]], np.uint8)


def indexed(path: Path, ids: UInt8, palette: list[int]) -> Path:
    picture = Image.fromarray(ids)
    picture.putpalette(palette)
    picture.save(path)
    return path


def table(path: Path, *, ids: bool) -> Path:
    rows = [
        f"{f'{id},' * ids}{name},{' '.join(map(str, colour))}"
        for id, (name, colour) in enumerate(zip(NAMES, COLOURS, strict=True))
    ]
    path.write_text("\n".join([f"{'id,' * ids}name,colour", *rows]))
    return path


def flat(colours: object) -> list[int]:
    return [int(v) for v in np.asarray(colours).ravel()]


def voc_map() -> list[int]:
    """VOClabelcolormap.m by its rule: bits of the index, three at a time."""
    colours = np.zeros((256, 3), int)
    for index in range(256):
        for bit in range(8):
            for channel in range(3):
                colours[index, channel] |= (index >> (3 * bit + channel) & 1) << (7 - bit)
    return flat(colours)


def palette_of(name: str) -> list[int]:
    ramp = [v for i in range(256) for v in (i, i, i)]
    rng = np.random.default_rng(1)
    return {
        "grey ramp": ramp,
        "all black": [0] * 768,
        "all white": [255] * 768,
        "one colour": [200, 10, 30] * 256,
        "VOC": voc_map(),
        "inverted ramp": ramp[::-1],
        "random": flat(rng.integers(0, 256, (256, 3))),
        "rainbow": flat([(255 - i, i, 128) for i in range(256)]),
    }[name]


def data(labels: LabelSet, path: Path) -> ImageFileDataset:
    return ImageFileDataset(labels, [Sample("a", "a", path, path)])


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_colours_decide_where_a_table_has_no_ids(tmp_path: Path, order: tuple[int, ...]) -> None:
    known = read_table(table(tmp_path / "labels.csv", ids=False))
    number = np.argsort(order).astype(np.uint8)  # where each colour stands in the palette
    file = indexed(tmp_path / "a.png", number[MASK], flat([COLOURS[i] for i in order]))
    rgb = np.asarray(Image.open(file).convert("RGB"))
    assert np.array_equal(rgb, np.array(COLOURS, np.uint8)[MASK])  # only the numbering is its own
    raw = read_mask(Sample("a", "a", file, file), known)
    assert np.array_equal(raw.ids, MASK)


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_a_palette_against_ids_is_refused(tmp_path: Path, order: tuple[int, ...]) -> None:
    known = read_table(table(tmp_path / "labels.csv", ids=True))
    number = np.argsort(order).astype(np.uint8)
    file = indexed(tmp_path / "a.png", number[MASK], flat([COLOURS[i] for i in order]))
    split = data(known.labels, file)
    if order == (0, 1, 2, 3):
        assert np.array_equal(split.mask(0), MASK)
        return
    with pytest.raises(DataError, match=r"a.png has a palette that contradicts .*: save the mask"):
        split.mask(0)


@pytest.mark.parametrize("shown", [(0,), (1,), (0, 2), (1, 3)])
def test_of_few_ids_too(tmp_path: Path, shown: tuple[int, ...]) -> None:
    """As per-file palettes have them: a picture without a class has no colour of it."""
    known = read_table(table(tmp_path / "labels.csv", ids=True))
    numbers = np.arange(len(shown), dtype=np.uint8)[None]
    file = indexed(tmp_path / "a.png", numbers, flat([COLOURS[i] for i in shown]))
    split = data(known.labels, file)
    if shown == (0,):
        assert split.mask(0).tolist() == [[0]]
    else:
        with pytest.raises(DataError, match="contradicts"):
            split.mask(0)


@pytest.mark.parametrize("ids", [True, False])
@pytest.mark.parametrize(
    "name", ["grey ramp", "all black", "all white", "one colour", "VOC", "random", "rainbow"]
)
@pytest.mark.parametrize("shown", [(0, 1, 2, 3), (0,), (2,), (0, 3)])
def test_a_palette_of_other_things_says_nothing(
    tmp_path: Path, name: str, ids: bool, shown: tuple[int, ...]
) -> None:
    known = read_table(table(tmp_path / "labels.csv", ids=ids))
    mask = np.array([shown], np.uint8)
    file = indexed(tmp_path / "a.png", mask, palette_of(name))
    raw = read_mask(Sample("a", "a", file, file), known)
    assert data(known.labels, file).classes(raw).tolist() == mask.tolist()


@pytest.mark.parametrize("name", ["grey ramp", "all black", "VOC", "inverted ramp", "random"])
@pytest.mark.parametrize("id", [*range(12)])
def test_camvid_in_any_viewers_palette(tmp_path: Path, name: str, id: int) -> None:
    """Black, which viewers give id 0, is the colour of void in CamVid's table."""
    for mask in (np.full((2, 2), id, np.uint8), np.array([[0, 1, 3, id]], np.uint8)):
        file = indexed(tmp_path / "a.png", mask, palette_of(name))
        assert np.array_equal(data(CAMVID, file).mask(0) == 255, mask == 11)


def test_voc_as_published_and_quantised(tmp_path: Path) -> None:
    mask = np.array([[0, 1, 15, 255], [20, 20, 0, 0]], np.uint8)
    colours = np.array(voc_map(), np.uint8).reshape(-1, 3)
    assert data(VOC2012, indexed(tmp_path / "a.png", mask, flat(colours))).mask(0)[0, 2] == 15
    quantised = Image.fromarray(colours[mask]).quantize(8)
    quantised.save(tmp_path / "b.png")
    assert not np.array_equal(np.asarray(quantised), mask)
    with pytest.raises(DataError, match="b.png has a palette that contradicts"):
        data(VOC2012, tmp_path / "b.png").mask(0)
    shifted = [min(255, v + 3) for v in flat(colours)]  # as colour management leaves them
    assert data(VOC2012, indexed(tmp_path / "c.png", mask, shifted)).mask(0)[0, 2] == 15


def make(root: Path, masks: list[UInt8], palettes: list[list[int]]) -> Path:
    rng = np.random.default_rng(0)
    for name in ("images", "masks"):
        (root / name).mkdir(parents=True)
    for i, (mask, palette) in enumerate(zip(masks, palettes, strict=True)):
        photo = rng.integers(0, 256, (*mask.shape, 3), dtype=np.uint8)
        Image.fromarray(photo).save(root / f"images/{i}.png")
        indexed(root / f"masks/{i}.png", mask, palette)
    return root


def test_a_check_names_palettes_that_differ(tmp_path: Path) -> None:
    number = np.array([0, 2, 1, 3], np.uint8)
    other = flat([COLOURS[i] for i in (0, 2, 1, 3)])
    masks = [MASK] * 7 + [number[MASK]]
    root = make(tmp_path / "d", masks, [flat(COLOURS)] * 7 + [other])
    (root / "labels.csv").write_text(
        "id,name\n" + "".join(f"{i},{n}\n" for i, n in enumerate("abcd"))
    )
    (found,) = [f for f in check("folder", root).findings if f.kind == "palettes"]
    assert found.file == "masks/7.png" and "1 of 8 files, 12.5 %" in found.text
    indexed(root / "masks/7.png", MASK, flat(COLOURS))
    assert not [f for f in check("folder", root).findings if f.kind == "palettes"]


def test_a_draft_has_the_palettes_colours(tmp_path: Path) -> None:
    root = make(tmp_path / "d", [MASK] * 4, [flat(COLOURS)] * 4)
    lines = draft_labels(root).read_text().splitlines()
    assert lines[0].startswith("id,") and [line.split(",")[2] for line in lines[1:]] == [
        f"#{bytes(colour).hex()}" for colour in COLOURS
    ]
    assert np.array_equal(folder("train", root).mask(0), MASK)


def test_a_draft_of_differing_palettes_has_no_ids(tmp_path: Path) -> None:
    orders = list(permutations(range(4)))[:6]
    masks = [np.argsort(order).astype(np.uint8)[MASK] for order in orders]
    root = make(tmp_path / "d", masks, [flat([COLOURS[i] for i in order]) for order in orders])
    assert draft_labels(root).read_text().startswith("name,colour,ignore\n")
    split = folder("train", root)
    assert {str(split.mask(i).tolist()) for i in range(len(split))} == {str(split.mask(0).tolist())}


def test_meanings_are_unambiguous() -> None:
    rows = ((1, (9, 9, 9)), (2, (99, 9, 9)), (3, (99, 9, 9)))
    assert meanings(bytes([99, 9, 9, 9, 9, 9]), rows, [1]) == {1: 1}
    assert meanings(bytes([99, 9, 9, 9, 9, 9]), rows, [0, 1]) is None
    assert differing([(b"\0\0\0\1\1\1", (0, 1)), (b"\0\0\0\2\2\2", (0, 1))]) == 1
    assert differing([(b"\0\0\0\1\1\1", (0,)), (b"\0\0\0\2\2\2", (0, 1))]) is None
