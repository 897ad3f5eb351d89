"""Prediction files: which one is of which image, how they are read, and the one that is written.

Of a folder its PNG and .npy files are predictions, everything else is ignored. A file belongs to
the image whose id its name begins with, up to the end, a `_` or a `.`, as Cityscapes' tools name
them. Names are compared in one normal form of Unicode.
"""

import io
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from datamodules.clutter import is_clutter
from datamodules.file_names import one_form
from datamodules.image_decoding import (
    DecodingError,
    NoImageError,
    check_size,
    label_pixels,
    open_image,
)
from datamodules.labels import UInt8
from experiments.trials.atomic_io import write_bytes

Integers = npt.NDArray[np.integer]

_MODES = {"L": "grey PNG", "P": "palette PNG", "I;16": "16-bit PNG"}


class PredictionError(ValueError):
    """Predictions that cannot be scored; the message names the file and what is needed."""


def write_prediction(path: Path, classes: UInt8, palette: bytes) -> None:
    """Write class indices (H, W) as a palette PNG, whole or not at all."""
    picture = Image.fromarray(classes, mode="P")
    picture.putpalette(palette)
    picture.save(png := io.BytesIO(), "PNG")
    write_bytes(path, png.getvalue())


def find_files(folder: Path, ids: Sequence[str]) -> list[Path]:
    """The one file of each image, in their order, in `folder` or in its folder `predictions`.

    Raises:
        PredictionError: no folder, nothing in it, or files that are missing or too many.
    """
    inner = folder / "predictions"
    folder = inner if inner.is_dir() else folder
    if not folder.is_dir():
        raise PredictionError(f"no folder of predictions at {folder.absolute()}: name another")
    files = sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in (".png", ".npy") and not is_clutter(path.name) and path.is_file()
    )
    if not files:
        raise PredictionError(f"{folder} holds no PNG and no .npy file: name the folder that does")
    known = {one_form(id): id for id in ids}
    owners, strange = dict[str, Path](), []
    for path in files:
        name = _owner(one_form(path.stem), known)
        id = None if name is None else known[name]
        if id is None:
            strange.append(path.name)
        elif id in owners:
            both = owners[id].name, path.name
            same = one_form(both[0]) == one_form(both[1])
            forms = f" (in two normal forms of Unicode, {both[0]!a} and {both[1]!a})" * same
            raise PredictionError(
                f"{folder} has two files for the image {id}, {both[0]} and {both[1]}{forms}: keep "
                "one of them"
            )
        else:
            owners[id] = path
    _check_whole(folder, ids, owners, strange)
    return [owners[id] for id in ids]


def _check_whole(
    folder: Path, ids: Sequence[str], owners: Collection[str], strange: Sequence[str]
) -> None:
    missing = [id for id in ids if id not in owners]
    if missing:
        raise PredictionError(
            f"{folder} lacks {len(missing)} of {len(ids)} predictions, the first "
            f"{missing[0]}.png: every image of the split is needed, named by its id"
        )
    if strange:
        raise PredictionError(
            f"{folder} has files of no image of the split ({len(strange)}, the first "
            f"{strange[0]}): name the split that they are of, or take them away"
        )


def _owner(stem: str, ids: Collection[str]) -> str | None:
    """The longest id that begins the stem and ends with it or before `_` or `.`."""
    ends = [len(stem), *(i for i in range(len(stem) - 1, 0, -1) if stem[i] in "_.")]
    return next((stem[:end] for end in ends if stem[:end] in ids), None)


class PredictionFile(NamedTuple):
    """Values (H, W) as they are in a file, what kind of file it is, and the RGB of its palette."""

    values: Integers
    kind: str
    palette: bytes


def read_file(path: Path) -> PredictionFile:
    """What a prediction file holds.

    Raises:
        PredictionError: a damaged file, or other than one channel of whole numbers.
    """
    kind, palette = "npy", b""
    try:
        if path.suffix.lower() == ".npy":
            values = _read_array(path)
        else:
            with path.open("rb") as stream, open_image(stream, path, photograph=False) as file:
                if file.format != "PNG":
                    raise DecodingError(f"{path} is no PNG but {file.format}: save it as PNG")
                if getattr(file, "n_frames", 1) > 1:
                    raise DecodingError(f"{path} is animated: save one picture")
                kind, (values, palette) = file.mode, label_pixels(file, stream, path)
    except Exception as error:  # whatever a damaged file makes a decoder raise
        if isinstance(error, DecodingError) and not isinstance(error, NoImageError):
            raise PredictionError(str(error)) from None
        what = "PNG" if path.suffix.lower() == ".png" else ".npy of numbers"
        raise PredictionError(f"{path} is damaged or no {what}: write it again") from error
    if kind != "npy" and kind not in _MODES:
        raise PredictionError(
            f"{path} has mode {kind}: one channel of ids is needed, no colours (modes L, P)"
        )
    if values.ndim != 2 or values.dtype.kind not in "iu":
        raise PredictionError(
            f"{path} holds {values.dtype} of shape {values.shape}: whole numbers (H, W) are needed"
        )
    return PredictionFile(values, _MODES.get(kind, ".npy"), palette)


def _read_array(path: Path) -> Integers:
    """An array whose header does not promise more than the file has: it may say 90 TiB.

    Raises:
        ValueError: another file.
        DecodingError: too large an array.
    """
    with np.errstate(over="raise"):  # of the product of its shape
        mapped = np.load(path, mmap_mode="r", allow_pickle=False)  # takes no memory yet
    if mapped.ndim == 2:
        check_size(path, mapped.shape[1], mapped.shape[0], photograph=False)
    return np.array(mapped)
