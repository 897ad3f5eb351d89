"""Which images a rank sees at which step: pure functions, so that every run sees the same stream.

Position p of the training stream is image `permutation(seed, p // N)[p % N]` of epoch p // N;
batches may straddle epochs. Global batch b holds positions b*B ... b*B + B - 1, of which every
rank takes a contiguous slice.
"""

from collections.abc import Callable, Iterator

import numpy as np
from torch.utils.data import Sampler

_STREAM, _SAMPLE = 1, 2  # keep the permutation's random numbers apart from the augmentations'


def permutation(seed: int, epoch: int, size: int) -> list[int]:
    """The order of the images in an epoch."""
    order: list[int] = np.random.default_rng([_STREAM, seed, epoch]).permutation(size).tolist()
    return order


def sample_seed(seed: int, epoch: int, index: int) -> tuple[int, ...]:
    """Entropy for the augmentation of one image in one epoch."""
    return (_SAMPLE, seed, epoch, index)


def shard(size: int, rank: int, ranks: int) -> range:
    """The contiguous, unpadded part of an evaluation split that a rank scores; may be empty."""
    return range(size * rank // ranks, size * (rank + 1) // ranks)


class TrainSampler(Sampler[list[tuple[int, int]]]):
    """Batches of (epoch, index) for one rank, from the step that training has reached.

    Its length stays the total number of steps: Lightning counts the batches it has done before a
    resume, and a sampler as long as what remains would end training early.

    Args:
        batch: the global batch; `ranks` divides it.
        start: gives the number of finished steps at the moment of iteration.
    """

    def __init__(
        self,
        size: int,
        *,
        batch: int,
        steps: int,
        seed: int,
        rank: int = 0,
        ranks: int = 1,
        start: Callable[[], int] = lambda: 0,
    ) -> None:
        self.size, self.batch, self.steps, self.seed = size, batch, steps, seed
        self.rank, self.ranks, self.start = rank, ranks, start

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        local = self.batch // self.ranks
        epoch, order = -1, list[int]()
        for step in range(self.start(), self.steps):
            first = step * self.batch + self.rank * local
            items = []
            for position in range(first, first + local):
                if position // self.size != epoch:
                    epoch = position // self.size
                    order = permutation(self.seed, epoch, self.size)
                items.append((epoch, order[position % self.size]))
            yield items
