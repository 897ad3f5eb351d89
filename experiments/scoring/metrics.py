"""A split's counts, and the metrics that follow from them."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from datamodules.dataset import Dataset
from datamodules.labels import UInt8
from experiments.scoring import boundary, objects
from experiments.scoring.counts import (
    FRACTION,
    Compact,
    Counts,
    Gathered,
    ImageCounts,
    class_iou,
    confusion,
    count,
    finite_mean,
    image_miou,
    in_order,
    outcomes,
)
from experiments.scoring.miou_variants import miou_variants
from experiments.scoring.predictions import (
    FileValues,
    OtherIdsError,
    Predictions,
    open_predictions,
)
from experiments.trials.result_types import (
    BandMiou,
    BoundaryIou,
    GroupMetrics,
    ImageMiou,
    Metrics,
    ObjectBins,
    ObjectMetrics,
)

Array = npt.NDArray[np.generic]


@dataclass(frozen=True)
class Scores:
    """Counts of whole images over a split.

    Attributes:
        confusion: (K, K), rows truth, columns prediction, over the whole split; void in neither.
        tp, fp, fn: (n, K) for each image.
    """

    names: tuple[str, ...]
    ids: list[str]
    groups: list[str]
    confusion: Counts
    tp: Counts
    fp: Counts
    fn: Counts

    def metrics(self) -> Metrics:
        """mIoU over the whole split, per class, pixel accuracy, and the same for each group."""
        of_image = np.stack([self.tp, self.fp, self.fn])
        whole = of_image.sum(1)
        iou = class_iou(*whole)
        groups = {}
        for group in dict.fromkeys(self.groups):
            rows = np.array([g == group for g in self.groups])
            counts = of_image[:, rows].sum(1)
            groups[group] = GroupMetrics(
                miou=finite_mean(class_iou(*counts)),
                pixel_accuracy=_pixel_accuracy(counts),
                num_images=int(rows.sum()),
            )
        return Metrics(
            miou=finite_mean(iou),
            pixel_accuracy=_pixel_accuracy(whole),
            num_classes_counted=int(np.isfinite(iou).sum()),
            iou=dict(zip(self.names, _fractions(iou), strict=True)),
            groups=groups,
        )

    def arrays(self) -> dict[str, Array]:
        """What `per_image.npz` holds."""
        names = {"ids": np.array(self.ids), "groups": np.array(self.groups)}
        return names | {"tp": self.tp, "fp": self.fp, "fn": self.fn}


@dataclass(frozen=True)
class FullScores(Scores):
    """Also the counts near boundaries and of objects.

    Attributes:
        band: (n, W, 3, K) tp, fp and fn within each of `boundary.WIDTHS`.
        boundary: (n, 2, K) intersection and union of Boundary IoU.
        area, width: (n, K, bins, 4) of objects by `objects.AREAS` and `objects.WIDTHS`.
        quarter: (3, K) tp, fp and fn of every fourth pixel of every fourth row of all images.
        with_void: (K + 1, K + 1) over the whole split, with void last.
    """

    band: Compact
    boundary: Compact
    # 64 bits: a false object counts for each true one that it touches, thousands of times for one
    # that covers specks.
    area: Counts
    width: Counts
    quarter: Counts
    with_void: Counts

    @property
    def unpredicted(self) -> list[int]:
        """Pixels of each class that are predicted void, (K,); empty if none is."""
        counts: list[int] = self.with_void[:-1, -1].tolist()
        return counts if any(counts) else []

    def metrics(self) -> Metrics:
        """Those of whole images, those of their parts, and what wrong definitions would give."""
        images = image_miou(self.tp, self.fp, self.fn)
        images = np.sort(images[np.isfinite(images)])
        within = self.band.sum(0)
        beyond = boundary.interior(outcomes(self.with_void[:-1]), within)
        boundaries = boundary.boundary_iou(self.boundary.sum(0))
        of_parts = {
            "image_miou": ImageMiou(
                mean=finite_mean(images),
                worst_decile=finite_mean(images[: math.ceil(len(images) / 10)]),
            ),
            "boundary_iou": BoundaryIou(
                fraction=FRACTION,
                mean=finite_mean(boundaries),
                iou=dict(zip(self.names, _fractions(boundaries), strict=True)),
            ),
            "bands": BandMiou(
                pixels=boundary.WIDTHS,
                within=tuple(finite_mean(class_iou(*counts)) for counts in within),
                beyond=tuple(finite_mean(class_iou(*counts)) for counts in beyond),
            ),
            "objects": ObjectMetrics(
                area=_object_bins(self.area.sum(0), objects.AREAS),
                width=_object_bins(self.width.sum(0), objects.WIDTHS),
            ),
            "miou_variants": miou_variants(self.tp, self.fp, self.fn, self.quarter, self.with_void),
        }
        return super().metrics().model_copy(update=of_parts)

    def arrays(self) -> dict[str, Array]:
        return super().arrays() | {
            "widths": np.array(boundary.WIDTHS),
            "band": self.band,
            "boundary": self.boundary,
            "area_edges": np.array(objects.AREAS),
            "area": self.area,
            "width_edges": np.array(objects.WIDTHS),
            "width": self.width,
        }


def _pixel_accuracy(counts: Counts) -> float | None:
    tp, _, fn = counts
    pixels = int((tp + fn).sum())
    return float(tp.sum() / pixels) if pixels else None


def _fractions(values: npt.NDArray[np.float64]) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in values]


def _object_bins(counts: Counts, edges: tuple[int, ...]) -> ObjectBins:
    """Recall and IoU of each bin: of each class over all its objects, then the classes' mean."""
    number, pixels, hits, union = np.moveaxis(counts, -1, 0)  # each (K, bins)
    ratios = {}
    for name, whole in (("recall", pixels), ("iou", union)):
        of_class = np.full(number.shape, np.nan)
        np.divide(hits, whole, out=of_class, where=number > 0)
        ratios[name] = tuple(finite_mean(bin) for bin in of_class.T)
    return ObjectBins(edges=edges, objects=tuple(number.sum(0).tolist()), **ratios)


def full_scores(data: Dataset, images: Iterable[ImageCounts]) -> FullScores:
    """Scores of a split, of the counts of its images in order; matrices are summed, not kept."""
    gathered = Gathered(len(data.ids), data.labels.num_classes)
    for counts in images:
        gathered.add(counts)
    return scores_of(data, gathered)


def scores_of(data: Dataset, gathered: Gathered) -> FullScores:
    """Scores of a split, of the counts of all its images."""
    assert gathered.whole
    whole, band, near, area, width = gathered.rows
    tp, fp, fn = np.moveaxis(whole, 1, 0)
    return FullScores(
        names=data.labels.names,
        ids=list(data.ids),
        groups=list(data.groups),
        confusion=gathered.matrix[:-1, :-1],
        tp=tp,
        fp=fp,
        fn=fn,
        band=band,
        boundary=near,
        area=area,
        width=width,
        quarter=gathered.quarter,
        with_void=gathered.matrix,
    )


def score(data: Dataset, predict: Callable[[int], UInt8]) -> Scores:
    """Score `predict(index)`, class indices (H, W), on whole images of a split."""
    k, num = data.labels.num_classes, len(data.ids)
    total, images = np.zeros((k, k), np.int64), np.zeros((3, num, k), np.int64)
    for i in range(num):
        matrix = confusion(data.mask(i), predict(i), k)
        total += matrix
        images[:, i] = outcomes(matrix)
    return Scores(data.labels.names, list(data.ids), list(data.groups), total, *images)


class ScoredPredictions(NamedTuple):
    """Scores of files, the files under the reading that fits, and this in words."""

    scores: FullScores
    predictions: Predictions
    form: str


def score_predictions(
    predictions: Predictions,
    data: Dataset,
    jobs: int = 1,
    progress: Callable[[int, int], object] = lambda done, num: None,
) -> ScoredPredictions:
    """Score the predictions of a split; each file is read once.

    Args:
        jobs: processes.
        progress: told the images that are done, and all.

    Raises:
        PredictionError: a file that cannot be read or of another size, values that are neither kind
            of id, or palettes that differ between files or contradict the label table.
    """
    try:
        return _score_predictions(predictions, data, jobs, progress)
    except OtherIdsError:
        return _score_predictions(predictions.surveyed(jobs), data, jobs, progress)


def _score_predictions(
    predictions: Predictions, data: Dataset, jobs: int, progress: Callable[[int, int], object]
) -> ScoredPredictions:
    files: dict[FileValues, int] = {}  # each once, with the first image that has them

    def counts() -> Iterator[ImageCounts]:
        for index, (image, values) in enumerate(counted_images(data, predictions, jobs)):
            files.setdefault(values, index)
            progress(index + 1, len(data.ids))
            yield image

    scores = full_scores(data, counts())
    told = predictions.by_palettes(files)
    if told.ids != predictions.ids:
        return _score_predictions(told, data, jobs, progress)
    return ScoredPredictions(scores, predictions, predictions.form(files))


def counted_images(
    data: Dataset, predictions: Predictions, jobs: int
) -> Iterator[tuple[ImageCounts, FileValues]]:
    """The counts of each image in order, with what its file holds.

    Raises:
        PredictionError: as `Predictions.read`.
    """
    return in_order(partial(_count_file, data, predictions), len(data.ids), jobs)


def _count_file(
    data: Dataset, predictions: Predictions, index: int
) -> tuple[ImageCounts, FileValues]:
    truth = data.mask(index)
    prediction, values = predictions.read(index, truth)
    return count(truth, prediction, data.labels.num_classes), values


def score_folder(folder: Path, data: Dataset) -> FullScores:
    """Score the predictions of a folder, in this process alone.

    Raises:
        PredictionError: as `open_predictions` and `score_predictions`.
    """
    return score_predictions(open_predictions(folder, data), data).scores
