"""A split in parts of neighbouring images, which several machines read at once."""

from typing import NamedTuple

from datamodules.dataset import Dataset
from datamodules.image_files import ImageFileDataset
from datamodules.labels import LabelSet, UInt8


class Part(NamedTuple):
    """One of `of` parts, the first of which is 1; of sizes that differ by one image at most."""

    number: int
    of: int

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def images(self, num: int) -> range:
        """Its images among `num`; none where there are more parts than images."""
        return range(num * (self.number - 1) // self.of, num * self.number // self.of)


def all_parts(of: int) -> list[Part]:
    return [Part(number, of) for number in range(1, of + 1)]


def stretch(data: Dataset, images: range) -> Dataset:
    """These images of a split alone, so that a process is told no more than it reads."""
    if isinstance(data, ImageFileDataset):
        samples = data.samples[images.start : images.stop]
        return ImageFileDataset(
            data.labels,
            samples,
            data.read_labels,
            notes=data.notes,
            annotation_files=data.annotation_files,
        )
    return _Stretch(data, images)


class _Stretch:
    """Of a data set that is made, or joined of several."""

    def __init__(self, data: Dataset, images: range) -> None:
        self.labels: LabelSet = data.labels
        self._data, self._images = data, images
        self.ids = data.ids[images.start : images.stop]
        self.groups = data.groups[images.start : images.stop]

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> tuple[UInt8, UInt8]:
        return self._data[self._images[index]]

    def mask(self, index: int) -> UInt8:
        return self._data.mask(self._images[index])

    def fingerprint(self) -> str:
        return f"{self._data.fingerprint()} {self._images}"
