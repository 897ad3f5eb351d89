"""Scores on resampled images: what else the test set could have said about the same networks.

Neighbouring frames of a clip are not independent, so blocks of frames are resampled (Carlstein
1986; Lahiri, "Resampling Methods for Dependent Data", 2003, chapter 2), the same blocks for all
models and seeds. Blocks are drawn from all groups together: a group of one block would have no
variance in a stratified draw, and groups of one photo none at all. Where groups differ, the
variance holds a part of that too. No draw brings a new clip or city. Intervals of scores and of
their differences are in `analysis.intervals`.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
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


Arrays = Mapping[str, np.ndarray]  # of per_image.npz

MIN_BLOCKS = 6  # with fewer, a variance has under 5 degrees of freedom and its interval says little


@dataclass(frozen=True, eq=False)
class Resampled:
    """mIoU of a model, or a difference of two, as fractions.

    Attributes:
        miou: (seeds,), on the images as they are.
        draws: (draws, seeds), on resampled images, the same ones for every seed and model.
        num_blocks: blocks that hold a labelled pixel, and so can say something.
    """

    miou: Floats
    draws: Floats
    num_blocks: int

    @property
    def mean(self) -> float:
        """Mean over the seeds."""
        return float(self.miou.mean())

    @property
    def too_few_blocks(self) -> str | None:
        """Why no interval can be given, in one sentence; None where one can."""
        if self.num_blocks >= MIN_BLOCKS:
            return None
        blocks = "block of images has" if self.num_blocks == 1 else "blocks of images have"
        return (
            f"only {self.num_blocks} independent {blocks} labelled pixels: "
            f"an interval needs {MIN_BLOCKS}"
        )


@dataclass(frozen=True)
class Columns:
    """Which column holds which score: mIoU, then IoU by class, then mIoU of bands by width."""

    num_classes: int
    pixels: tuple[int, ...]
    """Widths of the bands; none where some trial was scored before boundaries were counted."""

    miou = 0

    @property
    def iou(self) -> range:
        return range(1, 1 + self.num_classes)

    @property
    def within(self) -> range:
        return range(self.iou.stop, self.iou.stop + len(self.pixels))

    @property
    def beyond(self) -> range:
        return range(self.within.stop, self.within.stop + len(self.pixels))


@dataclass(frozen=True, eq=False)
class ModelScores:
    """Scores of a model, a column each, on the images as they are and on resampled ones.

    Attributes:
        values: (1 + draws, seeds, columns), first on the images as they are; NaN where no image of
            the draw has a labelled pixel of the column, which is so for all models alike.
        num_blocks: (columns,), blocks that have one.
    """

    columns: Columns
    seeds: tuple[int, ...]
    values: Floats
    num_blocks: Ints
    num_images: int

    @property
    def miou(self) -> Resampled:
        score = self.score(self.columns.miou)
        assert score is not None  # a split without any label is not scored
        return score

    def score(self, column: int) -> Resampled | None:
        """One column over all seeds; None where no image has a labelled pixel of it."""
        return resampled(self.values[..., column], int(self.num_blocks[column]))

    def of(self, seeds: Sequence[int]) -> "ModelScores":
        """The same of some seeds, in their order."""
        rows = [self.seeds.index(seed) for seed in seeds]
        return replace(self, seeds=tuple(seeds), values=self.values[:, rows])

    def minus(self, other: "ModelScores") -> "ModelScores":
        """Differences to another model of the same seeds; without bands that only one has."""
        assert self.seeds == other.seeds
        shared = self.columns
        if shared != other.columns:
            shared = replace(shared, pixels=())
        width = shared.beyond.stop
        return replace(
            self,
            columns=shared,
            values=self.values[..., :width] - other.values[..., :width],
            num_blocks=self.num_blocks[:width],
        )


def resampled(values: Floats, num_blocks: int) -> Resampled | None:
    """Of values (1 + draws, seeds), without the draws that show nothing; None where none does."""
    point, draws = values[0], values[1:]
    if np.isnan(point).any():
        return None
    return Resampled(point, draws[~np.isnan(draws).any(1)], num_blocks)


class BlockBootstrap:
    """Resamples blocks of the images that all trials of a comparison share, all scores in one pass.

    The mIoU of a draw is the mean over classes of (sum of tp) / (sum of tp + fp + fn) over its
    images, without the classes that neither truth nor prediction has; within and beyond bands it is
    the same of their pixels alone. Draws without a labelled pixel are left out, those of a class or
    band that has none in its own column.

    Args:
        first: arrays of one trial, which all others have to be like.
        length: images of a group resampled together; None takes whole groups.
    """

    def __init__(self, first: Arrays, length: int | None, num_draws: int, seed: int = 0) -> None:
        groups = [str(group) for group in first["groups"]]
        self.block = blocks(groups, length)
        self._ids, self._truth = first["ids"], first["tp"] + first["fn"]
        size = int(self.block.max()) + 1
        labelled = np.unique(self.block[self._truth.any(1)])
        weights = draw_weights(size, num_draws, seed)
        weights = weights[weights[:, labelled].any(1)]
        self._weights: Weights = np.concatenate([np.ones((1, size), np.int16), weights])
        # (1 + draws, K): whether a draw shows a class, which is so for all models alike.
        truths = self._sums(self._truth)
        self._shows = np.concatenate([chunk @ truths > 0 for chunk in chunks(self._weights)])

    def model(self, seeds: Mapping[int, Arrays]) -> ModelScores:
        """Scores of a model of the counts of its seeds; with bands where all of these have them.

        Raises:
            ValueError: counts of other images, or of other labels.
        """
        widths = {tuple(map(int, arrays.get("widths", ()))) for arrays in seeds.values()}
        pixels = widths.pop() if len(widths) == 1 else ()
        trials = [self._trial(arrays, bool(pixels)) for arrays in seeds.values()]
        columns = Columns(self._truth.shape[1], pixels)
        values = np.stack([values for values, _ in trials], axis=1)
        _, num_blocks = trials[0]
        return ModelScores(columns, tuple(seeds), values, num_blocks, len(self.block))

    def _trial(self, arrays: Arrays, bands: bool) -> tuple[Floats, Ints]:
        """(1 + draws, columns), and the blocks of each column."""
        whole = np.stack([arrays[name] for name in ("tp", "fp", "fn")], axis=1)
        truth = whole[:, 0] + whole[:, 2]
        if not (np.array_equal(arrays["ids"], self._ids) and np.array_equal(truth, self._truth)):
            raise ValueError(
                "the trials were scored on other images or labels: score all on the same ones "
                "with python -m experiments.score --again"
            )
        within = arrays["band"].astype(np.int64) if bands else whole[:, None][:, :0]
        tp, fp, fn = np.moveaxis(np.concatenate([whole[:, None], within], axis=1), 2, 0)
        sums = self._sums(np.stack([tp, tp + fp + fn], axis=2))  # (blocks, 1 + widths, 2, K)
        draws = (np.tensordot(chunk, sums, 1) for chunk in chunks(self._weights))
        shows = (self._shows[i : i + CHUNK] for i in range(0, len(self._shows), CHUNK))
        values = [_columns(*pair) for pair in zip(draws, shows, strict=True)]
        truths = self._sums(tp + fn)  # (blocks, 1 + widths, K)
        labelled = [truths[:, :1].any(2), truths[:, 0] > 0, truths[:, 1:].any(2)]
        labelled.append((truths[:, :1] > truths[:, 1:]).any(2))
        return np.concatenate(values), np.concatenate(labelled, axis=1).sum(0)

    def _sums(self, counts: Ints) -> Floats:
        """Of images, (n, ...), to those of blocks, (blocks, ...)."""
        order = np.argsort(self.block, kind="stable")
        starts = np.flatnonzero(np.diff(self.block[order], prepend=-1))
        sums: Floats = np.add.reduceat(counts[order], starts).astype(np.float64)  # exact
        return sums


def _columns(sums: Floats, shows: npt.NDArray[np.bool_]) -> Floats:
    """(draws, 1 + widths, 2, K) of tp and union to (draws, columns).

    Args:
        shows: (draws, K), whether a draw has a labelled pixel of a class.
    """
    whole, within = sums[:, :1], sums[:, 1:]
    miou, inside, outside = (mean_iou(part) for part in (whole, within, whole - within))
    tp, union = np.moveaxis(whole[:, 0], 1, 0)
    iou = np.full_like(tp, np.nan)  # a class that is only predicted in a draw says nothing
    np.divide(tp, union, out=iou, where=shows)
    return np.concatenate([miou, iou, inside, outside], axis=1)


def mean_iou(sums: Floats) -> Floats:
    """mIoU of intersection and union, (..., 2, K) to (...), over the classes that have a union;
    NaN where none has."""
    tp, union = sums[..., 0, :], sums[..., 1, :]
    total = np.divide(tp, union, out=np.zeros_like(tp), where=union > 0).sum(-1)
    num_classes = (union > 0).sum(-1)
    miou: Floats = np.full_like(total, np.nan)
    np.divide(total, num_classes, out=miou, where=num_classes > 0)
    return miou
