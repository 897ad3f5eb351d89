"""What the values of prediction files are: class ids, or ids of the data set's own label files.

Nobody says so in a file, so it is told from the values of all of them. Each file is read once, as
it is counted, under the reading that the first file allows; what shows to be wrong is read again.
Where palettes number colours differently in each file, their colours are what values mean.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple, NoReturn

import numpy as np

from datamodules.dataset import Dataset
from datamodules.labels import IGNORE, LabelSet, UInt8, occurring
from datamodules.palettes import Rows, contradiction, differing, is_plain, meanings, speaks
from experiments.scoring.counts import in_order
from experiments.scoring.prediction_files import PredictionError, find_files, read_file

Ids = Literal["train", "label"]
Reading = Literal["train", "label", "colour"]
Tables = Mapping[Ids, Mapping[int, int]]

READINGS: dict[Reading, str] = {
    "train": "class ids",
    "label": "the data set's label ids",
    "colour": "the colours of their palettes, which differ",
}


class OtherIdsError(PredictionError):
    """A file holds a value that the reading of the others does not know."""


class FileValues(NamedTuple):
    """All values of a file, what kind of file it is, and the RGB of each index of its palette."""

    values: frozenset[int]
    kind: str
    palette: bytes = b""


Files = Mapping[FileValues, int]  # what files hold, each once, with the first image that has it


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
    ids: Reading

    def __call__(self, index: int, truth: UInt8) -> UInt8:
        """As `read`, without the values."""
        return self.read(index, truth)[0]

    def read(self, index: int, truth: UInt8) -> tuple[UInt8, FileValues]:
        """Class indices (H, W), with 255 where no class is given, and what the file holds.

        Raises:
            OtherIdsError: a value that the reading does not know.
            PredictionError: a file that is damaged or no single channel of whole numbers, or of
                another size than the truth's.
        """
        path = self.paths[index]
        file = read_file(path)
        found = FileValues(frozenset(occurring(file.values)), file.kind, file.palette)
        table = self._table(found)
        if not found.values <= table.keys():
            raise OtherIdsError(f"{path} holds other values than {READINGS[self.ids]}")
        if file.values.shape != truth.shape:
            height, width = file.values.shape
            raise PredictionError(
                f"{path} is {width}x{height} and its label {truth.shape[1]}x{truth.shape[0]}: "
                "predict at the label's own size"
            )
        class_of = np.full(65536, IGNORE, np.uint8)
        class_of[list(table)] = list(table.values())
        return class_of[file.values], found

    def _table(self, file: FileValues) -> Mapping[int, int]:
        """The class of each value of a file."""
        tables = _tables(self.labels, self.asked)
        if self.ids != "colour":
            return tables[self.ids]
        named = meanings(file.palette, self.labels.colour_rows, file.values) or {}
        return {value: tables["label"][id] for value, id in named.items()}

    def by_palettes(self, files: Files) -> "Predictions":
        """The same with the reading that the palettes of all files allow, if they have any.

        Raises:
            PredictionError: palettes that differ in the colour of a value, and are in other colours
                than the label table; or that contradict it.
        """
        indexed = [(file.palette, file.values) for file in files if file.palette]
        if self.asked or self.ids == "colour" or not indexed:
            return self
        value = differing(indexed)
        if value is None:
            readings = [self.ids, *(r for r in _fitting(files, self.labels) if r != self.ids)]
            fine = (ids for ids in readings if not _contradicted(ids, files, self.labels))
            ids = next(fine, None)
            if ids is None:
                self._refuse_palette(files)
            return replace(self, ids=ids)
        if all(meanings(f.palette, self.labels.colour_rows, f.values) is not None for f in files):
            return replace(self, ids="colour")
        folder = self.paths[0].parent
        raise PredictionError(
            f"{folder} has files whose palettes differ in the colour of the value {value}, and the "
            "label table does not have all of these colours: write class ids as grey PNGs, or say "
            "what the values are with --ids, whatever their colours"
        )

    def _refuse_palette(self, files: Files) -> NoReturn:
        path, wrong = next(
            (self.paths[index], wrong)
            for file, index in files.items()
            if (wrong := contradiction(file.palette, _rows(self.ids, self.labels), file.values))
        )
        raise PredictionError(
            f"{path} has a palette that contradicts the label table, with the value {wrong[0]} in "
            f"the colour of {wrong[1]}: write class ids as grey PNGs, or say what the values are "
            "with --ids, whatever their colours"
        )

    def surveyed(self, jobs: int = 1) -> "Predictions":
        """The same with the reading that the values of all files allow, all of which are read.

        Raises:
            PredictionError: values that are neither kind of id, or not the one that was asked for.
        """
        return self.fitting(self.survey(jobs))

    def survey(self, jobs: int = 1) -> Files:
        """What all files hold.

        Raises:
            PredictionError: a file that is damaged or no single channel of whole numbers.
        """
        files: dict[FileValues, int] = {}
        read = in_order(partial(_survey, self.paths), len(self.paths), jobs)
        for index, values in enumerate(read):
            files.setdefault(values, index)
        return files

    def fitting(self, files: Files) -> "Predictions":
        """The same with the reading that the values of all files allow.

        Raises:
            PredictionError: values that are neither kind of id, or not the one that was asked for.
        """
        fitting: list[Reading] = [*_fitting(files, self.labels, self.asked)]
        if (
            not fitting
            and self.asked is None
            and all(
                meanings(f.palette, self.labels.colour_rows, f.values) is not None for f in files
            )
        ):
            fitting = ["colour"]
        reading: Reading | None = self.asked or next(iter(fitting), None)
        if reading is None or reading not in fitting:
            tables = _tables(self.labels, self.asked)
            _refuse(((self.paths[i], file) for file, i in files.items()), tables, self.asked)
        return replace(self, ids=reading)

    def form(self, files: Iterable[FileValues]) -> str:
        """What the files were read as, for who asked for it."""
        files = list(files)
        kinds = ", ".join(sorted({file.kind for file in files}))
        form = f"{READINGS[self.ids]} ({kinds})"
        if self.asked is None and self.ids == "train" and _ambiguous(files, _tables(self.labels)):
            form += ", though they could be its label ids as well, of other classes: --ids label"
        if self.asked is None and self.ids != "colour" and not all(map(self._knows, files)):
            form += "; the palettes are not in the label table's colours, which would show it"
        return form

    def _knows(self, file: FileValues) -> bool:
        """Whether a file has no palette, or one that the label table, or nobody, has chosen."""
        palette, rows = file.palette, _rows(self.ids, self.labels)
        plain = not palette or is_plain(palette) or self.labels.palette.startswith(palette)
        return plain or speaks(palette, rows)


def open_predictions(folder: Path, data: Dataset, ids: Ids | None = None) -> Predictions:
    """Find the predictions of a split, and read the first.

    Values are class ids, 0 to K - 1, if all of them can be; else ids of the data set's own label
    files. 255 is void in both, but where the data set has a class of this id, which makes it one.

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
    file = read_file(paths[index])
    return FileValues(frozenset(occurring(file.values)), file.kind, file.palette)


def _tables(labels: LabelSet, asked: Ids | None = None) -> Tables:
    """The class of each value that a file may hold, for each reading."""
    train = {k: k for k in range(labels.num_classes)}
    own = {label.id: label.train_id for label in labels.labels}
    # Masks of 0 and 255: who predicts 255 there means the class, unless it is said otherwise.
    void = {IGNORE: IGNORE} if asked or own.get(IGNORE, IGNORE) == IGNORE else {}
    return {"train": void | train, "label": {IGNORE: IGNORE} | own}


def _rows(reading: Reading, labels: LabelSet) -> Rows:
    """The values of a reading with their colours; none where colours are made up."""
    if reading == "label" or not labels.colour_rows:
        return labels.colour_rows
    return tuple((k, label.colour) for k, label in enumerate(labels.classes))


def _contradicted(reading: Reading, files: Iterable[FileValues], labels: LabelSet) -> bool:
    rows = _rows(reading, labels)
    return any(contradiction(file.palette, rows, file.values) for file in files)


def _union(files: Iterable[FileValues]) -> frozenset[int]:
    return frozenset[int]().union(*(file.values for file in files))


def _fitting(files: Iterable[FileValues], labels: LabelSet, asked: Ids | None = None) -> list[Ids]:
    """The readings that know all values."""
    values, tables = _union(files), _tables(labels, asked)
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
    count = np.count_nonzero(read_file(path).values == value)
    last = max(tables["train"].keys() - {IGNORE})
    needed = {
        "train": f"class ids 0 to {last} are needed everywhere",
        "label": "ids of the data set's label table are needed everywhere",
        None: f"class ids 0 to {last} are needed, or ids of the data set's label table everywhere",
    }
    raise PredictionError(f"{path} has the value {value} in {count} pixels: {needed[asked]}")
