"""Odd, damaged and hostile image files before every reader: right pixels, or one true sentence."""

import os
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules import image_decoding
from datamodules.datasets.label_table import LabelTable, read_mask
from datamodules.image_files import ImageFileDataset, Sample, read_ids, read_image, read_labels
from datamodules.labels import DataError, Label, LabelSet
from datamodules.validation.image_checks import inspect
from experiments.reporting.contact_sheet import write_sheet
from experiments.scoring.prediction_files import PredictionError, read_file
from tests.datamodules.odd_files import MADE, H, W

TABLE = LabelSet(tuple(Label(k, k, f"class {k}", (k, 9, 9)) for k in range(250)), ())
Reader = Callable[[Path, Path], "np.ndarray | None"]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A photograph is large from a million pixels on: in these tests ninety take too long."""
    monkeypatch.setattr(image_decoding, "_LARGE", 10**6)


def _split(image: Path, mask: Path) -> ImageFileDataset:
    return ImageFileDataset(TABLE, [Sample("a", "a", image, mask)])


def _sound(folder: Path, kind: str) -> Path:
    path = folder / f"sound_{kind}.png"
    shape = (H, W, 3) if kind == "image" else (H, W)
    Image.fromarray(np.full(shape, 7, np.uint8)).save(path)
    return path


def _checked(image: Path, mask: Path) -> None:
    errors = [f for f in inspect(_split(image, mask), 0).findings if f.level == "error"]
    if errors:
        raise DataError(f"{errors[0].file} {errors[0].text}")


def _shown(image: Path, mask: Path) -> None:
    write_sheet(_split(image, mask), "sheet", 1, image.parent / "sheet")


PHOTO: dict[str, Reader] = {
    "read_image": lambda path, folder: read_image(path),
    "check": lambda path, folder: _checked(path, _sound(folder, "mask")),
    "data show": lambda path, folder: _shown(path, _sound(folder, "mask")),
}
MASK: dict[str, Reader] = {
    "read_labels": lambda path, folder: read_labels(path)[0],
    "read_ids": lambda path, folder: read_ids(Sample("a", "a", path, path)).ids,
    "folder": lambda path, folder: (
        read_mask(Sample("a", "a", path, path), LabelTable(TABLE, None, by_colour=False)).ids
    ),
    "check": lambda path, folder: _checked(_sound(folder, "image"), path),
    "data show": lambda path, folder: _shown(_sound(folder, "image"), path),
    "score": lambda path, folder: read_file(path).values,
}
ONLY_PNG = {"score"}  # reads no other content, which it says
VALUES = {"check", "data show", "folder", "read_ids"}  # also refuse what is no label
SUFFIXES = (".png", ".tif")
TRIED: dict[str, int] = {"read": 0, "refused": 0}


def _outcome(read: Reader, path: Path, folder: Path) -> "np.ndarray | str | None":
    """What a reader makes of a file, or its sentence; anything else it raises fails the test."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            found = read(path, folder)
        except (DataError, PredictionError) as error:
            TRIED["refused"] += 1
            text = str(error)
            assert path.name in text and "\n" not in text and ". " not in text, text
            assert not text.endswith(".") and "Traceback" not in text
            return text
    TRIED["read"] += 1
    return found


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("name", MADE)
def test_a_photograph_is_right_or_refused(tmp_path: Path, name: str, suffix: str) -> None:
    odd = MADE[name]()
    (path := tmp_path / f"odd{suffix}").write_bytes(odd.content)
    for reader, read in PHOTO.items():
        found = _outcome(read, path, tmp_path)
        if odd.photo is None:
            assert isinstance(found, str), reader
        elif not isinstance(odd.photo, str):
            same_size = odd.photo.shape[:2] == (H, W) or reader == "read_image"
            assert isinstance(found, str) != same_size, (reader, found)
            if reader == "read_image":
                assert isinstance(found, np.ndarray) and found.dtype == np.uint8
                # Decoders of JPEG differ by a little; of CMYK there is no one RGB.
                near = 3 if "JPEG" in name or "WebP" in name else 0
                away = np.abs(found.astype(int) - odd.photo.astype(int)).max()
                assert away <= near or "CMYK" in name, (reader, away)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("name", MADE)
def test_labels_are_right_or_refused(tmp_path: Path, name: str, suffix: str) -> None:
    odd = MADE[name]()
    (path := tmp_path / f"odd{suffix}").write_bytes(odd.content)
    for reader, read in MASK.items():
        found = _outcome(read, path, tmp_path)
        if odd.mask is None:
            refused_later = isinstance(found, np.ndarray) and found.dtype.kind != "u"
            assert isinstance(found, str) or refused_later, (reader, found)
        elif not isinstance(odd.mask, str) and isinstance(found, np.ndarray):
            assert np.array_equal(found, odd.mask), reader
        elif not isinstance(odd.mask, str) and reader not in ONLY_PNG | VALUES:
            assert isinstance(found, np.ndarray), (reader, found)


def test_every_file_was_before_every_reader(request: pytest.FixtureRequest) -> None:
    """Counts what the tests above have tried, where all of them ran in this process."""
    whole = len(MADE) * len(SUFFIXES) * (len(PHOTO) + len(MASK))
    assert len(MADE) >= 60 and whole >= 1000
    ran = sum(item.fspath == request.node.fspath for item in request.session.items)
    if ran == 2 * len(MADE) * len(SUFFIXES) + 1 and "PYTEST_XDIST_WORKER" not in os.environ:
        assert sum(TRIED.values()) == whole, TRIED
