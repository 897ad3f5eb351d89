"""A recipe's loss as it is written: `ce`, `ohem`, `ce+0.5*dice`, `my.py:function`."""

import math
from typing import NamedTuple

from experiments.trials.value_checks import meant

PIXEL_LOSSES = ("ce", "ohem", "focal")
"""Sums over pixels or images with a count that the labels tell: exact over any parts of a batch."""
BATCH_LOSSES = ("dice", "lovasz")
"""Of the whole global batch at once: exact over processes, and no sum over micro-batches."""
LOSSES = PIXEL_LOSSES + BATCH_LOSSES


class LossTerm(NamedTuple):
    """A loss of `LOSSES` or one's own, as `file.py:function`, and how much it counts."""

    name: str
    weight: float

    @property
    def own(self) -> bool:
        return is_own(self.name)

    @property
    def whole_batch(self) -> bool:
        """Whether it is of the whole global batch, as one's own always is."""
        return self.own or self.name in BATCH_LOSSES


def is_own(name: str) -> bool:
    """Whether it names a function of a user's file."""
    path, colon, function = name.rpartition(":")
    return bool(colon) and path.endswith(".py") and function.isidentifier()


def parse_loss(text: str) -> tuple[LossTerm, ...]:
    """The terms of a loss as `ce+0.5*dice`.

    Raises:
        ValueError: with the part that is no term; one that occurs twice; a weight not above 0.
    """
    terms = [_parse_term(part.strip()) for part in text.split("+")]
    if len({term.name for term in terms}) < len(terms):
        raise ValueError(text)
    return tuple(terms)


def is_loss(value: object) -> bool:
    """Whether `parse_loss` takes it."""
    if not isinstance(value, str):
        return False
    try:
        return bool(parse_loss(value))
    except ValueError:
        return False


def loss_need(value: object) -> str:
    """What a loss may be, with the nearest name to what is none."""
    wrong = ""
    try:
        parse_loss(str(value))
    except ValueError as error:
        wrong = str(error)
    known = f"{', '.join(LOSSES)}, file.py:function, or a sum of different ones as ce+0.5*dice"
    return f"{known}{meant(wrong, LOSSES)}"


def _parse_term(text: str) -> LossTerm:
    weight, star, name = text.rpartition("*")
    name = name.strip()
    if name not in LOSSES and not is_own(name):
        raise ValueError(name)
    value = float(weight) if star else 1.0
    if not (math.isfinite(value) and value > 0):
        raise ValueError(text)
    return LossTerm(name, value)
