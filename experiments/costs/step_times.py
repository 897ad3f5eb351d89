"""What a step of training takes each of several networks, measured in turn, as values; no torch."""

from collections.abc import Mapping

from experiments.trials.result_types import Positive, Record


class StepTimes(Record):
    """Seconds that may be compared, though others use the machine too.

    Attributes:
        seconds: of a step on one thread or one GPU, the median of `num_rounds`, by network.
        num_rounds: how often all networks took a step, one after the other.
        precision: as a recipe has it.
        size: (height, width) of a crop.
    """

    seconds: Mapping[str, Positive]
    num_rounds: int
    precision: str
    batch: int
    size: tuple[int, int]
    hardware: str
    torch: str
