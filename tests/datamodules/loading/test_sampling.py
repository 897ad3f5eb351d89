"""Every run sees the same stream: whatever the ranks, the workers and the interruptions."""

import hashlib
from collections import Counter
from itertools import chain

import numpy as np
import pytest
from torch.utils.data import DataLoader

from datamodules.datasets.streets import Streets
from datamodules.labels import IGNORE, UInt8
from datamodules.loading.samples import EvalData, TrainData
from datamodules.loading.sampling import TrainSampler, permutation, sample_seed, shard
from datamodules.loading.transforms import Augmentation

# (images, batch, steps): batches inside an epoch, straddling one, and longer than several.
SHAPES = [(12, 4, 9), (10, 4, 11), (7, 4, 9), (3, 8, 5), (1, 4, 3)]
HEIGHT, WIDTH = 40, 52
CROP = (33, 36)

Batches = list[list[tuple[int, int]]]


def _flat(size: int, seed: int, positions: int) -> list[tuple[int, int]]:
    """The stream written out: one epoch's order after the other."""
    stream: list[tuple[int, int]] = []
    for epoch in range(positions // size + 1):
        stream += [(epoch, index) for index in permutation(seed, epoch, size)]
    return stream[:positions]


@pytest.mark.parametrize(("size", "batch", "steps"), SHAPES)
def test_batches_are_the_flat_stream_cut_in_pieces(size: int, batch: int, steps: int) -> None:
    batches = list(TrainSampler(size, batch=batch, steps=steps, seed=3))
    assert [len(b) for b in batches] == [batch] * steps
    assert [item for b in batches for item in b] == _flat(size, 3, batch * steps)


@pytest.mark.parametrize(("size", "batch", "steps"), SHAPES)
def test_every_image_once_an_epoch(size: int, batch: int, steps: int) -> None:
    seen = Counter(item for b in TrainSampler(size, batch=batch, steps=steps, seed=0) for item in b)
    whole = batch * steps // size
    assert set(seen.values()) == {1}
    for epoch in range(whole):
        assert {index for e, index in seen if e == epoch} == set(range(size))


def test_a_batch_may_straddle_epochs() -> None:
    batches: Batches = list(TrainSampler(10, batch=4, steps=5, seed=0))
    assert [epoch for epoch, _ in batches[2]] == [0, 0, 1, 1]


@pytest.mark.parametrize("ranks", [1, 2, 4])
@pytest.mark.parametrize(("size", "batch", "steps"), SHAPES)
def test_ranks_together_see_what_one_sees(size: int, batch: int, steps: int, ranks: int) -> None:
    one = list(TrainSampler(size, batch=batch, steps=steps, seed=5))
    parts = [
        list(TrainSampler(size, batch=batch, steps=steps, seed=5, rank=rank, ranks=ranks))
        for rank in range(ranks)
    ]
    assert [list(chain(*slices)) for slices in zip(*parts, strict=True)] == one
    assert {len(b) for part in parts for b in part} == {batch // ranks}


@pytest.mark.parametrize("ranks", [1, 2])
def test_a_resumed_stream_goes_on_where_it_stopped(ranks: int) -> None:
    done = 0
    sampler = TrainSampler(
        7, batch=4, steps=9, seed=1, rank=ranks - 1, ranks=ranks, start=lambda: done
    )
    whole = list(sampler)
    assert len(whole) == 9
    for done in range(10):  # `start` is asked at iteration: the trainer restores its step late
        assert list(sampler) == whole[done:]
        assert len(sampler) == 9


def test_seeds_and_epochs_shuffle_differently() -> None:
    orders = [permutation(seed, epoch, 30) for seed in range(10) for epoch in range(10)]
    assert len({tuple(order) for order in orders}) == 100
    assert all(sorted(order) == list(range(30)) for order in orders)
    # Neither are they shifts of one order: every image comes first now and then.
    assert len({order[0] for order in orders}) > 20


def test_the_same_call_gives_the_same_order() -> None:
    before = permutation(4, 2, 50)
    np.random.default_rng(0).random(100)
    assert permutation(4, 2, 50) == before


def test_random_numbers_of_order_and_samples_have_nothing_in_common() -> None:
    keys = [(seed, e, i) for seed in range(6) for e in range(6) for i in range(6)]
    draws = [np.random.default_rng(sample_seed(*key)).random() for key in keys]
    assert len(set(draws)) == len(keys)


@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
@pytest.mark.parametrize("size", range(8))
def test_shards_hold_every_image_once(size: int, ranks: int) -> None:
    shards = [shard(size, rank, ranks) for rank in range(ranks)]
    assert [index for part in shards for index in part] == list(range(size))
    assert max(map(len, shards)) - min(map(len, shards)) <= 1


@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
def test_ranks_score_every_image_once_and_nothing_of_a_dummy(ranks: int) -> None:
    streets = Streets("val", val=2, height=HEIGHT, width=WIDTH)
    scored = []
    for rank in range(ranks):
        data = EvalData(streets, shard(2, rank, ranks))
        assert len(data) >= 1  # a rank without a batch would leave the others waiting
        for position in range(len(data)):
            sample = data[position]
            if int(sample["index"]) < 0:
                assert (sample["mask"] == IGNORE).all()
            else:
                image, mask = streets[int(sample["index"])]
                assert np.array_equal(sample["image"].numpy(), image)
                assert np.array_equal(sample["mask"].numpy(), mask)
                scored.append(int(sample["index"]))
    assert scored == [0, 1]


class OneImage(Streets):
    """Streets of which every index shows the first image: what differs is the augmentation."""

    def __getitem__(self, index: int) -> tuple[UInt8, UInt8]:
        return super().__getitem__(0)


def _train(streets: Streets, seed: int = 0) -> TrainData:
    how = Augmentation(CROP, scale=(0.5, 2.0), flip=True, photometric="colour-jitter")
    return TrainData(streets, seed=seed, augmentation=how)


def _digests(
    data: TrainData, size: int, steps: int, workers: int, rank: int = 0, ranks: int = 1
) -> list[str]:
    """A hash of every sample's bytes, in the order in which a loader gives them."""
    sampler = TrainSampler(size, batch=4, steps=steps, seed=data.seed, rank=rank, ranks=ranks)
    return [
        hashlib.sha256(image.numpy().tobytes() + mask.numpy().tobytes()).hexdigest() + f" {index}"
        for batch in DataLoader(data, batch_sampler=sampler, num_workers=workers)
        for image, mask, index in zip(batch["image"], batch["mask"], batch["index"], strict=True)
    ]


@pytest.fixture(scope="module")
def alone() -> list[str]:
    """Eight batches of six images, read without workers."""
    return _digests(_train(Streets("train", train=6, height=HEIGHT, width=WIDTH)), 6, 8, workers=0)


@pytest.mark.filterwarnings("ignore:This DataLoader will create 4 worker")  # on two cores
@pytest.mark.parametrize("workers", [0, 1, 2, 4])
def test_workers_change_no_byte(workers: int, alone: list[str]) -> None:
    assert len(set(alone)) == 32
    assert (
        _digests(_train(Streets("train", train=6, height=HEIGHT, width=WIDTH)), 6, 8, workers)
        == alone
    )


def test_ranks_with_workers_change_no_byte(alone: list[str]) -> None:
    data = _train(Streets("train", train=6, height=HEIGHT, width=WIDTH))
    first, second = (_digests(data, 6, 8, workers=1, rank=rank, ranks=2) for rank in (0, 1))
    pairs = [first[i : i + 2] + second[i : i + 2] for i in range(0, 16, 2)]
    assert list(chain(*pairs)) == alone


def test_another_seed_is_another_stream(alone: list[str]) -> None:
    other = _digests(
        _train(Streets("train", train=6, height=HEIGHT, width=WIDTH), seed=1), 6, 8, workers=0
    )
    assert not set(other) & set(alone)


def test_no_augmentation_is_drawn_twice() -> None:
    """Three epochs of eight images, two workers on each of two ranks."""
    data = _train(OneImage("train", train=8, height=HEIGHT, width=WIDTH))
    digests = [
        digest.split()[0]
        for rank in (0, 1)
        for digest in _digests(data, 8, 6, workers=2, rank=rank, ranks=2)
    ]
    assert len(digests) == 24
    assert len(set(digests)) == 24


def test_no_colour_change_is_drawn_twice() -> None:
    """The same with geometry held still; one image in five keeps its colours on purpose."""
    streets = OneImage("train", train=8, height=HEIGHT, width=WIDTH)
    still = Augmentation((HEIGHT, WIDTH), (1, 1), flip=False, photometric="colour-jitter")
    data = TrainData(streets, seed=0, augmentation=still)
    image, mask = streets[0]
    kept = hashlib.sha256(image.tobytes() + mask.tobytes()).hexdigest()
    digests = [
        digest.split()[0]
        for rank in (0, 1)
        for digest in _digests(data, 8, 6, workers=2, rank=rank, ranks=2)
    ]
    changed = [digest for digest in digests if digest != kept]
    assert len(digests) == 24
    assert len(changed) > 12
    assert len(set(changed)) == len(changed)
