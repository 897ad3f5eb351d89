"""A holdout of a split: whole groups, held out of it or left, so that no other split is touched.

`train~held` is about a fifth of the training images, `train~rest` the others. A choice that is made
on the former, such as a learning rate, has seen neither validation nor test images.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence

from datamodules.dataset import Dataset
from datamodules.image_files import ImageFileDataset
from datamodules.labels import DataError, UInt8

HOLDOUT_SIGN = "~"  # between a split and its part
HOLDOUT_SHARE = 0.2  # of the images, that is held out as nearly as whole groups allow


def select_part(data: Dataset, split: str, part: str) -> Dataset:
    """The images of `data` that are held out (`held`), or the others (`rest`).

    Raises:
        DataError: another part, or a split of one group, of which nothing can be held out.
    """
    if part not in ("held", "rest"):
        raise DataError(f"{split}{HOLDOUT_SIGN}{part} is no part of {split}: name ~held or ~rest")
    held = held_groups(data.groups)
    if not held:
        raise DataError(
            f"all {len(data.ids)} images of {split} belong to one group ({data.groups[0]}), so "
            "none can be held out: neighbouring frames would tell what is to be found out"
        )
    indices = [i for i, group in enumerate(data.groups) if (group in held) == (part == "held")]
    if isinstance(data, ImageFileDataset):
        samples = [data.samples[i] for i in indices]
        return ImageFileDataset(
            data.labels,
            samples,
            data.read_labels,
            notes=data.notes,
            annotation_files=data.annotation_files,
        )
    return _Subset(data, indices)


def held_groups(groups: Sequence[str]) -> set[str]:
    """Groups in the order of a hash of their names, each if it brings them nearer to the share.

    Empty for a single group, and never all of them.
    """
    sizes = Counter(groups)
    held: set[str] = set()
    images, wanted = 0, HOLDOUT_SHARE * len(groups)
    for group in sorted(sizes, key=lambda name: hashlib.sha256(name.encode()).digest()):
        nearer = abs(images + sizes[group] - wanted) < abs(images - wanted)
        if nearer and len(held) + 1 < len(sizes):
            held.add(group)
            images += sizes[group]
    if not held and len(sizes) > 1:  # each of them is more than twice the share
        held = {min(sizes, key=lambda name: (sizes[name], name))}
    return held


class _Subset:
    """Some images of a data set that is made, not read."""

    def __init__(self, data: Dataset, indices: Sequence[int]) -> None:
        self.labels, self._data, self._indices = data.labels, data, list(indices)
        self.ids = [data.ids[i] for i in indices]
        self.groups = [data.groups[i] for i in indices]

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> tuple[UInt8, UInt8]:
        return self._data[self._indices[index]]

    def mask(self, index: int) -> UInt8:
        return self._data.mask(self._indices[index])

    def fingerprint(self) -> str:
        text = f"{self._data.fingerprint()} {self.ids}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]
