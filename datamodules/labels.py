"""Label tables: one aligned list of classes a data set, everything else derived from it."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

IGNORE = 255  # the one value of "not scored" after mapping, in losses, metrics and files alike
_UNKNOWN = 254  # marks file values that the table does not list; never leaves `to_train`

UInt8 = npt.NDArray[np.uint8]


class Label(NamedTuple):
    """One row of a label table: value in the file, class index in training, name, RGB colour."""

    id: int
    train_id: int
    name: str
    colour: tuple[int, int, int]


class DataError(ValueError):
    """A data set that cannot be used as it is; the message names the file and the remedy."""


@dataclass(frozen=True)
class LabelSet:
    """The label table of a data set, from which lookups, names and the palette are derived."""

    labels: tuple[Label, ...]

    @cached_property
    def classes(self) -> tuple[Label, ...]:
        """The first label of every trained class, in the order of the class indices."""
        first: dict[int, Label] = {}
        for label in self.labels:
            if label.train_id != IGNORE:
                first.setdefault(label.train_id, label)
        if sorted(first) != list(range(len(first))):
            raise ValueError(f"train ids must run from 0 without a gap, got {sorted(first)}")
        return tuple(first[i] for i in range(len(first)))

    @property
    def num_classes(self) -> int:
        return len(self.classes)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(label.name for label in self.classes)

    @cached_property
    def palette(self) -> bytes:
        """768 bytes for a palette PNG: class colours, and black for everything else."""
        colours = np.zeros((256, 3), np.uint8)
        for index, label in enumerate(self.classes):
            colours[index] = label.colour
        return colours.tobytes()

    @cached_property
    def _lut(self) -> UInt8:
        lut = np.full(256, _UNKNOWN, np.uint8)
        for label in self.labels:
            lut[label.id] = label.train_id
        return lut

    def to_train(self, ids: UInt8, path: Path) -> UInt8:
        """Map the ids of a label file, (H, W), to class indices with 255 for ignore.

        Raises:
            DataError: a value that the table does not list, with the file, values and counts.
        """
        mask = self._lut[ids]
        unknown = mask == _UNKNOWN
        if unknown.any():
            values, counts = np.unique(ids[unknown], return_counts=True)
            found = ", ".join(f"{v} ({c} pixels)" for v, c in zip(values, counts, strict=True))
            known = sorted(label.id for label in self.labels)
            raise DataError(
                f"{path} has label values outside the table: {found}; the table knows {known}: "
                "mend the file or add the value to the data set's label table"
            )
        return mask


# The 11 classes of CamVid, numbered and coloured as in the SegNet tutorial.
CAMVID = LabelSet(
    (
        #     id train name           colour
        Label(0, 0, "Sky", (128, 128, 128)),
        Label(1, 1, "Building", (128, 0, 0)),
        Label(2, 2, "Pole", (192, 192, 128)),
        Label(3, 3, "Road", (128, 64, 128)),
        Label(4, 4, "Pavement", (60, 40, 222)),
        Label(5, 5, "Tree", (128, 128, 0)),
        Label(6, 6, "SignSymbol", (192, 128, 128)),
        Label(7, 7, "Fence", (64, 64, 128)),
        Label(8, 8, "Car", (64, 0, 128)),
        Label(9, 9, "Pedestrian", (64, 64, 0)),
        Label(10, 10, "Bicyclist", (0, 128, 192)),
        Label(11, IGNORE, "Unlabelled", (0, 0, 0)),
    )
)
