"""Names of files: one form of Unicode, short enough to be written, and clutter passed over."""

import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datamodules.clutter import find, is_clutter
from datamodules.file_names import MOST_BYTES, file_id, one_form, shortened, twins
from experiments.trials.atomic_io import write_bytes

LEFT = [  # by macOS, Windows, Synology, Jupyter, archives and file systems
    *(".DS_Store", "._a.png", "__MACOSX", ".Trashes", ".Spotlight-V100", "Icon\r"),
    *("Thumbs.db", "desktop.ini", "$RECYCLE.BIN", "System Volume Information", "ehthumbs.db"),
    *("@eaDir", "#recycle", ".ipynb_checkpoints", "__pycache__", "lost+found", ".a.png.x1y2z3w4"),
]


@pytest.mark.parametrize("name", LEFT)
def test_what_systems_leave_is_passed_over_at_any_depth(tmp_path: Path, name: str) -> None:
    assert is_clutter(name) and is_clutter(name.upper())
    for folder in (tmp_path, tmp_path / name, tmp_path / "aachen"):
        folder.mkdir(exist_ok=True)
        (folder / "a.png").touch()
    if name.endswith(".png"):
        (tmp_path / "aachen" / name).touch()
    assert find(tmp_path, "*/*.png") == [tmp_path / "aachen/a.png"]


def test_data_are_no_clutter() -> None:
    assert not any(map(is_clutter, ["a.png", "thumbs.db.png", "macosx", "_a", "#1.png", "서울"]))


@given(st.text(min_size=1, max_size=200))
@settings(max_examples=200)
def test_an_id_is_one_short_name_in_one_form(name: str) -> None:
    both = [unicodedata.normalize(form, name.replace("\0", "")) for form in ("NFC", "NFD")]
    ids = {file_id(form) for form in both}
    assert len(ids) == 1 and one_form(both[1]) == both[0]
    (id,) = ids
    assert "/" not in id and not id.startswith(".")
    assert len(id.encode(errors="surrogateescape")) <= MOST_BYTES


@pytest.mark.parametrize("sign", ["a", "é", "가", "🙂"])
def test_the_longest_id_can_be_written_beside_its_draft(tmp_path: Path, sign: str) -> None:
    ids = [file_id(f"{sign * 300}/{last}") for last in "12"]
    assert len({*ids}) == 2  # what is cut off tells them apart all the same
    for id in ids:
        write_bytes(tmp_path / f"{id}.png", b"x")
    assert sorted(os.listdir(tmp_path)) == sorted(f"{id}.png" for id in ids)
    short = file_id(sign * (MOST_BYTES // len(sign.encode())))
    assert short == sign * (MOST_BYTES // len(sign.encode()))  # as long as may be, and kept


def test_names_that_differ_by_their_form_alone() -> None:
    nfd = unicodedata.normalize("NFD", "가.png")
    assert twins(["a.png", nfd, "가.png"]) == (nfd, "가.png")
    assert twins(["a.png", "a.png", nfd, nfd]) is None
    assert shortened("a" * 20, 20) == "a" * 20 and len(shortened("a" * 21, 20)) == 20
