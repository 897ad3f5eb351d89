"""Sheets of images with their labels: which images, which colours, and what the page holds."""

import base64
import io
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from datamodules import open_data
from datamodules.datasets.camvid import CAMVID
from experiments import data
from experiments.reporting.contact_sheet import choose, paint, sample
from tests.trees import camvid, cityscapes


class _Page(HTMLParser):
    """What a page refers to, and its pictures with what they show."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.pictures: list[tuple[str, Image.Image]] = []
        self.refers: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.refers += [value or "" for key, value in attrs if key in ("src", "href")]
        if tag == "img":
            _, content = (values["src"] or "").split(",")
            picture = Image.open(io.BytesIO(base64.b64decode(content)))
            self.pictures.append((values["alt"] or "", picture))


def test_a_sheet_shows_images_with_their_labels(tmp_path: Path) -> None:
    root = tmp_path / "CamVid"
    camvid.build(root)
    output = tmp_path / "new" / "sheet"
    command = ["show", "camvid", "--data-root", str(root), "--num", "3", "--output", str(output)]
    assert data.main(command) == 0
    with Image.open(f"{output}.png") as sheet:
        colours = {colour for _, colour in sheet.convert("RGB").getcolors(2**24) or ()}
    assert {label.colour for label in CAMVID.classes} <= colours
    text = Path(f"{output}.html").read_text()
    page = _Page(text)
    assert len(page.pictures) == 9
    assert all(value.startswith("data:image/") for value in page.refers)
    assert "http" not in text
    assert "prefers-color-scheme: dark" in text and "width=device-width" in text
    split = open_data("camvid", "train", root)
    for (alt, photo), (_, shown) in zip(page.pictures[::3], page.pictures[2::3], strict=True):
        place = split.ids.index(alt.removeprefix("Photo "))
        away = [
            np.abs(np.asarray(photo).astype(int) - split[index][0]).mean()
            for index in range(len(split.ids))
        ]
        assert np.argmin(away) == place  # a JPEG of random pixels is far from any, but not as far
        assert np.array_equal(np.asarray(shown), paint(split.mask(place), CAMVID))
    for label in CAMVID.classes:
        assert label.name in text


def test_a_sheet_of_a_split_without_labels(tmp_path: Path) -> None:
    cityscapes.build(tmp_path, placeholders=False)
    command = ["show", "cityscapes", "--data-root", str(tmp_path), "--split", "test"]
    assert data.main([*command, "--output", str(tmp_path / "sheet")]) == 0
    assert "nothing that is scored" in (tmp_path / "sheet.html").read_text()


def test_colours_and_hatching_by_hand() -> None:
    mask = np.array([[0, 10, 255, 255]] * 8, np.uint8)
    painted = paint(mask, CAMVID)
    assert (painted[:, 0] == CAMVID.classes[0].colour).all()
    assert (painted[:, 1] == CAMVID.classes[10].colour).all()
    assert {tuple(pixel) for pixel in painted[:, 2:].reshape(-1, 3)} == {(160,) * 3, (255,) * 3}


@given(st.lists(st.sets(st.integers(0, 5), max_size=4), min_size=1, max_size=9), st.integers(1, 9))
def test_every_class_is_shown_if_there_is_room(present: list[set[int]], num: int) -> None:
    groups = [str(index // 2) for index in range(len(present))]
    chosen = choose(dict(enumerate(present)), groups, num)
    assert chosen == sorted(set(chosen)) and len(chosen) == min(num, len(present))
    everything = set().union(*present)
    if num >= len(everything):
        assert set().union(*(present[index] for index in chosen)) == everything


def test_images_come_from_all_groups() -> None:
    groups = ["a"] * 100 + ["b"] * 3 + ["c"] * 50
    chosen = choose({index: {0} for index in range(153)}, groups, 6)
    assert sorted(groups[index] for index in chosen) == ["a", "a", "b", "b", "c", "c"]
    assert sample(groups, 200) == list(range(153))
    assert sample(["b", "a", "b"], 2) == [1, 2]
