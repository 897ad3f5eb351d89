"""What the values of prediction files are: class ids, or ids of the data set's own label files.

Nobody says so in a file, so it is told from the values of all of them. Each file is read once, as
it is counted, under the reading that the first file allows; what shows to be wrong is read again.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple, NoReturn

import numpy as np

from datamodules.dataset import Dataset
from datamodules.labels import IGNORE, LabelSet, UInt8
from experiments.scoring.counts import in_order
from experiments.scoring.prediction_files import Integers, PredictionError, find_files, read_file

Ids = Literal["train", "label"]
Tables = Mapping[Ids, Mapping[int, int]]

READINGS: dict[Ids, str] = {"train": "class ids", "label": "the data set's label ids"}


class OtherIdsError(PredictionError):
    """A file holds a value that the reading of the others does not know."""


class FileValues(NamedTuple):
    """All values of a file, and what kind of file it is."""

    values: frozenset[int]
    kind: str


@dataclass(frozen=True)
class Predictions:
    """A prediction for each image of a split.

    Attributes:
        paths: of the files, in the order of the images.
        asked: the only reading that is allowed, if any.
        ids: the reading that is taken.
    """

    paths: list[Path]
    labels: LabelSet
    asked: Ids | None
    ids: Ids

    def __call__(self, index: int, truth: UInt8) -> UInt8:
        """As `read`, without the values."""
        return self.read(index, truth)[0]

    def read(self, index: int, truth: UInt8) -> tuple[UInt8, FileValues]:
        """Class indices (H, W), with 255 where the truth has it, too, and what the file holds.

        Raises:
            OtherIdsError: a value that the reading does not know.
            PredictionError: a file that is damaged or no single channel of whole numbers, another
                size than the truth's, or no class on a scored pixel.
        """
        path = self.paths[index]
        values, kind = read_file(path)
        table, known = _tables(self.labels)[self.ids], _values(values)
        if not known <= table.keys():
            raise OtherIdsError(f"{path} holds other values than {READINGS[self.ids]}")
        if values.shape != truth.shape:
            raise PredictionError(
                f"{path} is {values.shape[1]}x{values.shape[0]} and its label "
                f"{truth.shape[1]}x{truth.shape[0]}: predict at the label's own size"
            )
        class_of = np.full(65536, IGNORE, np.uint8)
        class_of[list(table)] = list(table.values())
        prediction = class_of[values]
        void = np.count_nonzero((prediction == IGNORE) & (truth != IGNORE))
        if void:
            raise PredictionError(
                f"{path} gives no class to {void} pixels whose class is known: predict one for "
                "each, as 255 and ids of void score nothing"
            )
        return prediction, FileValues(known, kind)

    def surveyed(self, jobs: int = 1) -> "Predictions":
        """The same with the reading that the values of all files allow, all of which are read.

        Raises:
            PredictionError: values that are neither kind of id, or not the one that was asked for.
        """
        files = list(in_order(partial(_survey, self.paths), len(self.paths), jobs))
        fitting = _fitting(files, self.labels)
        reading = self.asked or next(iter(fitting), None)
        if reading not in fitting:
            _refuse(zip(self.paths, files, strict=True), _tables(self.labels), self.asked)
        return replace(self, ids=reading)

    def form(self, files: Sequence[FileValues]) -> str:
        """What the files were read as, for who asked for it."""
        kinds = ", ".join(sorted({file.kind for file in files}))
        form = f"{READINGS[self.ids]} ({kinds})"
        if self.asked is None and _ambiguous(files, _tables(self.labels)):
            form += ", though they could be its label ids as well, of other classes: --ids label"
        return form


def open_predictions(folder: Path, data: Dataset, ids: Ids | None = None) -> Predictions:
    """Find the predictions of a split, and read the first.

    Values are class ids, 0 to K - 1, if all of them can be; else ids of the data set's own label
    files. 255 is void in both.

    Args:
        ids: to allow only one reading.

    Raises:
        PredictionError: as `find_files`, or a first file that cannot be read.
    """
    paths = find_files(folder, data.ids)
    if ids is not None:
        return Predictions(paths, data.labels, ids, ids)
    fitting = _fitting([_survey(paths, 0)], data.labels)
    return Predictions(paths, data.labels, None, next(iter(fitting), "train"))


def _survey(paths: list[Path], index: int) -> FileValues:
    values, kind = read_file(paths[index])
    return FileValues(_values(values), kind)


def _values(values: Integers) -> frozenset[int]:
    """Each value once."""
    if values.dtype == np.uint8:  # np.unique sorts, which takes ten times as long
        return frozenset(np.flatnonzero(np.bincount(values.ravel(), minlength=256)).tolist())
    return frozenset(np.unique(values).tolist())


def _tables(labels: LabelSet) -> Tables:
    """The class of each value that a file may hold, for each reading."""
    return {
        "train": {IGNORE: IGNORE, **{k: k for k in range(labels.num_classes)}},
        "label": {IGNORE: IGNORE, **{label.id: label.train_id for label in labels.labels}},
    }


def _union(files: Iterable[FileValues]) -> frozenset[int]:
    return frozenset[int]().union(*(file.values for file in files))


def _fitting(files: Iterable[FileValues], labels: LabelSet) -> list[Ids]:
    """The readings that know all values."""
    values, tables = _union(files), _tables(labels)
    return [reading for reading in tables if values <= tables[reading].keys()]


def _ambiguous(files: Iterable[FileValues], tables: Tables) -> bool:
    """Whether the values are classes by both readings, and not the same."""
    values = _union(files) - {IGNORE}
    train, label = ([table.get(v, IGNORE) for v in values] for table in tables.values())
    return train != label and IGNORE not in train and IGNORE not in label


def _refuse(
    files: Iterable[tuple[Path, FileValues]],
    tables: Tables,
    asked: Ids | None,
) -> NoReturn:
    """Name the first file with a value that no reading allows, or else one that is no class."""
    named = [tables[asked]] if asked else [{**tables["train"], **tables["label"]}, tables["train"]]
    rows = list(files)
    path, value = next(
        (path, min(file.values - table.keys()))
        for table in named
        for path, file in rows
        if file.values - table.keys()
    )
    count = np.count_nonzero(read_file(path)[0] == value)
    last = len(tables["train"]) - 2
    needed = {
        "train": f"class ids 0 to {last} are needed everywhere",
        "label": "ids of the data set's label table are needed everywhere",
        None: f"class ids 0 to {last} are needed, or ids of the data set's label table everywhere",
    }
    raise PredictionError(f"{path} has the value {value} in {count} pixels: {needed[asked]}")
