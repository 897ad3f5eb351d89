"""Parts of a folder of predictions: what each is of, its job, and its counting by the job.

A part lies in `NAME/part-2-of-16/READING` below the folder of parts, once for each reading of the
values that it was counted under.
"""

from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import ClassVar

from datamodules.dataset import Dataset
from datamodules.parts import Part, all_parts, stretch
from experiments.comparison.part_job import PartJob, as_part, own_cores, part_folder
from experiments.comparison.scoring_request import ScoringRequest
from experiments.scoring.part_counts import count_part
from experiments.scoring.part_files import PartFile, hand_out, handed_out, read_part, write_part
from experiments.scoring.part_identity import PartIdentity, identity
from experiments.scoring.predictions import Predictions, open_predictions


class ScoringPart(PartJob):
    """The job of one part."""

    module: ClassVar[str] = "experiments.score"
    names_out: ClassVar[str] = "--counts"


@dataclass(frozen=True)
class Parts:
    """All parts of a folder of predictions.

    Attributes:
        request: as it was asked for.
        name: what tables call the folder.
        data: the whole split.
        predictions: all of them, under the reading that they are counted by.
        place: where the parts lie.
        of: how many there are.
    """

    request: ScoringRequest
    name: str
    data: Dataset
    predictions: Predictions
    place: Path
    of: int

    @cached_property
    def identities(self) -> list[PartIdentity]:
        return [self._identity(part) for part in all_parts(self.of)]

    def _identity(self, part: Part) -> PartIdentity:
        images = part.images(len(self.data.ids))
        return _identity(self.request, part, stretch(self.data, images), self._some(images))

    def _some(self, images: range) -> Predictions:
        paths = self.predictions.paths[images.start : images.stop]
        return replace(self.predictions, paths=paths)

    def read(self) -> list[PartFile]:
        """What all have left.

        Raises:
            FileNotFoundError, DamagedError: as `read_part`.
        """
        parts = zip(all_parts(self.of), self.identities, strict=True)
        return [read_part(self._path(part), identity) for part, identity in parts]

    def missing(self) -> list[Part]:
        """Those that have left nothing under this reading."""
        return [part for part in all_parts(self.of) if not self._path(part).is_file()]

    def jobs(self) -> list[ScoringPart]:
        """Of each part, which is told its files: of a million, each would list all."""
        for part in all_parts(self.of):
            some = self._some(part.images(len(self.data.ids)))
            hand_out(self._path(part).parent, [path.name for path in some.paths])
        return [self._job(part) for part in all_parts(self.of)]

    def _job(self, part: Part) -> ScoringPart:
        path = self._path(part)
        left = partial(read_part, path, self.identities[part.number - 1])
        return ScoringPart(
            f"{self.name} {part}", path.parent, left, arguments=self._arguments(part)
        )

    def _arguments(self, part: Part) -> list[str]:
        asked, folder = self.request, self.predictions.paths[0].parent
        given = {
            "--data": asked.data,
            "--split": asked.split,
            "--data-root": asked.data_root and asked.data_root.absolute(),
            "--name": self.name,
            "--ids": asked.ids,
            "--reading": self.predictions.ids,
            "--jobs": asked.jobs,
            "--part": part,
            "--counts": self.place.parent.absolute(),
        }
        pairs = [(name, str(value)) for name, value in given.items() if value is not None]
        return [str(folder.absolute()), *(text for pair in pairs for text in pair)]

    def _path(self, part: Part) -> Path:
        return _path(self.place, part, self.predictions.ids)


def _path(place: Path, part: Part, reading: str) -> Path:
    """Of the counts of a part under a reading, with a folder of their own."""
    return part_folder(place, part) / reading / "counts.npz"


def count_one(request: ScoringRequest, folder: Path, place: Path, data: Dataset) -> Path:
    """Count the part that is asked for of a folder of predictions; the file that it leaves.

    Args:
        place: where the parts of this folder lie.
        data: the whole split.

    Raises:
        PredictionError: predictions that cannot be scored.
        ValueError: they changed while they were counted.
    """
    assert request.part is not None
    part = Part(*request.part)
    own = _path(place, part, request.reading or "").parent
    with as_part(own) as progress:
        images = part.images(len(data.ids))
        predictions, some = _predictions(request, folder, own, data, images), stretch(data, images)
        known = _identity(request, part, some, predictions)
        counted = count_part(some, predictions, request.jobs or own_cores(), progress)
        if _identity(request, part, some, predictions) != known:
            raise ValueError(f"files of {folder} changed while they were counted: let them be")
        path = _path(place, part, predictions.ids)
        write_part(path, known, counted)
    return path


def _predictions(
    request: ScoringRequest, folder: Path, own: Path, data: Dataset, images: range
) -> Predictions:
    """Those of a part, as it was told or as it finds them."""
    names = handed_out(own)
    if names is not None and request.reading is not None:
        paths = [folder / name for name in names]
        return Predictions(paths, data.labels, request.ids, request.reading)
    whole = open_predictions(folder, data, request.ids)
    paths = whole.paths[images.start : images.stop]
    return replace(whole, paths=paths, ids=request.reading or whole.ids)


def _identity(
    request: ScoringRequest, part: Part, data: Dataset, predictions: Predictions
) -> PartIdentity:
    assert request.data is not None
    return identity(request.data, request.split, part, data, predictions)
