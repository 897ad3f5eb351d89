"""A folder of predictions in any of the forms that programs write them in.

Its PNG and .npy files are the predictions, everything else is ignored. A file belongs to the image
whose id its name begins with, up to the end, a `_` or a `.`, as Cityscapes' tools name them.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
from PIL import Image

from datamodules.dataset import Dataset
from datamodules.labels import IGNORE, LabelSet, UInt8
from experiments.scoring.counts import in_order

Integers = npt.NDArray[np.integer[Any]]

READINGS = {"train": "class ids", "label": "the data set's label ids"}
_MODES = {"L": "grey PNG", "P": "palette PNG", "I;16": "16-bit PNG"}


class PredictionError(ValueError):
    """Predictions that cannot be scored; the message names the file and what is needed."""


@dataclass(frozen=True)
class Predictions:
    """A prediction for each image of a split, all of which could be read."""

    paths: list[Path]
    classes: UInt8
    """Class of each value of a file, (65536,); 255 for none."""
    form: str
    """What the files were read as, for who asked for it."""

    def __call__(self, index: int, truth: UInt8) -> UInt8:
        """Class indices (H, W), with 255 where the truth has it, too.

        Raises:
            PredictionError: another size than the truth's, or no class on a scored pixel.
        """
        path = self.paths[index]
        values, _ = _read(path)
        if values.shape != truth.shape:
            raise PredictionError(
                f"{path} is {values.shape[1]}x{values.shape[0]} and its label "
                f"{truth.shape[1]}x{truth.shape[0]}: predict at the label's own size"
            )
        prediction = self.classes[values]
        void = np.count_nonzero((prediction == IGNORE) & (truth != IGNORE))
        if void:
            raise PredictionError(
                f"{path} gives no class to {void} pixels whose class is known: predict one for "
                "each, as 255 and ids of void score nothing"
            )
        return prediction


def open_predictions(
    folder: Path, data: Dataset, ids: str | None = None, jobs: int = 1
) -> Predictions:
    """Find and read once the predictions of a split, in `folder` or in its folder `predictions`.

    Values are class ids, 0 to K - 1, if all of them can be; else ids of the data set's own label
    files. 255 is void in both.

    Args:
        ids: `train` or `label`, to allow only one reading.
        jobs: processes.

    Raises:
        PredictionError: no folder, nothing in it, files that are missing, too many, unreadable or
            no single channel of whole numbers, or values that are neither kind of id.
    """
    inner = folder / "predictions"
    folder = inner if inner.is_dir() else folder
    paths = _paths(folder, data.ids)
    found = list(in_order(partial(_survey, paths), len(paths), jobs))
    tables = _tables(data.labels)
    values = frozenset[int]().union(*(values for values, _ in found))
    fitting = [name for name in tables if values <= tables[name].keys()]
    reading = ids or next(iter(fitting), "train")
    table = tables[reading]
    if reading not in fitting:
        _refuse(zip(paths, (v for v, _ in found), strict=True), tables, ids)
    classes = np.full(65536, IGNORE, np.uint8)
    classes[list(table)] = list(table.values())
    kinds = ", ".join(sorted({kind for _, kind in found}))
    form = f"{READINGS[reading]} ({kinds})"
    if ids is None and _ambiguous(values, tables):
        form += ", though they could be its label ids as well, of other classes: --ids label"
    return Predictions(paths, classes, form)


def _paths(folder: Path, ids: Sequence[str]) -> list[Path]:
    """The one file of each image, in their order."""
    if not folder.is_dir():
        raise PredictionError(f"no folder of predictions at {folder.absolute()}: name another")
    files = sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in (".png", ".npy") and path.name[0] != "." and path.is_file()
    )
    if not files:
        raise PredictionError(f"{folder} holds no PNG and no .npy file: name the folder that does")
    known, owners, strange = set(ids), dict[str, Path](), []
    for path in files:
        id = _owner(path.stem, known)
        if id is None:
            strange.append(path.name)
        elif id in owners:
            raise PredictionError(
                f"{folder} has two files for the image {id}, {owners[id].name} and {path.name}: "
                "keep one of them"
            )
        else:
            owners[id] = path
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
    return [owners[id] for id in ids]


def _owner(stem: str, ids: Collection[str]) -> str | None:
    """The longest id that begins the stem and ends with it or before `_` or `.`."""
    ends = [len(stem), *(i for i in range(len(stem) - 1, 0, -1) if stem[i] in "_.")]
    return next((stem[:end] for end in ends if stem[:end] in ids), None)


def _read(path: Path) -> tuple[Integers, str]:
    """Values (H, W) as they are in the file, and what kind of file it is.

    Raises:
        PredictionError: a damaged file, or other than one channel of whole numbers.
    """
    kind = "npy"
    try:
        if path.suffix.lower() == ".npy":
            with path.open("rb") as stream:
                values = np.lib.format.read_array(stream, allow_pickle=False)
        else:
            with Image.open(path, formats=["PNG"]) as file:
                kind, values = file.mode, np.asarray(file)
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
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
    return values, _MODES.get(kind, ".npy")


def _survey(paths: list[Path], index: int) -> tuple[frozenset[int], str]:
    """All values of a file, and its kind."""
    values, kind = _read(paths[index])
    if values.dtype == np.uint8:  # np.unique sorts, which takes ten times as long
        found = np.flatnonzero(np.bincount(values.ravel(), minlength=256))
    else:
        found = np.unique(values)
    return frozenset(found.tolist()), kind


def _tables(labels: LabelSet) -> dict[str, dict[int, int]]:
    """The class of each value that a file may hold, for each reading."""
    return {
        "train": {IGNORE: IGNORE, **{k: k for k in range(labels.num_classes)}},
        "label": {IGNORE: IGNORE, **{label.id: label.train_id for label in labels.labels}},
    }


def _ambiguous(values: frozenset[int], tables: Mapping[str, Mapping[int, int]]) -> bool:
    """Whether the values are classes by both readings, and not the same."""
    train, label = ([table.get(v, IGNORE) for v in values - {IGNORE}] for table in tables.values())
    return train != label and IGNORE not in train and IGNORE not in label


def _refuse(
    files: Iterable[tuple[Path, frozenset[int]]],
    tables: Mapping[str, Mapping[int, int]],
    ids: str | None,
) -> NoReturn:
    """Name the first file with a value that no reading allows, or else one that is no class."""
    named = [tables[ids]] if ids else [{**tables["train"], **tables["label"]}, tables["train"]]
    rows = list(files)
    path, value = next(
        (path, min(values - table.keys()))
        for table in named
        for path, values in rows
        if values - table.keys()
    )
    count = np.count_nonzero(_read(path)[0] == value)
    last = len(tables["train"]) - 2
    needed = {
        "train": f"class ids 0 to {last} are needed everywhere",
        "label": "ids of the data set's label table are needed everywhere",
        None: f"class ids 0 to {last} are needed, or ids of the data set's label table everywhere",
    }
    raise PredictionError(f"{path} has the value {value} in {count} pixels: {needed[ids]}")
