"""Label tables: one aligned list of classes a data set, everything else derived from it."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

IGNORE = 255  # the one value of "not scored" after mapping, in losses, metrics and files alike
MAX_CLASSES = 254
_ROWS = 1024  # that are counted at once
_UNKNOWN = 254  # marks file values that the table does not list; never leaves `to_train`

UInt8 = npt.NDArray[np.uint8]
Ids = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
Colour = tuple[int, int, int]


class Label(NamedTuple):
    """One row of a label table: value in the file, class index in training, name, RGB colour."""

    id: int
    train_id: int
    name: str
    colour: Colour


class DataError(ValueError):
    """A data set that cannot be used as it is; the message names the file and the remedy."""


class AbsentError(DataError):
    """A data set, or a split of it, that is not there, as a part of it that nobody has fetched."""


@dataclass(frozen=True)
class RawLabels:
    """Ids (H, W) as a label file holds them, not yet mapped to class indices.

    A type of its own, so that no mask is mapped twice.

    Attributes:
        palette: RGB of each index of an indexed image, in order; empty where there is none.
        painted: whether the file has colours, from which the ids follow.
    """

    ids: Ids
    path: Path
    palette: bytes = b""
    painted: bool = False


@dataclass(frozen=True)
class LabelSet:
    """The label table of a data set, from which lookups, names and the palette are derived.

    Several ids may share a class; it then has the name and the colour of the first of them.

    Attributes:
        colours: of the ids that palettes are held against; by default of all, and none where
            colours were made up.
    """

    labels: tuple[Label, ...]
    colours: tuple[tuple[int, Colour], ...] | None = None

    def __post_init__(self) -> None:
        ids = [label.id for label in self.labels]
        trained = sorted({label.train_id for label in self.labels} - {IGNORE})
        if trained != list(range(len(trained))) or not trained:
            raise ValueError(f"train ids must run from 0 without a gap, got {trained}")
        if len(trained) > MAX_CLASSES:
            raise ValueError(f"{len(trained)} classes do not fit a byte: at most {MAX_CLASSES}")
        twice = sorted({i for i in ids if ids.count(i) > 1})
        if twice or min(ids) < 0 or max(ids) > 65535:
            raise ValueError(f"ids must be distinct and within 0 to 65535, got {twice or ids}")

    @cached_property
    def classes(self) -> tuple[Label, ...]:
        """The first label of every trained class, in the order of the class indices."""
        first: dict[int, Label] = {}
        for label in self.labels:
            if label.train_id != IGNORE:
                first.setdefault(label.train_id, label)
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
        lut = np.full(65536, _UNKNOWN, np.uint8)
        for label in self.labels:
            lut[label.id] = label.train_id
        return lut

    def to_train(self, raw: RawLabels) -> UInt8:
        """Map the ids of a label file, (H, W), to class indices with 255 for ignore.

        Raises:
            DataError: a value that the table does not list, with the file, values and counts.
            TypeError: anything but what a file holds, as a mask that is mapped already.
        """
        if not isinstance(raw, RawLabels):
            raise TypeError(f"only RawLabels of a file are mapped, once; got {type(raw).__name__}")
        if raw.ids.dtype == np.uint8:  # five times as fast: 0.6 ms for 2048x1024
            mask = np.asarray(cv2.LUT(raw.ids, self._lut[:256]), np.uint8)
        else:
            mask = self._lut[raw.ids]
        if (mask == _UNKNOWN).any():
            known = sorted(label.id for label in self.labels)
            raise DataError(
                f"{raw.path} has label values outside the table: "
                f"{_counts(raw.ids[mask == _UNKNOWN])}; the table knows {_ranges(known)}: "
                "mend the file or add the value to the data set's label table"
            )
        return mask

    @cached_property
    def colour_rows(self) -> tuple[tuple[int, Colour], ...]:
        """The ids that palettes are held against, with their colours."""
        if self.colours is not None:
            return self.colours
        return tuple((label.id, label.colour) for label in self.labels)

    @cached_property
    def _by_colour(self) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint16]]:
        """Packed colours in ascending order, and the id of each."""
        packed = np.array([_pack(np.array(label.colour)) for label in self.labels], np.int32)
        order = packed.argsort()
        return packed[order], np.array([label.id for label in self.labels], np.uint16)[order]

    def from_colours(self, colours: UInt8, path: Path) -> RawLabels:
        """The ids of a label file that paints each label in its colour, (H, W, 3).

        Raises:
            DataError: a colour that the table does not list, with the file, colours and counts.
        """
        known, ids = self._by_colour
        packed = _pack(colours.astype(np.int32))
        place = np.searchsorted(known, packed).clip(max=len(known) - 1)
        unknown = packed[known[place] != packed]
        if unknown.size:
            values, counts = np.unique(unknown, return_counts=True)
            shown = ", ".join(
                f"({v >> 16}, {v >> 8 & 255}, {v & 255}) ({c} pixels)"
                for v, c in sorted(zip(values, counts, strict=True), key=lambda x: -x[1])[:5]
            )
            raise DataError(
                f"{path} has {len(values)} colours outside the table: {shown}: mend the file "
                "(was it saved as JPEG or resized?) or add the colour to the label table"
            )
        return RawLabels(ids[place], path, painted=True)


def occurring(ids: npt.NDArray[np.integer]) -> list[int]:
    """Each value of an array (H, W) once, ascending."""
    if ids.dtype == np.uint8:  # np.unique sorts, which takes ten times as long
        ids = np.flatnonzero(value_counts(ids.astype(np.uint8, copy=False)))
    return [int(value) for value in np.unique(ids)]


def value_counts(values: UInt8) -> npt.NDArray[np.int64]:
    """Pixels of each of 256 values, (256,), of an array (H, W)."""
    counts = np.zeros(256, np.int64)
    for start in range(0, len(values), _ROWS):  # NumPy makes 8 bytes of each pixel
        counts += np.bincount(values[start : start + _ROWS].ravel(), minlength=256)
    return counts


def _pack(colours: npt.NDArray[np.integer]) -> npt.NDArray[np.int32]:
    """RGB (..., 3) as one number a pixel."""
    return (colours @ np.array([65536, 256, 1], np.int32)).astype(np.int32, copy=False)


def _counts(ids: Ids) -> str:
    """The most frequent values with their pixels, at most five."""
    values, counts = np.unique(ids, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    shown = ", ".join(f"{values[i]} ({counts[i]} pixels)" for i in order[:5])
    return shown + (f" and {len(values) - 5} more values" if len(values) > 5 else "")


def _ranges(values: list[int]) -> str:
    """Ascending whole numbers as 0-11, 255."""
    runs: list[list[int]] = []
    for value in values:
        if runs and value == runs[-1][1] + 1:
            runs[-1][1] = value
        else:
            runs.append([value, value])
    return ", ".join(f"{a}" if a == b else f"{a}-{b}" for a, b in runs)
