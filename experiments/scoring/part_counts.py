"""Parts of a split: one counted, and the counts of all as those of one machine."""

from collections.abc import Callable, Sequence

from datamodules.dataset import Dataset
from datamodules.parts import Part
from experiments.scoring.counts import Gathered
from experiments.scoring.metrics import ScoredPredictions, counted_images, scores_of
from experiments.scoring.part_files import PartCounts, PartFile
from experiments.scoring.prediction_files import PredictionError
from experiments.scoring.predictions import (
    Files,
    FileValues,
    OtherIdsError,
    Predictions,
)


def count_part(
    data: Dataset, predictions: Predictions, jobs: int, progress: Callable[[int, int], object]
) -> PartCounts:
    """Count the images of a part.

    Args:
        data, predictions: of these images alone.
        jobs: processes.
        progress: told the images that are done, and all.

    Raises:
        PredictionError: a file that cannot be read, or of another size than its label.
    """
    counts = Gathered(len(data.ids), data.labels.num_classes)
    files: dict[FileValues, int] = {}
    try:
        for index, (image, values) in enumerate(counted_images(data, predictions, jobs)):
            counts.add(image)
            files.setdefault(values, index)
            progress(index + 1, len(data.ids))
    except OtherIdsError:
        return PartCounts(None, predictions.survey(jobs))
    return PartCounts(counts, files)


def reread(predictions: Predictions, parts: Sequence[PartFile]) -> Predictions:
    """The predictions with the reading that the files of all parts allow.

    Where it is another than that of the parts, they are to be counted once more; what is read
    as the files of one machine are (`score_predictions`) needs that at most twice.

    Args:
        parts: all of them, in order, counted under the reading of the predictions.

    Raises:
        PredictionError: values that are neither kind of id, or palettes that differ or contradict
            the label table.
    """
    files = _files(predictions, parts)
    if all(part.counted for part in parts):
        return predictions.by_palettes(files)
    told = predictions.fitting(files)
    if told.ids == predictions.ids:
        raise PredictionError(
            f"{predictions.paths[0].parent} has files that changed while they were counted: let "
            "them be, and give the same command again"
        )
    return told


def merged(predictions: Predictions, data: Dataset, parts: Sequence[PartFile]) -> ScoredPredictions:
    """The scores of a split, of parts that were all counted, of which one at a time is in memory.

    Raises:
        DamagedError: a part that is.
    """
    counts = Gathered(len(data.ids), data.labels.num_classes)
    for part in parts:
        part.add_to(counts)
    form = predictions.form(_files(predictions, parts))
    return ScoredPredictions(scores_of(data, counts), predictions, form)


def _files(predictions: Predictions, parts: Sequence[PartFile]) -> Files:
    """What the files of all parts hold, with the first image of the split that has it."""
    found: dict[FileValues, int] = {}
    for number, part in enumerate(parts, 1):
        start = Part(number, len(parts)).images(len(predictions.paths)).start
        for values, index in part.files.items():
            found.setdefault(values, start + index)
    return found
