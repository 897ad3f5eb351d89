"""A small split, decoded once into memory that the processes which read it share.

An image is decoded where it is asked for first. So a short training decodes no more than it sees,
and a long one, as of CamVid's 367 images under 87 passes, each image once.
"""

import os

import numpy as np
import torch

from datamodules.dataset import Dataset
from datamodules.labels import UInt8

_MOST = 2**30  # bytes; CamVid's training images are 0.25 GB


class InMemory:
    """Answers as the split itself; images of another size than the first are decoded each time.

    Args:
        shared: whether processes that are started later read from it.
    """

    def __init__(self, source: Dataset, shared: bool) -> None:
        self.source = source
        self.labels, self.ids, self.groups = source.labels, source.ids, source.groups
        height, width = self._size = source.mask(0).shape
        # Pages that nobody has written to take no memory.
        self._images = torch.empty(len(source.ids), height, width, 3, dtype=torch.uint8)
        self._masks = torch.empty(len(source.ids), height, width, dtype=torch.uint8)
        self._there = torch.zeros(len(source.ids), dtype=torch.bool)
        if shared:
            for part in (self._images, self._masks, self._there):
                part.share_memory_()  # type: ignore[no-untyped-call]

    def fingerprint(self) -> str:
        return self.source.fingerprint()

    def __getitem__(self, index: int) -> tuple[UInt8, UInt8]:
        if not self._there[index]:
            image, mask = self.source[index]
            if mask.shape != self._size:
                return image, mask
            # Two processes may come here at once, with the same bytes.
            self._images[index].numpy()[:] = image
            self._masks[index].numpy()[:] = mask
            self._there[index] = True
        return np.asarray(self._images[index]), np.asarray(self._masks[index])

    def mask(self, index: int) -> UInt8:
        return np.asarray(self._masks[index]) if self._there[index] else self.source.mask(index)


def held_in_memory(data: Dataset, shared: bool) -> Dataset:
    """The split in memory where it is small, else the split as it is.

    Small is 1 GiB decoded, and a sixteenth of what is free, as other trials start with this one.

    Args:
        shared: whether processes read for this one, for which /dev/shm needs the room.
    """
    need = 4 * data.mask(0).size * len(data.ids)
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if shared and os.path.isdir("/dev/shm"):
        file_system = os.statvfs("/dev/shm")
        free = min(free, file_system.f_bavail * file_system.f_frsize)
    return InMemory(data, shared) if need <= min(_MOST, free / 16) else data
