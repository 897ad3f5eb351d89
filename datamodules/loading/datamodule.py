"""The one LightningDataModule: any data set, the recipe's stream, unpadded evaluation shards."""

import multiprocessing
import os
import re
import sys
from multiprocessing.context import BaseContext
from typing import Any

import lightning as L
import numpy as np
import torch
from torch.utils.data import DataLoader, default_collate

from datamodules.dataset import Dataset
from datamodules.labels import DataError
from datamodules.loading.device_augmentation import DeviceCrops, fits_gpu
from datamodules.loading.in_memory import held_in_memory
from datamodules.loading.readers import lack_for_readers
from datamodules.loading.samples import Batch, EvalData, TrainData, Watched
from datamodules.loading.sampling import TrainSampler, shard
from datamodules.parent_process import end_with_parent


class SegmentationData(L.LightningDataModule):
    """Training stream, validation and evaluation splits of a trial.

    Args:
        batch: the global batch, split over ranks.
        workers: processes that read; they change speed and nothing else.
        crop_on: workers, device or auto, of `experiments.trials.recipe`.
    """

    def __init__(
        self,
        train: TrainData,
        val: Dataset,
        test: Dataset,
        *,
        batch: int,
        steps: int,
        workers: int,
        crop_on: str,
    ) -> None:
        super().__init__()
        self.train, self.test = train, test
        self.batch, self.steps, self.workers = batch, steps, workers
        self.crops: DeviceCrops | None = None
        if crop_on == "device" or (crop_on == "auto" and fits_gpu(train.data)):
            self.crops = DeviceCrops(train.data, train.seed, train.augmentation)
        else:
            held = held_in_memory(train.data, shared=workers > 0)
            self.train = TrainData(held, seed=train.seed, augmentation=train.augmentation)
        self.val = held_in_memory(val, shared=workers > 0)  # it is shown again and again, too
        self._watched: list[Watched] = []
        self._said = False

    def train_dataloader(self) -> DataLoader[Any]:
        assert self.trainer is not None
        sampler = TrainSampler(
            len(self.train.data.ids),
            batch=self.batch,
            steps=self.steps,
            seed=self.train.seed,
            rank=self.trainer.global_rank,
            ranks=self.trainer.world_size,
            start=lambda: self.trainer.global_step if self.trainer else 0,
        )
        if self.crops is not None:
            return DataLoader(_Keys(), batch_sampler=sampler, collate_fn=list)
        crop = self.train.augmentation.crop
        need = self.batch // self.trainer.world_size * crop[0] * crop[1] * 4
        return self._loader(self.train, need, batch_sampler=sampler)

    def val_dataloader(self) -> DataLoader[Batch]:
        return self._evaluation(self.val)

    def predict_dataloader(self) -> DataLoader[Batch]:
        return self._evaluation(self.test)

    def _evaluation(self, data: Dataset) -> DataLoader[Batch]:
        # One image a pass: fp32 logits of a batch of four and of single images differ in bits.
        assert self.trainer is not None
        indices = shard(len(data.ids), self.trainer.global_rank, self.trainer.world_size)
        largest = data.mask(0).size * 8  # twice the first: sizes may vary
        return self._loader(EvalData(data, indices), largest, batch_size=1)

    def _loader(
        self, data: TrainData | EvalData, batch_bytes: int, **kwargs: Any
    ) -> DataLoader[Batch]:
        assert self.trainer is not None
        # Threads of the process group hold Python's list of threads for moments, and a process
        # forked in one of them hangs for ever (CPython 3.11): about one start in a hundred.
        workers = self._num_readers()
        safe = workers > 0 and self.trainer.world_size > 1
        watched = Watched(data, workers)
        self._watched.append(watched)
        return DataLoader(
            watched,
            num_workers=workers,
            multiprocessing_context=_fork_server() if safe else None,
            worker_init_fn=_start_reader,
            collate_fn=default_collate if self.fits_shared_memory(batch_bytes) else _collate_arrays,
            pin_memory=torch.cuda.is_available(),  # copies that nobody waits for need it
            persistent_workers=False,
            **kwargs,
        )

    def _num_readers(self) -> int:
        """None where this machine has no room for them: they change speed and nothing else."""
        assert self.trainer is not None
        here = max(1, self.trainer.world_size // self.trainer.num_nodes)
        lack = lack_for_readers(self.workers * here)
        if lack and not self._said:
            self._said = True
            print(f"warning: {lack}, so images are read in the training process", file=sys.stderr)
        return 0 if lack else self.workers

    def fits_shared_memory(self, batch_bytes: int) -> bool:
        """Whether the batches of all readers fit the memory that processes share.

        Containers have 64 MB of it by default, and who writes beyond dies of a bus error. Each
        reader of this machine's processes prepares two batches ahead and works on a third.
        """
        assert self.trainer is not None
        if not os.path.isdir("/dev/shm"):
            return True
        here = max(1, self.trainer.world_size // self.trainer.num_nodes)
        file_system = os.statvfs("/dev/shm")
        free = file_system.f_bavail * file_system.f_frsize
        return 3 * batch_bytes * self.workers * here < 0.5 * free

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Tensors; where crops are made on the device, the plan of them in place of their keys."""
        if isinstance(batch, dict):
            return {key: torch.as_tensor(value) for key, value in batch.items()}
        assert self.crops is not None
        return self.crops.plan(batch)

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Crops in place of their plan, where they are made on the device."""
        if isinstance(batch, dict):
            return batch
        assert self.crops is not None
        return self.crops(batch)

    def explain(self, error: Exception) -> Exception:
        """The error of a process that reads, in a sentence with the file; another one unchanged."""
        died = re.search(r"DataLoader worker \(pid\(?s?\)? ([\d, ]+)\)(.*)", str(error))
        if died is None:
            return error
        pids = {int(pid) for pid in died[1].split(",")}
        read = [
            watched.name(index)
            for watched in self._watched
            for pid, index in watched.reading.tolist()
            if pid in pids and index >= 0
        ]
        return DataError(
            f"a process that reads {died[2].strip('. ')} at "
            f"{' or '.join(read) or 'its start'}: look at that file and at the free memory, or "
            "read in the training process with --workers 0"
        )


class _Keys(torch.utils.data.Dataset[tuple[int, int]]):
    """(epoch, index) as they come, for crops that are made elsewhere."""

    def __getitem__(self, key: tuple[int, int]) -> tuple[int, int]:
        return key


def _fork_server() -> BaseContext:
    """A process without threads from which readers are forked, with the imports they need."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


def _start_reader(_worker: int) -> None:
    """Have a reader end with the training process.

    Torch's own look at their parent every few seconds, in which they hold the trial's lock; and
    the parent of some is the fork server, which lives as long as they do.
    """
    end_with_parent()


def _collate_arrays(samples: list[Batch]) -> dict[str, np.ndarray]:
    """A batch of arrays, which go through a pipe rather than through shared memory."""
    return {
        key: np.stack([np.asarray(sample[key]) for sample in samples])  # type: ignore[literal-required]
        for key in samples[0]
    }
