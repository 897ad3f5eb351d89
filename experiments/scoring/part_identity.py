"""What the counts of a part are of, so that those of anything else are refused."""

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from datamodules.dataset import Dataset
from datamodules.image_files import ImageFileDataset
from datamodules.parts import Part
from experiments.scoring.predictions import Predictions
from experiments.trials.code_hash import module_hash

_THREADS = 16  # that wait for the disk of a network, which takes a millisecond for a file
_FEW = 1000  # files, below which they are not worth it


@dataclass(frozen=True, kw_only=True)
class PartIdentity:
    """What the counts of a part are of; two are of the same if all of it is equal.

    Attributes:
        part: as 2/16.
        split: data set and split.
        data: hash of the label table and of the names, groups and sizes of its label files.
        predictions: hash of the names, sizes and times of change of its prediction files.
        reading: of the values, and whether it was asked for.
        code: hash of the source that counts.
    """

    part: str
    split: str
    data: str
    predictions: str
    reading: str
    code: str


def identity(
    spec: str, split: str, part: Part, data: Dataset, predictions: Predictions
) -> PartIdentity:
    """What a part is of.

    Args:
        data, predictions: of its images alone.

    Raises:
        OSError: a file that is not there.
    """
    asked = "asked for" if predictions.asked else "told from the values"
    return PartIdentity(
        part=str(part),
        split=f"{spec} {split}",
        data=_data_hash(data),
        predictions=_predictions_hash(predictions),
        reading=f"{predictions.ids}, {asked}",
        code=module_hash("experiments.scoring.part_counts"),
    )


def _data_hash(data: Dataset) -> str:
    """Of what a part's labels are."""
    if not isinstance(data, ImageFileDataset):
        return _hash((data.labels.labels, data.ids, data.groups, data.fingerprint()))
    paths = [sample.mask for sample in data.samples if sample.mask is not None]
    sizes = [size for size, _ in _stamps(paths)]
    return _hash((data.labels.labels, data.ids, data.groups, sizes))


def _predictions_hash(predictions: Predictions) -> str:
    """Of what a part's prediction files are."""
    named = zip(predictions.paths, _stamps(predictions.paths), strict=True)
    return _hash([(path.name, *stamp) for path, stamp in named])


def _hash(facts: object) -> str:
    return hashlib.sha256(repr(facts).encode(errors="surrogateescape")).hexdigest()[:16]


def _stamps(paths: Sequence[Path]) -> list[tuple[int, int]]:
    """Size and time of change of each file."""
    if len(paths) < _FEW:
        return [_stamp(path) for path in paths]
    stretches = [paths[start : start + _FEW] for start in range(0, len(paths), _FEW)]
    with ThreadPoolExecutor(_THREADS) as pool:
        return [
            stamp for some in pool.map(lambda s: [*map(_stamp, s)], stretches) for stamp in some
        ]


def _stamp(path: Path) -> tuple[int, int]:
    stat = os.stat(path)
    return stat.st_size, stat.st_mtime_ns
