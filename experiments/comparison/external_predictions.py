"""Scores of anybody's label maps, as results that stand beside trials."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from datamodules import open_data
from experiments.comparison.external_result import (
    check_addition,
    external_results,
    model_names,
    parts_folder,
    result_path,
)
from experiments.comparison.scored_predictions import counted, keep_pictures
from experiments.comparison.scoring_parts import clear_parts, count_here, counted_in_parts
from experiments.comparison.scoring_request import ScoringRequest
from experiments.scoring.predictions import open_predictions
from experiments.trials.result_types import FinishedTrial
from experiments.trials.results import write_result


def score_folders(request: ScoringRequest, keep: Path, console: Console) -> list[FinishedTrial]:
    """Results of the folders, written to `keep`, and to a comparison that they are added to.

    Raises:
        PredictionError: predictions that cannot be scored.
        ValueError: names that are taken, or a comparison that they cannot join.
    """
    assert request.data is not None
    data = open_data(request.data, request.split, request.data_root)
    names = model_names(request.folders, request.names)
    unscored = external_results(names, keep, request.data, request.split, request.data_root)
    if request.add is not None:
        check_addition(unscored, request.add, request.allow_mixed)
    opened = [open_predictions(folder, data, request.ids) for folder in request.folders]
    for name, predictions in zip(names, opened, strict=True):
        console.print(f"{name}: {len(predictions.paths)} predictions")
    if request.in_parts:
        places = _places(request, names)
        scored = counted_in_parts(request, places, data, opened, console)
    else:
        scored = [counted(data, predictions, request.processes) for predictions in opened]
    for name, one in zip(names, scored, strict=True):
        console.print(f"{name} read as: {one.form}")
        if void := sum(one.scores.unpredicted):
            share = 100 * void / one.scores.with_void[:-1].sum()
            console.print(
                f"{name} predicts void in {void} pixels whose class is known ({share:.2f} %): "
                "each is an error of that class"
            )
    results = []
    for result, (scores, _, _) in zip(unscored, scored, strict=True):
        done = result.scored(scores.confusion.tolist(), scores.metrics(), scores.unpredicted)
        if request.add is not None:
            path = result_path(request.add / "scored", done.model)
            write_result(done.model_copy(update={"path": path}), scores.arrays())
        write_result(done, scores.arrays())
        results.append(done)
    keep_pictures(results, [one.predictions for one in scored], data)
    if not request.engine.local:
        clear_parts(_places(request, names))
    return results


def count_part(request: ScoringRequest, console: Console) -> None:
    """Count the part that is asked for, of each folder.

    Raises:
        PredictionError: predictions that cannot be scored.
        ValueError: names that are taken.
    """
    assert request.data is not None
    data = open_data(request.data, request.split, request.data_root)
    names = model_names(request.folders, request.names)
    count_here(request, _places(request, names), data, console)


def _places(request: ScoringRequest, names: Sequence[str]) -> dict[str, Path]:
    """Where the parts of each folder lie."""
    folder = request.counts or (request.output and request.output / "parts")
    assert folder is not None
    return {name: parts_folder(folder, name) for name in names}
