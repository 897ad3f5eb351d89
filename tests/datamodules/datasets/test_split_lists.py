"""Lists of a split in every form that tools write, which name the same images or are refused."""

import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from datamodules.datasets.camvid import camvid
from datamodules.datasets.folder import folder
from datamodules.datasets.voc2012 import voc2012
from datamodules.labels import DataError
from tests.trees import camvid as camvid_tree
from tests.trees import folder as tree
from tests.trees import voc2012 as voc_tree

NAMES = ["한강", "b c", "c", "d"]  # d is in val and test

FORMS: dict[str, Callable[[Path, str], str]] = {
    "bare": lambda root, name: name,
    "with suffix": lambda root, name: f"{name}.png",
    "dot": lambda root, name: f"./{name}.png",
    "dot images": lambda root, name: f"./images/{name}.png",
    "images, bare": lambda root, name: f"images/{name}",
    "from above": lambda root, name: f"data/{root.name}/images/{name}.png",
    "up and down": lambda root, name: f"masks/../images/{name}.png",
    "absolute": lambda root, name: f"{root}/images/{name}.png",
    "absolute, bare": lambda root, name: f"{root}/images/{name}",
    "absolute, by a link": lambda root, name: f"{root.parent}/link/images/{name}.png",
    "Windows": lambda root, name: f".\\images\\{name}.png",
    "pair": lambda root, name: f"images/{name}.png masks/{name}.png",
    "pair, bare folders": lambda root, name: f"{name}.png\t{name}.png",
    "pair, absolute": lambda root, name: f"{root}/images/{name}.png {root}/masks/{name}.png",
    "pair, comma": lambda root, name: f"images/{name}.png, masks/{name}.png",
    "pair, Windows": lambda root, name: f"images\\{name}.png masks\\{name}.png",
    "decomposed": lambda root, name: unicodedata.normalize("NFD", f"images/{name}.png"),
    "blanks": lambda root, name: f"\n  {name} \t\n\n# said of {name}",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    tree.build(tmp_path / "mine")
    root = tmp_path / "mine"
    for top in ("images", "masks"):
        for old, name in zip("abcd", NAMES, strict=True):
            (root / top / f"{old}.png").rename(root / top / f"{name}.png")
    (tmp_path / "link").symlink_to(root)
    for split in ("val", "test"):
        (root / f"splits/{split}.txt").write_text("d\n", encoding="utf-8")
    return root


def _write(root: Path, *lines: str, end: str = "\n") -> None:
    (root / "splits/train.txt").write_bytes(end.join(lines).encode())


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("form", FORMS)
def test_a_line_is_taken_as_the_image_it_names(root: Path, form: str, end: str) -> None:
    _write(root, *(FORMS[form](root, name).replace("\n", end) for name in NAMES[:3]), end=end)
    data = folder("train", root)
    assert data.ids == NAMES[:3]
    for sample, name in zip(data.samples, NAMES, strict=False):
        assert sample.image == root / f"images/{name}.png"
        assert sample.mask == root / f"masks/{name}.png"


@pytest.mark.parametrize("text", ["\ufeffc\nd\n", "c\rd", "\n\n c\n\n\nd\n\n"])
def test_marks_and_ends_of_lines(root: Path, text: str) -> None:
    (root / "splits/train.txt").write_bytes(text.encode())
    assert folder("train", root).ids == ["c", "d"]


def test_a_line_that_begins_like_a_comment_and_names_a_file(root: Path) -> None:
    for top in ("images", "masks"):
        (root / top / "c.png").rename(root / top / "#c.png")
    _write(root, "#c.png", "# c.png", "#d.pn", "#c", "images/#c.png masks/#c.png")
    assert folder("train", root).ids == ["#c"] * 3


@pytest.mark.parametrize(
    "line",
    [
        *("../other/images/x.png", "images/../../x.png", "/etc/passwd", "/", "//a/b/c.png"),
        *(
            "{root}/masks/c.png",
            "{root}-other/images/c.png",
            "C:\\data\\images\\c.png",
            "..\\c.png",
        ),
        *("images/c.png masks/d.png", "images/c.png {root}/images/c.png", "c.png ../masks/c.png"),
        *("\\\\server\\share\\images\\c.png", "{root}/images/../../c.png"),
    ],
)
def test_what_lies_elsewhere_or_pairs_otherwise_is_refused(root: Path, line: str) -> None:
    line = line.format(root=root)
    _write(root, "c", line)
    with pytest.raises(DataError) as caught:
        folder("train", root)
    text = str(caught.value)
    assert text.startswith(str(root / "splits/train.txt")) and "\n" not in text
    assert repr(line) in text or repr(line.split(" ")[-1]) in text


@pytest.mark.parametrize("line", ["gone", "images/gone.png", "./gone.png", "images/gone"])
def test_what_is_not_there_is_named_below_images(root: Path, line: str) -> None:
    _write(root, "c", line)
    assert folder("train", root).samples[1].image == root / "images/gone.png"


def test_a_folder_images_within_images_is_meant_first(root: Path) -> None:
    (root / "images/images").mkdir()
    (root / "images/c.png").rename(root / "images/images/c.png")
    _write(root, "images/c.png")
    assert folder("train", root).ids == ["images-c"]


@pytest.mark.parametrize("content", [b"\xff\xfec\0\n\0", b"c\0\n", b"\x89PNG\r\n", b" \n\t\n", b""])
def test_files_that_are_no_lists(root: Path, content: bytes) -> None:
    (root / "splits/train.txt").write_bytes(content)
    with pytest.raises(DataError, match=r"train\.txt (is no|lists no)"):
        folder("train", root)


@pytest.mark.parametrize("where", ["images", "masks", "both", "groups.csv"])
def test_both_forms_of_unicode_are_one_name(root: Path, where: str) -> None:
    nfd = unicodedata.normalize("NFD", "한강")
    for top in ("images", "masks"):
        if where in (top, "both"):
            (root / top / "한강.png").rename(root / top / f"{nfd}.png")
    group = nfd if where == "groups.csv" else "한강"
    (root / "groups.csv").write_text(f"id,group\nimages/{group}.png,{group}\nc,x\n", "utf-8")
    _write(root, "한강", "c")
    data = folder("train", root)
    assert data.ids == ["한강", "c"] and data.groups == ["한강", "x"]
    assert data[0][0].shape[:2] == data[0][1].shape


@pytest.mark.parametrize("top", ["images", "masks"])
def test_two_files_that_look_the_same_are_refused_by_name(root: Path, top: str) -> None:
    twin = root / top / f"{unicodedata.normalize('NFD', '한강')}.png"
    twin.write_bytes((root / top / "한강.png").read_bytes())
    with pytest.raises(
        DataError, match=rf"{top} has the file .*twice, in both normal forms .*u1112"
    ):
        folder("train", root)


def test_a_name_that_is_not_utf8(root: Path) -> None:
    (root / "images").joinpath("\udcff.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"'\\udcff\.png', whose name is not UTF-8: rename it"):
        folder("train", root)


def test_lists_of_published_sets(tmp_path: Path) -> None:
    camvid_tree.build(tmp_path / "c")
    listing = tmp_path / "c/train.txt"
    first = camvid("train", tmp_path / "c").samples[0]
    pair = f"train\\{first.id}.png trainannot\\{first.id}.png"
    listing.write_text(f"\ufeff\r\n{pair}\r\n\r\n", "utf-8", newline="")
    assert camvid("train", tmp_path / "c").samples == [first]
    for line in ("../x.png train/x.png", "/x.png /y.png", "train/x.png ..\\y.png"):
        listing.write_text(line)
        with pytest.raises(DataError, match=r"train\.txt has the line .* leads out of"):
            camvid("train", tmp_path / "c")
    voc_tree.build(tmp_path / "v")
    listing = next((tmp_path / "v").rglob("Segmentation/val.txt"))
    ids = voc2012("val", tmp_path / "v").ids
    listing.write_text("\r\n\r\n".join(f"JPEGImages\\{id}.jpg x" for id in ids), newline="")
    assert voc2012("val", tmp_path / "v").ids == ids
