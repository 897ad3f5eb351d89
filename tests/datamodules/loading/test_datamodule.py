"""Reading in processes: what happens to errors, deaths, and a small shared memory."""

import os
import signal
from collections import namedtuple
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from datamodules.dataset import Dataset
from datamodules.datasets.camvid import CAMVID
from datamodules.datasets.streets import Streets
from datamodules.image_files import ImageFileDataset, Sample
from datamodules.labels import DataError, UInt8
from datamodules.loading.datamodule import SegmentationData
from datamodules.loading.samples import TrainData
from datamodules.loading.transforms import Augmentation
from experiments.training.failures import failure_of

HOW = Augmentation((33, 40), (1.0, 1.0), False, "none")


def _module(data: Dataset, workers: int, **changes: Any) -> SegmentationData:
    train = TrainData(data, seed=0, augmentation=HOW)
    settings = {"batch": 2, "steps": 3, "workers": workers, "crop_on": "workers", **changes}
    module = SegmentationData(train, data, data, **settings)
    module.trainer = SimpleNamespace(  # type: ignore[assignment]
        global_rank=0, world_size=1, num_nodes=1, global_step=0
    )
    return module


@pytest.fixture
def files(tmp_path: Path) -> ImageFileDataset:
    samples, rng = [], np.random.default_rng(0)
    for index in range(4):
        image, mask = tmp_path / f"{index}.jpg", tmp_path / f"{index}.png"
        Image.fromarray(rng.integers(256, size=(40, 50, 3), dtype=np.uint8)).save(image)
        Image.fromarray(rng.integers(12, size=(40, 50), dtype=np.uint8)).save(mask)
        samples.append(Sample(str(index), "clip", image, mask))
    return ImageFileDataset(CAMVID, samples)


class Fatal(ImageFileDataset):
    """Its third image ends the process that reads it, as the system does when memory runs out."""

    def __getitem__(self, index: int) -> tuple[UInt8, UInt8]:
        if index == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__getitem__(index)


class Broken(ImageFileDataset):
    """Reading its third image fails in a way that nobody has thought of."""

    def __getitem__(self, index: int) -> tuple[UInt8, UInt8]:
        if index == 2:
            raise ZeroDivisionError("by nought")
        return super().__getitem__(index)


def test_a_reader_that_dies_names_the_file(files: ImageFileDataset) -> None:
    module = _module(Fatal(CAMVID, files.samples), workers=1)
    with pytest.raises(RuntimeError) as caught:
        list(module.train_dataloader())
    text = str(module.explain(caught.value))
    assert isinstance(module.explain(caught.value), DataError)
    assert text.startswith("a process that reads ") and "\n" not in text
    assert str(files.samples[2].image) in text
    other = RuntimeError("CUDA out of memory")
    assert module.explain(other) is other


@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_while_reading_names_the_file(files: ImageFileDataset, workers: int) -> None:
    module = _module(Broken(CAMVID, files.samples), workers)
    with pytest.raises(DataError) as caught:
        list(module.predict_dataloader())
    text = str(caught.value)
    assert str(files.samples[2].image) in text and "ZeroDivisionError: by nought" in text


class Failing(ImageFileDataset):
    """Reading its third image fails as it is told to."""

    error: BaseException

    def __getitem__(self, index: int) -> tuple[UInt8, UInt8]:
        if index == 2:
            raise self.error from self.error.__cause__
        return super().__getitem__(index)


def _chained() -> Exception:
    error = RuntimeError("decoder failed")
    error.__cause__ = OSError(5, "sector 9 cannot be read")
    return error


ERRORS: dict[str, tuple[BaseException, str, str]] = {
    "of two lines": (DataError("a.png is damaged:\n  see line 2"), "data", "a.png is damaged: see"),
    "with a cause": (
        _chained(),
        "data",
        "RuntimeError: decoder failed, from OSError: [Errno 5] se",
    ),
    "without a text": (ValueError(), "data", "2.jpg cannot be read (ValueError): look"),
    "of memory": (MemoryError(), "out of memory", "no memory was left to read "),
}


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("kind", ERRORS)
def test_a_failure_says_the_whole_cause_in_a_line(
    files: ImageFileDataset, kind: str, workers: int
) -> None:
    error, failed, says = ERRORS[kind]
    data = Failing(CAMVID, files.samples)
    data.error = error
    with pytest.raises((DataError, MemoryError)) as caught:
        list(_module(data, workers).train_dataloader())
    failure = failure_of(caught.value)
    assert failure.kind == failed
    assert says in failure.reason and "\n" not in failure.reason


@pytest.mark.parametrize("workers", [0, 1])
def test_a_damaged_file_names_itself(files: ImageFileDataset, workers: int) -> None:
    path = files.samples[3].image
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match=path.name):
        list(_module(files, workers).train_dataloader())


def test_a_small_shared_memory_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """64 MB, as containers have it by default: batches are arrays until they are moved."""
    statvfs = namedtuple("statvfs", "f_bavail f_frsize")  # as os gives it
    expected = list(_module(Streets("train", train=4), workers=0, batch=4).train_dataloader())
    for megabytes, kind in ((64, torch.Tensor), (0.1, np.ndarray)):
        free = statvfs(int(megabytes * 2**20), 1)
        with monkeypatch.context() as patch:
            patch.setattr("os.statvfs", lambda path, free=free: free)
            module = _module(Streets("train", train=4), workers=1, batch=4)
            loader = module.train_dataloader()
            assert loader.num_workers == 1
        batches = list(loader)
        for batch, other in zip(batches, expected, strict=True):
            assert isinstance(batch["image"], kind)
            moved = module.on_before_batch_transfer(batch, 0)
            for key, value in other.items():
                assert torch.equal(moved[key], torch.as_tensor(value))


@pytest.mark.parametrize("lack", ["shared memory", "file handles"])
def test_without_room_for_readers_images_are_read_here(
    lack: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """They would wait for ever, or die of a bus error."""
    statvfs = namedtuple("statvfs", "f_bavail f_frsize")
    expected = list(_module(Streets("train", train=4), workers=0).train_dataloader())
    if lack == "shared memory":
        monkeypatch.setattr("os.statvfs", lambda path: statvfs(10_000, 1))
    else:
        monkeypatch.setattr("resource.getrlimit", lambda kind: (40, 40))
    module = _module(Streets("train", train=4), workers=2)
    loader = module.train_dataloader()
    assert loader.num_workers == 0
    for batch, other in zip(loader, expected, strict=True):
        moved = module.on_before_batch_transfer(batch, 0)
        assert all(torch.equal(moved[key], torch.as_tensor(value)) for key, value in other.items())
    assert module.val_dataloader().num_workers == 0
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and said.endswith("so images are read in the training process\n")


def test_what_counts_is_what_all_readers_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    """12 crops of 512x1024 are 25 MB: eight readers hold 600 MB of them."""
    statvfs = namedtuple("statvfs", "f_bavail f_frsize")
    module = _module(Streets("train", train=4), workers=8)
    need = 12 * 512 * 1024 * 4
    for gigabytes, shares in ((0.0625, False), (1, False), (2, True)):
        monkeypatch.setattr("os.statvfs", lambda path, g=gigabytes: statvfs(int(g * 2**30), 1))
        assert module.fits_shared_memory(need) is shares


def test_crops_on_the_device_come_from_the_same_stream() -> None:
    streets = Streets("train", train=4, height=60, width=80)
    plain, there = _module(streets, 0), _module(streets, 0, crop_on="device")
    for batch, keys in zip(plain.train_dataloader(), there.train_dataloader(), strict=True):
        crops = there.on_after_batch_transfer(there.on_before_batch_transfer(keys, 0), 0)
        assert torch.equal(crops["mask"], batch["mask"])
        assert torch.equal(crops["image"], batch["image"])  # at scale 1 nothing is interpolated
