"""Which images a bootstrap draw holds: blocks of neighbouring frames, the same for all models.

Neighbouring frames of a clip are not independent, so blocks of frames are resampled (Carlstein
1986; Lahiri, "Resampling Methods for Dependent Data", 2003, chapter 2). Blocks are drawn from all
groups together: a group of one block would have no variance in a stratified draw, and groups of one
photo none at all. Where groups differ, the variance holds a part of that too. No draw brings a new
clip or city.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Weights = npt.NDArray[np.int16]

Block = int | Literal["auto"] | None  # images resampled together: the data set's, or whole groups
CHUNK = 500  # draws at a time: 20 MB of weights with 5000 independent images


def blocks(groups: Sequence[str], length: int | None) -> Ints:
    """Block index of each image, (images,): runs of `length` images of one group.

    The order of images within a group is that of time. What is left at a group's end is a block
    of its own from half a length on, and joins the block before it below that. A length of 1
    takes the images as independent photos, None whole groups. A block of l frames misses the
    covariance across its ends: if the lag-1 correlation is .7, blocks of 20 give a standard error
    7 % too small.
    """
    length = length or len(groups)
    sizes, seen = Counter(groups), Counter[str]()
    index: dict[tuple[str, int], int] = {}
    block_of_image = []
    for group in groups:
        full, rest = divmod(sizes[group], length)
        num_runs = max(1, full + (2 * rest >= length))
        run = min(seen[group] // length, num_runs - 1)
        seen[group] += 1
        block_of_image.append(index.setdefault((group, run), len(index)))
    return np.array(block_of_image, np.int64)


def draw_weights(num_blocks: int, num_draws: int, seed: int = 0) -> Weights:
    """How often each draw has each block, (draws, blocks)."""
    rng, uniform = np.random.default_rng(seed), np.full(num_blocks, 1 / num_blocks)
    sizes = (min(CHUNK, num_draws - start) for start in range(0, num_draws, CHUNK))
    drawn = [rng.multinomial(num_blocks, uniform, size).astype(np.int16) for size in sizes]
    return np.concatenate(drawn)


def chunks(weights: Weights) -> Iterator[Floats]:
    """Some draws at a time, as floats: matrix products of integers are slow."""
    for start in range(0, len(weights), CHUNK):
        yield weights[start : start + CHUNK].astype(np.float64)
