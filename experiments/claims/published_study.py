"""The study's results in a folder that is kept with the code, as small as its verdicts allow."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from experiments.claims.measured import ORDER, read_order
from experiments.claims.quantities import Arrays
from experiments.claims.registration import BAND, THIN
from experiments.claims.study import STEP_TIMES, Study
from experiments.trials.atomic_io import write_bytes
from experiments.trials.result_types import FinishedTrial
from experiments.trials.results import (
    FIELD,
    PRIOR,
    per_image,
    read_result,
    write_record,
    write_result,
)


def publish_study(study: Study, sources: Sequence[Path], folder: Path) -> int:
    """Copy every trial of the study, failed ones too; what is there already stays, but a failed
    trial that has finished since.

    What was measured without training, in the first of the sources that has it, is copied too.

    Of the counts of single images, some 230 KB a trial, a quarter is kept: what the registered
    quantities are made of. Predictions and weights stay where they are.

    Returns:
        How many trials were copied.
    """
    copied = 0
    for result in study.trials.values():
        source = result.path.parent
        target = folder / source.parents[1].name / source.parent.name / source.name
        if target == source:
            continue
        fields = source / FIELD  # measured later than the trial, so that it may be new alone
        if fields.is_file():
            write_bytes(target / FIELD, fields.read_bytes())
        prior = source.parents[1] / PRIOR
        if prior.is_file():
            write_bytes(folder / prior.parent.name / PRIOR, prior.read_bytes())
        kept = target / result.path.name
        earlier = read_result(kept)
        if earlier is not None and (earlier.done or not result.done):
            continue
        counts = per_image(result) if isinstance(result, FinishedTrial) else None
        moved = result.model_copy(update={"path": kept})
        write_result(moved, None if counts is None else _needed(counts))
        copied += 1
    order = read_order(sources)
    if order is not None:
        write_record(folder / ORDER, order)
    if study.step_times is not None:
        write_record(folder / STEP_TIMES, study.step_times)
    return copied


def _needed(counts: Arrays) -> dict[str, np.ndarray]:
    """The band of one width, Boundary IoU, and objects up to the width that is called thin."""
    place = [*map(int, counts["widths"])].index(BAND)
    edges = counts["width_edges"]
    bins = [*map(int, edges)].index(THIN + 1) + 1
    whole = {name: counts[name] for name in ("ids", "groups", "tp", "fp", "fn", "boundary")}
    return whole | {
        "widths": counts["widths"][place : place + 1],
        "band": counts["band"][:, place : place + 1],
        "width_edges": edges[:bins],
        "width": counts["width"][:, :, :bins],
    }
