"""All scores of many trials on the same draws of images, in one pass over the draws.

`resampling.bootstrap` gives one score of each model; a comparison needs those of its classes and
bands as well, 34 with CamVid's classes and more with others. All follow from the same sums.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from datamodules import about
from experiments.resampling import (
    Floats,
    Ints,
    Resampled,
    Weights,
    blocks,
    chunks,
    draw_weights,
    mean_iou,
)
from experiments.store import Result

Arrays = Mapping[str, Any]  # of per_image.npz
Block = int | Literal["auto"] | None  # images resampled together: the data set's, or whole groups


def counts_of(result: Result) -> Arrays | None:
    """The per-image counts of a finished trial; None where it has kept none."""
    if not result.done or not (result.path.parent / "per_image.npz").is_file():
        return None
    arrays = result.per_image()
    return arrays if "tp" in arrays else None


def block_of(result: Result) -> int | None:
    """Neighbouring images that resemble each other, as the data set knows; None: whole groups."""
    data = result["data"]
    if "block" in data:
        block: int | None = data["block"]
        return block
    known = about(data["name"])  # an older result does not say
    return known.block if known else None


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
class Drawn:
    """Scores of a model.

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

    def of(self, seeds: Sequence[int]) -> "Drawn":
        """The same of some seeds, in their order."""
        rows = [self.seeds.index(seed) for seed in seeds]
        return replace(self, seeds=tuple(seeds), values=self.values[:, rows])

    def minus(self, other: "Drawn") -> "Drawn":
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


class Draws:
    """Draws of blocks of the images that all trials of a comparison share.

    Args:
        first: arrays of one trial, which all others have to be like.
        length: images of a group resampled together; None takes whole groups.
    """

    def __init__(self, first: Arrays, length: int | None, num_draws: int, seed: int = 0) -> None:
        groups = [str(group) for group in first["groups"]]
        self.block = blocks(groups, length or len(groups))
        self._ids, self._truth = first["ids"], first["tp"] + first["fn"]
        size = int(self.block.max()) + 1
        labelled = np.unique(self.block[self._truth.any(1)])
        weights = draw_weights(size, num_draws, seed)
        weights = weights[weights[:, labelled].any(1)]
        self._weights: Weights = np.concatenate([np.ones((1, size), np.int16), weights])

    def model(self, seeds: Mapping[int, Arrays]) -> Drawn:
        """Scores of a model of the counts of its seeds; with bands where all of these have them.

        Raises:
            ValueError: counts of other images, or of other labels.
        """
        widths = {tuple(map(int, arrays.get("widths", ()))) for arrays in seeds.values()}
        pixels = widths.pop() if len(widths) == 1 else ()
        drawn = [self._trial(arrays, bool(pixels)) for arrays in seeds.values()]
        columns = Columns(self._truth.shape[1], pixels)
        values = np.stack([values for values, _ in drawn], axis=1)
        return Drawn(columns, tuple(seeds), values, drawn[0][1], len(self.block))

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
        sums = self._sums(np.concatenate([whole[:, None], within], axis=1))
        drawn = [_scores(np.tensordot(chunk, sums, 1)) for chunk in chunks(self._weights)]
        truths = sums[:, :, 2]  # (blocks, 1 + widths, K)
        labelled = [truths[:, :1].any(2), truths[:, 0] > 0, truths[:, 1:].any(2)]
        labelled.append((truths[:, :1] > truths[:, 1:]).any(2))
        return np.concatenate(drawn), np.concatenate(labelled, axis=1).sum(0)

    def _sums(self, parts: Ints) -> Floats:
        """(n, parts, 3, K) of tp, fp and fn to (blocks, parts, 3, K) of tp, union and truth."""
        tp, fp, fn = np.moveaxis(parts, 2, 0)
        stacked = np.stack([tp, tp + fp + fn, tp + fn], axis=2)
        sums = np.zeros((int(self.block.max()) + 1, *stacked.shape[1:]))  # exact in float64
        np.add.at(sums, self.block, stacked)
        return sums


def _scores(sums: Floats) -> Floats:
    """(draws, 1 + widths, 3, K) to (draws, columns)."""
    whole, within = sums[:, :1], sums[:, 1:]
    miou, inside, outside = (
        mean_iou(part[:, :, :2, None])[..., 0] for part in (whole, within, whole - within)
    )
    tp, union, truth = np.moveaxis(whole[:, 0], 1, 0)
    iou = np.full_like(tp, np.nan)  # a class that is only predicted in a draw says nothing
    np.divide(tp, union, out=iou, where=truth > 0)
    return np.concatenate([miou, iou, inside, outside], axis=1)
