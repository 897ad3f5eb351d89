"""Several splits as one, as `train+val`, to train on where a server scores the test split."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from datamodules.dataset import Dataset
from datamodules.image_files import ImageFileDataset, Sample
from datamodules.labels import DataError, RawLabels, UInt8

JOIN_SIGN = "+"  # between the splits


def join(parts: Sequence[Dataset], split: str) -> Dataset:
    """The images of all parts, one after the other.

    Raises:
        DataError: two of the same name, or splits of other classes.
    """
    if any(part.labels != parts[0].labels for part in parts):
        raise DataError(f"the splits of {split} have not the same classes: name one split")
    ids = [id for part in parts for id in part.ids]
    if len(set(ids)) < len(ids):
        twice = next(id for id, times in Counter(ids).items() if times > 1)
        raise DataError(
            f"the splits of {split} have two images named {twice}: rename one, or name one split"
        )
    files = [part for part in parts if isinstance(part, ImageFileDataset)]
    if len(files) == len(parts):
        return ImageFileDataset(
            files[0].labels,
            [sample for part in files for sample in part.samples],
            _ReadLabels(files),
            notes=list(dict.fromkeys(note for part in files for note in part.notes)),
            annotation_files=list(
                dict.fromkeys(path for part in files for path in part.annotation_files)
            ),
        )
    return _Joined(parts)


class _ReadLabels:
    """Reads the labels of each sample as its own split does, whose tables may be of its files."""

    def __init__(self, parts: Sequence[ImageFileDataset]) -> None:
        self._read = [part.read_labels for part in parts]
        self._part = {sample.id: i for i, part in enumerate(parts) for sample in part.samples}

    def __call__(self, sample: Sample) -> RawLabels:
        return self._read[self._part[sample.id]](sample)


class _Joined:
    """Splits of a data set that is made, not read."""

    def __init__(self, parts: Sequence[Dataset]) -> None:
        self.labels, self._parts = parts[0].labels, parts
        self.ids = [id for part in parts for id in part.ids]
        self.groups = [group for part in parts for group in part.groups]
        self._ends = np.cumsum([len(part.ids) for part in parts])

    def _place(self, index: int) -> tuple[Dataset, int]:
        part = int(np.searchsorted(self._ends, index, side="right"))
        return self._parts[part], index - (int(self._ends[part - 1]) if part else 0)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> tuple[UInt8, UInt8]:
        part, own = self._place(index)
        return part[own]

    def mask(self, index: int) -> UInt8:
        part, own = self._place(index)
        return part.mask(own)

    def fingerprint(self) -> str:
        return "+".join(part.fingerprint() for part in self._parts)
