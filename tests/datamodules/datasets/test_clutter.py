"""What systems leave between the files of a data set changes nothing of it."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from datamodules import open_data
from datamodules.image_files import ImageFileDataset
from datamodules.validation.check import check
from tests.trees import ade20k, camvid, cityscapes, coco, folder, voc2012

TREES: dict[str, tuple[str, Callable[[Path], None]]] = {
    "ade20k": ("ade20k", ade20k.build),
    "camvid": ("camvid", camvid.build),
    "cityscapes": ("cityscapes", cityscapes.build),
    "coco": ("coco", coco.build),
    "coco, panoptic": ("coco", coco.build_panoptic),
    "folder": ("folder", folder.build),
    "voc2012": ("voc2012", voc2012.build),
}


def _scatter(root: Path) -> None:
    """Into each folder, and beside each file what macOS writes of it."""
    for at, folders, files in list(os.walk(root)):
        for name in (".DS_Store", "Thumbs.db", "desktop.ini", "Icon\r"):
            Path(at, name).write_bytes(b"x")
        for name in files:
            Path(at, f"._{name}").write_bytes(b"\0\5\x16\7")
        for left in ("__MACOSX", "@eaDir", ".ipynb_checkpoints"):
            Path(at, left).mkdir()
            for name in files[:2]:
                shutil.copy(Path(at, name), Path(at, left, name))
        del folders


def _seen(name: str, root: Path) -> list[tuple[list[str], list[str], list[str], str]]:
    seen = []
    for split in ("train", "val"):
        data = open_data(name, split, root)
        assert isinstance(data, ImageFileDataset)
        seen.append((data.ids, data.groups, data.notes, data.fingerprint()))
    return seen


@pytest.mark.parametrize("tree", TREES)
def test_clutter_changes_nothing(tmp_path: Path, tree: str) -> None:
    name, build = TREES[tree]
    build(tmp_path)
    before, report = _seen(name, tmp_path), check(name, tmp_path)
    _scatter(tmp_path)
    assert _seen(name, tmp_path) == before
    assert check(name, tmp_path) == report


@pytest.mark.parametrize("layout", ["folders", "dealt"])
def test_clutter_among_your_own_folders(tmp_path: Path, layout: str) -> None:
    folder.build(tmp_path)
    shutil.rmtree(tmp_path / "splits")
    if layout == "folders":
        for top in ("images", "masks"):
            for split, names in {"train": "abcdef", "valid": "gh", "test": "ij"}.items():
                (tmp_path / top / split).mkdir()
                for name in names:
                    (tmp_path / top / f"{name}.png").rename(tmp_path / top / split / f"{name}.png")
    before = _seen("folder", tmp_path)
    _scatter(tmp_path)
    assert _seen("folder", tmp_path) == before
