"""Splits that are held decoded in memory, alone and beside processes that read."""

import os
from collections import Counter
from multiprocessing import forkserver
from types import SimpleNamespace

import numpy as np
import pytest
from torch.utils.data import DataLoader

from datamodules.dataset import Dataset
from datamodules.datasets.streets import Streets
from datamodules.labels import UInt8
from datamodules.loading import in_memory
from datamodules.loading.in_memory import InMemory, held_in_memory
from datamodules.loading.samples import EvalData


class Counting(Streets):
    """Streets that count how often each image is made."""

    def __init__(self, num: int = 4) -> None:
        super().__init__("train", train=num, height=48, width=64)
        self.made = Counter[int]()

    def __getitem__(self, index: int) -> tuple[UInt8, UInt8]:
        self.made[index] += 1
        return super().__getitem__(index)


class Growing(Counting):
    """The second image is taller than the others."""

    def __getitem__(self, index: int) -> tuple[UInt8, UInt8]:
        image, mask = super().__getitem__(index)
        return (np.tile(image, (2, 1, 1)), np.tile(mask, (2, 1))) if index == 1 else (image, mask)


def equal(data: Dataset, other: Dataset) -> bool:
    pairs = [(data[i], other[i]) for i in range(len(other.ids))]
    return all(np.array_equal(a, b) for x, y in pairs for a, b in zip(x, y, strict=True))


def test_each_image_is_made_once_and_is_what_it_was() -> None:
    source, plain = Counting(), Streets("train", train=4, height=48, width=64)
    held = InMemory(source, shared=False)
    for _ in range(3):
        assert equal(held, plain)
    assert source.made == {0: 1, 1: 1, 2: 1, 3: 1}
    assert np.array_equal(held.mask(2), plain.mask(2))
    assert held.fingerprint() == plain.fingerprint()
    assert (held.ids, held.groups, held.labels) == (plain.ids, plain.groups, plain.labels)


def test_an_image_of_another_size_is_made_each_time() -> None:
    source = Growing()
    held = InMemory(source, shared=False)
    for _ in range(2):
        assert equal(held, Growing())
    assert source.made == {0: 1, 1: 2, 2: 1, 3: 1}


@pytest.mark.parametrize("start", ["fork", "forkserver"])
def test_what_one_process_decodes_others_have(start: str) -> None:
    source = Counting()
    held = InMemory(source, shared=True)
    samples = EvalData(held, range(4))
    loader = DataLoader(samples, num_workers=2, multiprocessing_context=start)
    images = [batch["image"][0].numpy() for batch in loader]
    assert not source.made  # here
    assert all(np.array_equal(image, held[i][0]) for i, image in enumerate(images))
    assert not source.made  # the processes had made them
    if start == "forkserver":
        forkserver._forkserver._stop()  # type: ignore[attr-defined]  # it would outlive the tests


@pytest.mark.parametrize(
    ("free", "shared", "limit", "is_held"),
    [
        (2**40, False, 2**30, True),
        (2**40, False, 4 * 48 * 64 * 4 - 1, False),  # larger than small
        (16 * 4 * 48 * 64 * 4, False, 2**30, True),
        (16 * 4 * 48 * 64 * 4 - 4096, False, 2**30, False),  # in too little memory
        (2**40, True, 2**30, False),  # /dev/shm of a container has 64 MB, of which a 16th
    ],
)
def test_only_small_sets_are_held(
    free: int, shared: bool, limit: int, is_held: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_memory, "_MOST", limit)
    memory = {"SC_AVPHYS_PAGES": free // 4096, "SC_PAGE_SIZE": 4096}
    monkeypatch.setattr(os, "sysconf", memory.__getitem__)
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_bavail=100, f_frsize=4096))
    data = held_in_memory(Counting(), shared)
    assert isinstance(data, InMemory) == is_held
