"""Predictions counted in parts, on many machines; what comes out is what one machine gives.

Where the values of all files turn out to be of another reading than that of the first file, all
parts are counted once more, as one machine does.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console

from datamodules.dataset import Dataset
from experiments.comparison.part_job import found_number
from experiments.comparison.part_runs import clear, how_many, parts_engine, run_parts
from experiments.comparison.scoring_part import Parts, count_one
from experiments.comparison.scoring_request import ScoringRequest
from experiments.scoring.metrics import ScoredPredictions
from experiments.scoring.part_counts import merged, reread
from experiments.scoring.predictions import READINGS, Predictions


def count_here(
    request: ScoringRequest, places: Mapping[str, Path], data: Dataset, console: Console
) -> None:
    """Count the part that is asked for, of each folder of predictions.

    Args:
        places: where the parts of each folder lie, by its name, in order.

    Raises:
        ValueError: as `count_one`.
    """
    for folder, place in zip(request.folders, places.values(), strict=True):
        path = count_one(request, folder, place, data)
        console.print(f"wrote {path}", soft_wrap=True)


def counted_in_parts(
    request: ScoringRequest,
    places: Mapping[str, Path],
    data: Dataset,
    opened: Sequence[Predictions],
    console: Console,
) -> list[ScoredPredictions]:
    """Scores of each folder, of parts that an engine has counted, or that lie there.

    Args:
        places: as in `count_here`.
        opened: the predictions of each, under the reading that their first file allows.

    Raises:
        PredictionError: values or palettes that cannot be read as one machine reads them.
        ValueError: parts that are missing, damaged or of something else, or that failed.
        Detached: they are submitted, and nobody waits for them.
        BusyError: another process has them counted.
    """
    if request.engine.local:
        named = zip(places, opened, strict=True)
        return [_gathered(request, name, places[name], data, one) for name, one in named]
    of = how_many(request.parts, len(data.ids))
    folder = next(iter(places.values())).parent
    done: dict[str, ScoredPredictions] = {}
    pending = dict(zip(places, opened, strict=True))
    with parts_engine(request.engine, folder) as engine:
        while pending:
            all_parts = [
                Parts(request, name, data, predictions, places[name], of)
                for name, predictions in pending.items()
            ]
            jobs = [job for parts in all_parts for job in parts.jobs()]
            run_parts(jobs, engine, request.engine.detach)
            for parts in all_parts:
                read = parts.read()
                told = reread(parts.predictions, read)
                if told.ids == parts.predictions.ids:
                    done[parts.name] = merged(told, data, read)
                    del pending[parts.name]
                else:
                    pending[parts.name] = told
                    console.print(f"{parts.name} is {READINGS[told.ids]}: it is counted again")
    return [done[name] for name in places]


def clear_parts(places: Mapping[str, Path]) -> None:
    """Remove what parts have left, once the results are written."""
    inner = list(places.values())
    clear(inner[0].parent, inner)


def _gathered(
    request: ScoringRequest, name: str, place: Path, data: Dataset, predictions: Predictions
) -> ScoredPredictions:
    """Scores of parts that were counted by hand."""
    of, told = found_number(place), predictions
    while True:
        parts = Parts(request, name, data, told, place, of)
        option = "" if told is predictions else f" --reading {told.ids}"
        missing = parts.missing()
        if missing:
            said = f", read as {READINGS[told.ids]}, which all its files are" if option else ""
            raise ValueError(
                f"{place} lacks {len(missing)} of {of} parts{said}, the first {missing[0]}: count "
                f"it with --part {missing[0]} --counts {place.parent}{option}"
            )
        read = parts.read()
        told = reread(parts.predictions, read)
        if told.ids == parts.predictions.ids:
            return merged(told, data, read)
