"""Data sets by name. Listing, checking names and scoring import no torch."""

import importlib
from pathlib import Path
from typing import Protocol

from datamodules.labels import LabelSet, UInt8

DATASETS = {
    "camvid": "datamodules.camvid:CamVid",
    "streets": "datamodules.streets:Streets",
}


class Dataset(Protocol):
    """One split of a data set.

    `ids` are unique and become file names; `groups` name the clip, drive or city of each image,
    because neighbouring frames are not independent.
    """

    labels: LabelSet
    ids: list[str]
    groups: list[str]

    def __getitem__(self, index: int) -> tuple[UInt8, UInt8]:
        """Image (H, W, 3) RGB and mask (H, W) of class indices with 255 for ignore."""
        ...

    def mask(self, index: int) -> UInt8:
        """The mask alone, (H, W), at the file's own size."""
        ...

    def fingerprint(self) -> str:
        """A hash of everything that this split holds: file names, bytes, or the generator."""
        ...
