"""The one LightningDataModule: any data set, the recipe's stream, unpadded evaluation shards."""

import multiprocessing
from multiprocessing.context import BaseContext
from typing import Any, TypedDict

import lightning as L
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from datamodules import Dataset
from datamodules.labels import IGNORE
from datamodules.sampling import TrainSampler, sample_seed, shard
from datamodules.transforms import apply, draw, photometric


class Batch(TypedDict):
    """Images stay bytes until they are on the device."""

    image: Tensor  # (N, H, W, 3) uint8
    mask: Tensor  # (N, H, W) uint8, 255 = ignore
    index: Tensor  # (N,) position in the split; -1 for the dummy of an empty shard


class TrainData(torch.utils.data.Dataset[Batch]):
    """Augmented crops, addressed by (epoch, index)."""

    def __init__(
        self,
        data: Dataset,
        *,
        seed: int,
        crop: tuple[int, int],
        scale: tuple[float, float],
        flip: bool,
        photometric: str,
    ) -> None:
        self.data, self.seed, self.crop, self.scale = data, seed, crop, scale
        self.flip, self.photometric = flip, photometric

    def __getitem__(self, key: tuple[int, int]) -> Batch:
        epoch, index = key
        image, mask = self.data[index]
        entropy = sample_seed(self.seed, epoch, index)
        geometry = draw(
            np.random.default_rng(entropy), mask.shape, self.crop, self.scale, self.flip
        )
        image, mask = apply(image, mask, self.crop, geometry)
        if self.photometric != "none":
            image = photometric(image, entropy)
        return _sample(image, mask, index)


class EvalData(torch.utils.data.Dataset[Batch]):
    """Whole images of one rank's shard; an empty shard holds one dummy that is all ignore."""

    def __init__(self, data: Dataset, indices: range) -> None:
        self.data, self.indices = data, indices

    def __len__(self) -> int:
        return max(1, len(self.indices))

    def __getitem__(self, position: int) -> Batch:
        if not self.indices:
            return _sample(np.zeros((64, 64, 3), np.uint8), np.full((64, 64), IGNORE, np.uint8), -1)
        index = self.indices[position]
        return _sample(*self.data[index], index)


class SegmentationData(L.LightningDataModule):
    """Training stream, validation and evaluation splits of a trial.

    Args:
        batch: the global batch, split over ranks.
        workers: processes that read; they change speed and nothing else.
    """

    def __init__(
        self,
        train: TrainData,
        train_size: int,
        val: Dataset,
        test: Dataset,
        *,
        batch: int,
        steps: int,
        workers: int,
    ) -> None:
        super().__init__()
        self.train, self.train_size, self.val, self.test = train, train_size, val, test
        self.batch, self.steps, self.workers = batch, steps, workers

    def train_dataloader(self) -> DataLoader[Batch]:
        assert self.trainer is not None
        sampler = TrainSampler(
            self.train_size,
            batch=self.batch,
            steps=self.steps,
            seed=self.train.seed,
            rank=self.trainer.global_rank,
            ranks=self.trainer.world_size,
            start=lambda: self.trainer.global_step if self.trainer else 0,
        )
        return self._loader(self.train, batch_sampler=sampler)

    def val_dataloader(self) -> DataLoader[Batch]:
        return self._evaluation(self.val)

    def predict_dataloader(self) -> DataLoader[Batch]:
        return self._evaluation(self.test)

    def _evaluation(self, data: Dataset) -> DataLoader[Batch]:
        # One image a pass: fp32 logits of a batch of four and of single images differ in bits.
        assert self.trainer is not None
        indices = shard(len(data.ids), self.trainer.global_rank, self.trainer.world_size)
        return self._loader(EvalData(data, indices), batch_size=1)

    def _loader(self, data: torch.utils.data.Dataset[Batch], **kwargs: Any) -> DataLoader[Batch]:
        assert self.trainer is not None
        # Threads of the process group hold Python's list of threads for moments, and a process
        # forked in one of them hangs for ever (CPython 3.11): about one start in a hundred.
        safe = self.workers > 0 and self.trainer.world_size > 1
        return DataLoader(
            data,
            num_workers=self.workers,
            multiprocessing_context=_fork_server() if safe else None,
            pin_memory=torch.cuda.is_available(),
            persistent_workers=False,
            **kwargs,
        )


def _fork_server() -> BaseContext:
    """A process without threads from which readers are forked, with the imports they need."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


def _sample(image: np.ndarray, mask: np.ndarray, index: int) -> Batch:
    return {
        "image": torch.from_numpy(image),
        "mask": torch.from_numpy(mask),
        "index": torch.tensor(index),
    }
