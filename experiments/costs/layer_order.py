"""What two networks that differ in the order of their layers give and cost, as values; no torch."""

from experiments.trials.result_types import Positive, Record


class LayerOrder(Record):
    """Two networks with the same weights, the first one's order of layers against the second's.

    Attributes:
        size: (height, width) of the image.
        difference: largest difference of two logits over the largest logit, in fp64 and with the
            statistics of batch norm fixed.
        batch_difference: the same where batch norm takes a batch's own statistics.
        gmacs: of a forward pass of each.
        seconds: medians of a forward pass of each, in turn, in fp32.
        ratio: the first's seconds over the second's: the geometric mean of pairs in turn.
        ratio_low, ratio_high: its 95 % interval.
    """

    first: str
    second: str
    size: tuple[int, int]
    difference: Positive
    batch_difference: Positive
    gmacs: tuple[Positive, Positive]
    seconds: tuple[Positive, Positive]
    ratio: Positive
    ratio_low: Positive
    ratio_high: Positive
    num_pairs: int
    threads: int
    hardware: str
    torch: str
