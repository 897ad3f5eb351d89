"""The effective receptive fields of a trial's network, trained and untrained, as they are kept.

They lie beside the result and change nothing in it; `training.trial_field` measures them, from the
trial's checkpoint, and this is what stays where checkpoints do not.
"""

from typing import Annotated

import pydantic

from experiments.trials.result_types import (
    Checkpoint,
    Count,
    FinishedTrial,
    Fraction,
    Positive,
    Record,
)
from experiments.trials.results import FIELD, read_record

MEASURE_AGAIN = "delete it to have it measured again"


class Field(Record):
    """One network's, of the mean over images of each one's gradient energy (`costs.field_radius`).

    Attributes:
        steps: that the network was trained; 0 of the untrained.
        num_silent: images left out, as no pixel moves the centre's logits there.
        radius_50, radius_95: pixels from the centre within which the share lies, in percent.
        support: rows and columns of the box around all energy that is not 0: the theoretical field
            as far as the image holds it, or less, where a gradient is below what fp32 holds.
        profile: share of the energy within 0, 1, 2, ... pixels of the centre.
        cells: millionths of the energy in square cells of the image, a text of whole numbers a row.
    """

    steps: Count
    num_silent: Count
    radius_50: Positive
    radius_95: Positive
    support: tuple[Count, Count]
    profile: Annotated[tuple[Fraction, ...], pydantic.Field(min_length=1)]
    cells: Annotated[tuple[str, ...], pydantic.Field(min_length=1)]

    @pydantic.field_validator("cells")
    @classmethod
    def _are_a_map(cls, rows: tuple[str, ...]) -> tuple[str, ...]:
        lengths = {len(row.split()) for row in rows}
        if len(lengths) > 1 or not all(n.isdecimal() for row in rows for n in row.split()):
            raise ValueError("cells have to be rows of equally many whole numbers from 0 up")
        return rows

    @property
    def energy(self) -> list[list[float]]:
        """Share of the energy in each cell, by row."""
        return [[int(cell) / 1e6 for cell in row.split()] for row in self.cells]


class Fields(Record):
    """The fields of one trial, and what they are of.

    Attributes:
        trial: id of the trial whose they are (`TrialIdentity.id`).
        num_images: of the scored split, evenly spaced.
        size: (height, width) of each.
        data: fingerprint of the scored split.
        code: hash of the source as it was when they were measured.
        checkpoint: the trained weights.
        untrained: None where it is silent on every image.
    """

    version: str
    trial: str
    model: str
    seed: int
    num_images: Count
    size: tuple[Count, Count]
    data: str
    code: str | None
    checkpoint: Checkpoint
    trained: Field
    untrained: Field | None


def read_fields(result: FinishedTrial) -> Fields | None:
    """The fields that lie beside a result; None where nobody measured them.

    Raises:
        ValueError: a damaged file, or one of another trial.
    """
    path = result.path.with_name(FIELD)
    fields = read_record(path, Fields, MEASURE_AGAIN)
    if fields is not None and fields.trial != result.id:
        raise ValueError(
            f"{path} is of another trial ({fields.model} seed {fields.seed}, id {fields.trial}) "
            f"than {result.path.name} beside it (id {result.id}): {MEASURE_AGAIN}"
        )
    return fields
