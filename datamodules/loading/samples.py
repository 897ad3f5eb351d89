"""What is read of a split: crops of a training stream, whole images of a shard."""

import os
from typing import Any, TypedDict

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import get_worker_info

from datamodules.dataset import Dataset
from datamodules.image_files import ImageFileDataset
from datamodules.labels import IGNORE, DataError
from datamodules.loading.in_memory import InMemory
from datamodules.loading.sampling import sample_seed
from datamodules.loading.transforms import Augmentation, photometric, sample_crop, warp_crop


class Batch(TypedDict):
    """Images stay bytes until they are on the device."""

    image: Tensor  # (N, H, W, 3) uint8
    mask: Tensor  # (N, H, W) uint8, 255 = ignore
    index: Tensor  # (N,) position in the split; -1 for the dummy of an empty shard


class TrainData(torch.utils.data.Dataset[Batch]):
    """Augmented crops, addressed by (epoch, index)."""

    def __init__(self, data: Dataset, *, seed: int, augmentation: Augmentation) -> None:
        self.data, self.seed, self.augmentation = data, seed, augmentation

    def index(self, key: tuple[int, int]) -> int:
        return key[1]

    def __getitem__(self, key: tuple[int, int]) -> Batch:
        (epoch, index), how = key, self.augmentation
        image, mask = self.data[index]
        entropy = sample_seed(self.seed, epoch, index)
        geometry = sample_crop(
            np.random.default_rng(entropy), mask.shape, how.crop, how.scale, how.flip
        )
        image, mask = warp_crop(image, mask, how.crop, geometry)
        if how.photometric != "none":
            image = photometric(image, entropy)
        return _sample(image, mask, index)


class EvalData(torch.utils.data.Dataset[Batch]):
    """Whole images of one rank's shard; an empty shard holds one dummy that is all ignore."""

    def __init__(self, data: Dataset, indices: range) -> None:
        self.data, self.indices = data, indices

    def __len__(self) -> int:
        return max(1, len(self.indices))

    def index(self, position: int) -> int:
        return self.indices[position] if self.indices else -1

    def __getitem__(self, position: int) -> Batch:
        index = self.index(position)
        if index < 0:
            return _sample(np.zeros((64, 64, 3), np.uint8), np.full((64, 64), IGNORE, np.uint8), -1)
        image, mask = self.data[index]
        return _sample(image.copy(), mask.copy(), index)  # a decoded copy cannot be written to


class Watched(torch.utils.data.Dataset[Batch]):
    """Remembers what each process is reading, for the day that one dies."""

    def __init__(self, data: TrainData | EvalData, workers: int) -> None:
        self.data = data
        self.reading = torch.full((max(1, workers), 2), -1)  # process id and index
        if workers:
            self.reading.share_memory_()  # type: ignore[no-untyped-call]

    def __len__(self) -> int:
        return len(self.data)  # type: ignore[arg-type]  # EvalData; a sampler leads TrainData

    def __getitem__(self, key: Any) -> Batch:
        index, worker = self.data.index(key), get_worker_info()
        self.reading[worker.id if worker else 0] = torch.tensor([os.getpid(), index])
        try:
            return self.data[key]
        except DataError as error:
            # Between processes an error is a text of many lines, of which the last is the reason.
            raise DataError(" ".join(str(error).split())) from error
        except MemoryError as error:
            raise MemoryError(
                f"no memory was left to read {self.name(index)}: use fewer or smaller trials at a "
                "time (--jobs), or read in the training process with --workers 0"
            ) from error
        except Exception as error:
            raise DataError(
                f"{self.name(index)} cannot be read ({_causes(error)}): look at it, and check the "
                "data set with python -m experiments.data check"
            ) from error

    def name(self, index: int) -> str:
        data = self.data.data
        data = data.source if isinstance(data, InMemory) else data
        return (
            str(data.samples[index].image)
            if isinstance(data, ImageFileDataset)
            else data.ids[index]
        )


def _causes(error: BaseException) -> str:
    """An error, and what it was raised from, in a line."""
    text = " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")
    return f"{text}, from {_causes(error.__cause__)}" if error.__cause__ else text


def _sample(image: np.ndarray, mask: np.ndarray, index: int) -> Batch:
    return {
        "image": torch.from_numpy(image),
        "mask": torch.from_numpy(mask),
        "index": torch.tensor(index),
    }
