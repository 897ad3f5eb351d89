"""Whether a value of a recipe is one that training can take."""

import difflib
import math
from collections.abc import Callable, Sequence

MAX_SEED = 2**64 - 1  # torch's generators take no more
SEEDS = "0 to 2**64 - 1, or None for the trial's"


def is_whole(value: object, low: int, high: float = math.inf) -> bool:
    """Whether it is a whole number of a range, both ends included; True is none."""
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def is_number(value: object, low: float = -math.inf) -> bool:
    """Whether it is a finite number of at least `low`."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value) and value >= low  # type: ignore[arg-type, operator]


def is_none_or_whole(value: object, low: int, high: float) -> bool:
    return value is None or is_whole(value, low, high)


def is_pair(value: object, fits: Callable[[object, int], bool], low: int) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and all(fits(v, low) for v in value)


def is_range(value: object) -> bool:
    return is_pair(value, is_number, 0) and 0 < value[0] <= value[1]  # type: ignore[index]


def are_weights(value: object) -> bool:
    if value is None:
        return True
    return isinstance(value, tuple) and all(is_number(v, 0) for v in value) and any(value)


def is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def is_none_or_number(value: object, low: float, below: float = math.inf) -> bool:
    return value is None or (is_number(value, low) and value < below)  # type: ignore[operator]


def one_of(names: Sequence[str], value: object) -> str:
    """What a name may be, with the nearest to one that is none."""
    return f"one of {', '.join(names)}{'' if value in names else meant(str(value), names)}"


def meant(value: str, names: Sequence[str]) -> str:
    """The end of a sentence about a name that is none: the nearest that is, if one is near."""
    close = difflib.get_close_matches(value, names, n=1)
    return f"; did you mean {close[0]}?" if close else ""
