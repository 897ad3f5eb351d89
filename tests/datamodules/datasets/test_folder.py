"""A user's own folder: every format, tables as people write them, and splits by whole groups."""

import os
import pickle
import re
import shutil
import tempfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from datamodules.datasets.folder import INFO, draft_labels, folder
from datamodules.datasets.folder_splits import SPLITS, splits
from datamodules.image_files import ImageFileDataset, read_image
from datamodules.labels import IGNORE, DataError, UInt8
from tests.trees.folder import COLOURS, SCENES, TABLE, TURNED, build, build_mixed, scene


@pytest.fixture
def root(tmp_path: Path) -> Path:
    build(tmp_path / "own")
    return tmp_path / "own"


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("mixed")
    build_mixed(root)
    return root


def _pixels(path: Path) -> UInt8:
    with Image.open(path) as file:
        return np.array(file)


def _touch(root: Path, *names: str) -> Path:
    """Images of these names and a mask for each, all empty: opening a split reads none of them."""
    for path in [root / f"images/{n}" for n in names] + [root / f"masks/{n}" for n in names]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".png" if "masks" in path.parts else path.suffix).touch()
    (root / "labels.csv").write_text("id,name\n0,ground\n")
    return root


def _ids(root: Path) -> list[list[str]]:
    return [folder(split, root).ids for split in SPLITS]


def _groups(root: Path) -> dict[str, str]:
    """Of each id of all splits."""
    parts = [folder(split, root) for split in SPLITS]
    return {i: group for data in parts for i, group in zip(data.ids, data.groups, strict=True)}


def _refusal(root: Path, split: str = "train") -> str:
    with pytest.raises(DataError) as caught:
        folder(split, root)
    return str(caught.value)


def _image_of(name: str, root: Path) -> UInt8:
    """What an image of the mixed folder has to look like, from what was drawn."""
    drawn: UInt8 = scene(name)[0]
    match name[-2:]:
        case "02":
            return np.rot90(_pixels(root / "images/b/02.jpg"), -1)
        case "06":
            return _pixels(root / "images/c/d/06.JPEG")
        case "12":
            return _pixels(root / "images/12.webp")
        case "04" | "08" | "09":  # of 16 bits, the high byte is seen
            return np.stack([drawn[..., 0]] * 3, -1)
        case "07":
            values = 3 * drawn[..., :1].astype(int) + np.arange(3)  # its palette counts down
            return (255 - values % 256).astype(np.uint8)
    return drawn


def _mask_of(name: str) -> UInt8:
    classes: UInt8 = scene(name)[1]
    if name == "08":  # of 1 bit
        classes[classes != 1] = 0
    if name[-2:] in ("01", "02", "03", "09", "10"):  # of 8 bits, which cannot hold a house's 1000
        classes[classes == 3] = 0
    return classes


@pytest.mark.parametrize("name", SCENES)
def test_every_format_reads_as_it_was_drawn(name: str, mixed: Path) -> None:
    id = name.replace("/", "-")
    (data,) = (data for split in SPLITS if id in (data := folder(split, mixed)).ids)
    image, mask = data[data.ids.index(id)]
    assert image.dtype == mask.dtype == np.uint8
    assert np.array_equal(image, _image_of(name, mixed))
    assert np.array_equal(mask, _mask_of(name))
    assert data.labels.names == ("ground", "path", "tree", "house")
    assert [label.colour for label in data.labels.classes] == [tuple(c) for c in COLOURS.tolist()]


def test_a_photo_on_its_side_is_turned_to_its_mask(mixed: Path) -> None:
    height, width = scene(TURNED)[1].shape
    assert _pixels(mixed / f"images/{TURNED}.jpg").shape == (width, height, 3)
    assert _image_of(TURNED, mixed).shape == (height, width, 3)


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
def test_every_orientation_is_honoured(suffix: str, tmp_path: Path) -> None:
    _touch(tmp_path, *(f"{n}.{suffix}" for n in range(1, 9)))
    # Blocks of 8x8 survive JPEG; every turn of them looks different.
    shown = np.kron(np.random.default_rng(0).integers(256, size=(5, 7)), np.ones((8, 8)))
    stored = [np.fliplr(shown), np.rot90(shown, 2), np.flipud(shown), shown.T]
    stored = [shown, *stored, np.rot90(shown), np.rot90(shown.T, 2), np.rot90(shown, -1)]
    for number, pixels in enumerate(stored, 1):
        exif = Image.Exif()
        exif[274] = number
        path = tmp_path / f"images/{number}.{suffix}"
        Image.fromarray(np.stack([pixels] * 3, -1).astype(np.uint8)).save(path, exif=exif)
        Image.fromarray(np.zeros(shown.shape, np.uint8)).save(tmp_path / f"masks/{number}.png")
    for data in [folder(split, tmp_path) for split in SPLITS]:
        for image, mask in (data[i] for i in range(len(data))):
            assert image.shape[:2] == mask.shape
            assert np.abs(image.astype(int) - shown[..., None]).max() <= 12


@settings(max_examples=15, deadline=None)
@given(st.dictionaries(st.integers(0, 65535), st.booleans(), min_size=1, max_size=254))
def test_all_65536_values_map_as_the_rows_say(drawn: dict[int, bool]) -> None:
    """Ids in an order of their own, and whether they are ignored."""
    table = drawn | {70: False}
    classes = [i for i, ignored in table.items() if not ignored]
    expected = {i: IGNORE if ignored else classes.index(i) for i, ignored in table.items()}
    expected.setdefault(255, IGNORE)
    with tempfile.TemporaryDirectory() as name:
        root = _touch(Path(name), *(f"{i}.png" for i in range(3)))
        rows = [f"{i},name {i},{'yes' if ignored else ''}" for i, ignored in table.items()]
        (root / "labels.csv").write_text("\n".join(["id,name,ignore", *rows]))
        data = folder("test", root)
        path = root / f"masks/{data.ids[0]}.png"
        Image.fromarray(np.array([list(expected)], np.uint16)).save(path)
        assert data.mask(0).tolist() == [list(expected.values())]
        Image.fromarray(np.arange(65536, dtype=np.uint16).reshape(256, 256)).save(path)
        with pytest.raises(DataError, match=f"and {65536 - len(expected) - 5} more values"):
            data.mask(0)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=3, max_size=9))
def test_whole_groups_are_dealt_out_by_shares(sizes: list[int]) -> None:
    names = [f"scene {g}/{i}.png" for g, size in enumerate(sizes) for i in range(size)]
    with tempfile.TemporaryDirectory() as name:
        data = [folder(split, _touch(Path(name), *names)) for split in SPLITS]
    ids = [n[:-4].replace("/", "-") for n in names]
    assert sorted(i for part in data for i in part.ids) == sorted(ids)
    groups = [set(part.groups) for part in data]
    assert sum(map(len, groups)) == len(sizes) and min(map(len, groups)) >= 1
    for part, share in zip(data, (0.7, 0.1, 0.2), strict=True):
        largest = max(part.groups.count(group) for group in part.groups)
        assert len(part.ids) <= share * len(names) + largest  # above its share by one group at most


def test_a_large_group_is_dealt_to_a_large_share(tmp_path: Path) -> None:
    root = _touch(tmp_path, *(f"big/{i}.png" for i in range(12)), *(f"{i}.png" for i in range(12)))
    sizes = [len(folder(split, root).ids) for split in SPLITS]
    assert sizes[0] >= 12 and sum(sizes) == 24 and min(sizes) >= 1


def test_the_deal_is_the_same_wherever_the_folder_lies(tmp_path: Path) -> None:
    root = _touch(tmp_path / "here", *(f"{n}.jpg" for n in "abcdefghij"))
    before = _ids(root)
    assert before == [list("bcdfhij"), ["a"], ["e", "g"]]
    root.rename(tmp_path / "there")
    assert _ids(tmp_path / "there") == before
    assert "to 7 images for train, 1 images for val" in folder("train", tmp_path / "there").notes[0]
    assert splits(tmp_path / "there") == list(SPLITS)


def test_two_groups_cannot_be_dealt_out(tmp_path: Path) -> None:
    root = _touch(tmp_path, "a/1.png", "a/2.png", "a/3.png", "b/1.png")
    assert re.search(r"no splits/ .* 2 groups.*groups\.csv", _refusal(root))


def test_lists_name_images_in_their_order_and_there_or_not(root: Path) -> None:
    assert _ids(root) == [list("abcdef"), list("gh"), list("ij")]
    assert splits(root) == list(SPLITS) and folder("train", root).notes == []
    (root / "images/new").mkdir()
    shutil.move(root / "images/c.png", root / "images/new/c.JPG")
    text = "\ufeff# mine\r\n\r\n new\\c \r\na.png\r\n./b\r\nnew/gone\r\ngone.tif\r\n"
    (root / "splits/train.txt").write_text(text, newline="")
    data = folder("train", root)
    assert data.ids == ["new-c", "a", "b", "new-gone", "gone"]
    assert data.groups == ["new", "a", "b", "new", "gone"]
    files = [str(sample.image.relative_to(root)) for sample in data.samples]
    expected = ["new/c.JPG", "a.png", "b.png", "new/gone.png", "gone.tif"]
    assert files == [f"images/{name}" for name in expected]
    assert data.samples[0].mask == root / "masks/new/c.png"  # it is not there: masks/c.png is


@pytest.mark.parametrize(("gone", "serves"), [("val", "test"), ("test", "val")])
def test_one_of_val_and_test_serves_as_both(root: Path, gone: str, serves: str) -> None:
    (root / f"splits/{gone}.txt").unlink()
    assert folder(gone, root).ids == folder(serves, root).ids
    assert folder(gone, root).notes == [
        f"there is no split {gone}: the images of {serves} serve as {gone}"
    ]
    assert splits(root) == ["train", serves]
    (root / f"splits/{serves}.txt").unlink()
    assert "neither the split val nor test" in _refusal(root, gone)


def test_lists_that_cannot_be_used(root: Path) -> None:
    for text in ("", "# none\n"):
        (root / "splits/train.txt").write_text(text)
        assert "train.txt lists no images" in _refusal(root)
    (root / "splits/train.txt").unlink()
    for split in SPLITS:
        assert "has no train.txt" in _refusal(root, split)


def test_groups_are_a_table_or_folders_or_the_images(tmp_path: Path) -> None:
    root = _touch(tmp_path, "x/1.png", "x/deep/2.png", "y/1.png", "3.png")
    assert _groups(root) == {"x-1": "x", "x-deep-2": "x", "y-1": "y", "3": "3"}
    (root / "groups.csv").write_text("group;id\nmon;x\\1.png\ntue;x/deep/2\nmon;y/1\nwed;3\n")
    assert _groups(root) == {"x-1": "mon", "x-deep-2": "tue", "y-1": "mon", "3": "wed"}
    (root / "groups.csv").write_text("id,group\nx/1,mon\n3,tue\n")
    assert re.search(r"groups\.csv lacks x/deep/2 \(2 of 4 images\)", _refusal(root))
    (root / "groups.csv").write_text("id,group\n3,mon\n3.png,tue\n")
    assert "the id 3 in 2 rows" in _refusal(root)
    (root / "groups.csv").write_text("id,group\n3,\n")
    assert "fill in id, group" in _refusal(root)


def test_images_of_one_name_are_both_there(tmp_path: Path) -> None:
    root = _touch(tmp_path, "a.png", "a.jpg", "b.png", "c.png")
    assert sorted(i for ids in _ids(root) for i in ids) == ["a", "a", "b", "c"]
    (root / "splits").mkdir()
    (root / "splits/train.txt").write_text("a\n")
    assert [s.image.name for s in folder("train", root).samples] == ["a.jpg", "a.png"]
    (root / "splits/train.txt").write_text("a.png\n")
    assert [s.image.name for s in folder("train", root).samples] == ["a.png"]


def test_links_are_followed_once_and_clutter_is_passed_over(tmp_path: Path) -> None:
    root = _touch(tmp_path / "own", "b/1.png", "b/2.png", "c.png", "d.png")
    _touch(tmp_path / "else", "9.png")
    os.symlink(tmp_path / "else/images", root / "images/far")
    for link, target in {"a": "b", "b/up": "..", "b/self": "."}.items():
        os.symlink(target, root / "images" / link)
    for name in (".DS_Store", "Thumbs.db", "._c.png", "b/notes.txt", "b/old.bmp"):
        (root / "images" / name).touch()
    (root / "images/.cache").mkdir()
    (root / "images/.cache/e.png").touch()
    assert sorted(_groups(root)) == ["b-1", "b-2", "c", "d", "far-9"]
    assert folder("val", root).notes[1].startswith("2 files in images/ are left out")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("", "columns : it has to have name and may have id, colour, ignore"),
        ("id,name\n", "has no rows"),
        ("id,name,size\n0,a,1\n", "columns id, name, size"),
        ("id,colour\n0,#000000\n", "columns id, colour"),
        ("id,name,color,colour\n", "colour, colour"),
        ("name\na\n", "neither id nor colour"),
        ("id,name\n0,a\n0,b\n", "the id 0 in 2 rows"),
        ("id,name\n0,a\n1,a\n", "the name a in 2 rows"),
        ("name,colour\na,#010203\nb,1 2 3\n", r"the colour \(1, 2, 3\) in 2 rows"),
        ("id,name\n1.0,a\n", "the id '1.0'"),
        ("id,name\n-1,a\n", "the id '-1'"),
        ("id,name\n,a\n", "the id ''"),
        ("id,name\n65536,a\n", "the id '65536'"),
        ("id,name\n0,\n", "'0,' for the columns 'id,name': fill in name"),
        ("id,name\n0,car, van\n", "'0,car,van'.*quote"),
        ("name,colour\na,red\n", "the colour 'red'"),
        ("name,colour\na,#12345\n", "the colour '#12345'"),
        ("name,colour\na,1 2\n", "the colour '1 2'"),
        ("name,colour\na,1 2 256\n", "the colour '1 2 256'"),
        ("name,colour\na,\n", "the colour ''"),
        ("id,name,ignore\n0,a,maybe\n", "'maybe' for ignore"),
        ("id,name,ignore\n0,a,yes\n", "has 0 classes"),
        ("id,name\n" + "".join(f"{i},n{i}\n" for i in range(255)), "has 255 classes"),
    ],
)
def test_tables_that_cannot_be_used(root: Path, table: str, message: str) -> None:
    (root / "labels.csv").write_text(table)
    text = _refusal(root)
    assert re.search(message, text) and text.startswith(str(root / "labels.csv"))


def test_a_table_reads_the_same_however_it_was_saved(root: Path) -> None:
    plain = "id,name,ignore,color\n0,ground,,0 0 0\n1,path,,#804000\n7,unclear,1,#FFFFFF\n"
    plain += '2,"tree",false,0 160 0\n1000,house,,#c80028'
    seen = []
    for text in (plain, TABLE, TABLE.replace(";", ","), TABLE.replace("\r\n", "\n\n")):
        (root / "labels.csv").write_text(text, encoding="utf-8", newline="")
        seen.append(folder("train", root).labels)
    assert all(labels == seen[0] for labels in seen)
    (root / "labels.csv").write_bytes("id;name\r\n0;Straße\r\n".encode("cp1252"))
    assert "is not UTF-8" in _refusal(root)


def test_255_may_be_a_class(root: Path) -> None:
    (root / "labels.csv").write_text("id,name\n0,ground\n255,path\n")
    Image.fromarray(np.array([[0, 255, 255]], np.uint8)).save(root / "masks/a.png")
    assert folder("train", root).mask(0).tolist() == [[0, 1, 1]]


def test_the_colours_of_classes_can_be_told_apart(root: Path) -> None:
    (root / "labels.csv").write_text("id,name\n" + "".join(f"{i},n{i}\n" for i in range(254)))
    colours = np.array([label.colour for label in folder("train", root).labels.classes])
    assert len({*map(tuple, colours.tolist())} | {(0, 0, 0), (255, 255, 255)}) == 256
    lab = cv2.cvtColor(colours[None, :20].astype(np.float32) / 255, cv2.COLOR_RGB2Lab)[0]
    apart = np.linalg.norm(lab[:, None] - lab, axis=-1) + 1000 * np.eye(20)
    assert apart.min() > 25  # a difference of 2 can just be seen


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (Image.new("RGB", (64, 48), (1, 2, 3)), "labels.csv has none: add a column colour"),
        (Image.new("RGBA", (64, 48), (0, 0, 0, 254)), "transparent in parts"),
        (Image.new("LA", (64, 48), (0, 0)), "transparent in parts"),
        (Image.new("I", (64, 48), 1), "values of type int32"),
        (Image.new("L", (64, 48), 9), r"9 \(3072 pixels\)"),
        (Image.new("L", (48, 64), 0), "64x48 but its label .* 48x64"),
    ],
    ids=lambda value: getattr(value, "mode", ""),
)
def test_masks_that_are_refused_when_read(root: Path, picture: Image.Image, message: str) -> None:
    (root / "masks/a.png").unlink()
    picture.save(root / "masks/a.tif")
    with pytest.raises(DataError, match=message) as caught:
        folder("train", root)[0]
    assert str(root / "masks/a.tif") in str(caught.value)


def test_a_colour_that_is_not_listed(mixed: Path, tmp_path: Path) -> None:
    root = shutil.copytree(mixed, tmp_path / "copy")
    Image.new("RGB", (64, 48), (1, 2, 3)).save(root / "masks/12.bmp")
    data = folder("train", root)
    with pytest.raises(DataError, match=r"12\.bmp has 1 colours .*\(1, 2, 3\) \(3072 pixels\)"):
        data.mask(data.ids.index("12"))


def test_opaque_grey_masks_are_ids(root: Path) -> None:
    Image.new("LA", (64, 48), (2, 255)).save(root / "masks/a.png")
    assert (folder("train", root)[0][1] == 2).all()


def test_masks_that_are_refused_on_opening(root: Path) -> None:
    shutil.copy(root / "masks/a.png", root / "masks/a.tif")
    assert "has both a.png and a.tif" in _refusal(root)
    Image.new("L", (64, 48)).save(root / "masks/a.jpeg")
    assert "a.jpeg is a JPEG, which is lossy" in _refusal(root)
    shutil.rmtree(root / "masks")
    (root / "masks").mkdir()
    assert "masks holds nothing that is read" in _refusal(root)
    (root / "masks/a_label.png").touch()
    assert re.search(r"images/a\.png.* masks/a_label\.png.* same name", _refusal(root))


@pytest.mark.parametrize("name", ["images", "masks", "labels.csv", ""])
def test_what_is_missing_is_said_with_the_remedy(root: Path, name: str) -> None:
    (root / name).rename(root.parent / "gone")
    text = _refusal(root)
    assert str(root) in text and (name or "images") in text
    command = f"python -m experiments.data labels folder --data-root {root}"
    assert (command if name == "labels.csv" else INFO.steps) in text
    with pytest.raises(DataError, match="none was given.*--data-root"):
        folder("train")
    with pytest.raises(DataError, match="'dev'.*train, val, test"):
        folder("dev", root)


def test_a_draft_names_every_value_and_opens(root: Path) -> None:
    with pytest.raises(DataError, match=r"labels\.csv is there already"):
        draft_labels(root)
    table = root / "labels.csv"
    table.unlink()
    Image.fromarray(np.array([[1000, 3]], np.uint16)).save(root / "masks/j.png")
    before = {*os.listdir(root)}
    assert draft_labels(root) == table and {*os.listdir(root)} == before | {"labels.csv"}
    labels = folder("train", root).labels
    assert [label[:3] for label in labels.labels] == [
        *((value, i, f"class {i}") for i, value in enumerate([0, 1, 2, 3, 1000])),
        (255, IGNORE, "ignore"),
    ]
    assert folder("test", root).mask(1).tolist() == [[4, 3]]
    assert {int(v) for v in np.unique(folder("train", root).mask(0))} == {0, 1, 2, IGNORE}


def test_a_draft_of_two_values_or_of_colours(tmp_path: Path) -> None:
    root = _touch(tmp_path, "a.png", "b.png", "c.png")
    for name in "abc":
        Image.fromarray(np.array([[0, 255]], np.uint8)).save(root / f"masks/{name}.png")
    (root / "labels.csv").unlink()
    draft_labels(root).rename(root / "old.csv")
    assert "255,class 1," in (root / "old.csv").read_text()
    painted = np.array([[(255, 0, 255), (0, 0, 255), (0, 9, 0)]], np.uint8)
    for name in "abc":
        Image.fromarray(painted).save(root / f"masks/{name}.png")
    draft_labels(root)
    data = folder("train", root)
    assert [label.colour for label in data.labels.classes] == [
        (0, 0, 255),
        (0, 9, 0),
        (255, 0, 255),
    ]
    assert data.mask(0).tolist() == [[2, 0, 1]]


def test_what_cannot_be_drafted(mixed: Path, tmp_path: Path) -> None:
    root = shutil.copytree(mixed, tmp_path / "copy")
    (root / "labels.csv").unlink()
    with pytest.raises(DataError, match="has ids and colours"):
        draft_labels(root)
    smooth = np.arange(300, dtype=np.uint16)[None]
    Image.fromarray(smooth).save(root / "masks/08.png")
    with pytest.raises(DataError, match=r"more than 254 values up to 08\.png"):
        draft_labels(root)
    assert not (root / "labels.csv").exists()


def test_a_split_reaches_reading_processes_and_follows_its_files(mixed: Path) -> None:
    data = folder("train", mixed)
    copy: ImageFileDataset = pickle.loads(pickle.dumps(data))
    assert all(np.array_equal(copy.mask(i), data.mask(i)) for i in range(len(data)))
    assert copy.fingerprint() == data.fingerprint() != folder("val", mixed).fingerprint()


def test_folders_named_as_splits_are_the_splits(tmp_path: Path) -> None:
    names = ["train/a.png", "train/monday/b.png", "train/monday/c.png", "val/d.png"]
    root = _touch(tmp_path, *names)
    assert splits(root) == ["train", "val"]
    train = folder("train", root)
    assert train.ids == ["train-a", "train-monday-b", "train-monday-c"]
    assert train.groups == ["train/a", "monday", "monday"]
    assert folder("val", root).ids == folder("test", root).ids == ["val-d"]
    assert "val serve as test" in folder("test", root).notes[0]
    _touch(root, "elsewhere/e.png")
    assert "named as splits (train, val)" in _refusal(root) and "elsewhere" in _refusal(root)


def test_folders_of_splits_have_the_names_that_people_give(tmp_path: Path) -> None:
    root = _touch(tmp_path, "Training/a.png", "validation/b.png", "TEST/c.png")
    assert _ids(root) == [["Training-a"], ["validation-b"], ["TEST-c"]]


def test_masks_without_an_image_are_counted(root: Path) -> None:
    shutil.copy(next((root / "masks").rglob("*.png")), root / "masks/nobody.png")
    assert "1 files in masks/ are left out: they have no image" in folder("train", root).notes


def test_masks_of_several_pages_or_turned_by_exif_are_refused(root: Path) -> None:
    sample = folder("train", root).samples[0]
    assert sample.mask is not None
    page, exif = Image.fromarray(np.zeros((48, 64), np.uint8)), Image.Exif()
    exif[274] = 3
    page.save(sample.mask, exif=exif)
    with pytest.raises(DataError, match=f"{sample.mask.name} has an EXIF orientation"):
        folder("train", root).mask(0)
    sample.mask.unlink()
    page.save(sample.mask.with_suffix(".tif"), save_all=True, append_images=[page])
    with pytest.raises(DataError, match=f"{sample.mask.stem}.tif has 2 pages"):
        folder("train", root).mask(0)


def test_32_bits_a_pixel_are_refused(root: Path) -> None:
    image = folder("train", root).samples[0].image
    image.unlink()
    Image.fromarray(np.ones((48, 64), np.float32)).save(image.with_suffix(".tif"))
    data = folder("train", root)
    with pytest.raises(
        DataError, match=f"{image.stem}.tif has 1 band of 32-bit floating-point numbers.*8 or 16"
    ):
        data.image(0)


@pytest.mark.parametrize("kind", ["uint8", "uint16"])
def test_plain_tiffs_are_turned_as_their_exif_says(tmp_path: Path, kind: str) -> None:
    deep = kind == "uint16"
    pixels = (np.arange(6 * 9).reshape(6, 9) * (257 if deep else 1)).astype(kind)
    exif = Image.Exif()
    exif[274] = 6  # to be turned clockwise by a quarter
    Image.fromarray(pixels).save(tmp_path / "a.tif", exif=exif)
    expected = np.rot90(pixels, -1) // (256 if deep else 1)
    assert np.array_equal(read_image(tmp_path / "a.tif"), np.stack([expected] * 3, -1))


def test_a_table_that_the_reader_of_csv_refuses(root: Path) -> None:
    (root / "labels.csv").write_text(f"id,name\n0,{'x' * 200_000}\n")
    assert re.search(r"labels\.csv is no table \(field larger .*save it as", _refusal(root))
