"""The width at which a network's training step takes the time of another network's.

`--match train-time` compares times that were measured apart, on an idle machine. Here the two run
in turn, so that what else the machine does slows both: for a shared one.

  python -m experiments.costs.equal_seconds hrnet:width=10 unet segnet
"""

import statistics
import sys
from collections.abc import Callable

import torch

from experiments.costs.step_benchmark import WARM_UP, TrainingSetting, seconds_of, training_step
from experiments.costs.width_search import search
from experiments.trials.overrides import load
from experiments.trials.recipe import RecipeRequest

WITHIN = 0.03  # of the reference's time, as the next measurement differs by as much


def matched_width(
    family: str, reference: str, setting: TrainingSetting, num_pairs: int = 8
) -> tuple[int, float]:
    """The width whose step takes nearest to the reference's, and its time over the reference's.

    Raises:
        ValueError: options that name no network, or a width that cannot be built.
    """
    theirs = training_step(reference, setting)

    def ratio(width: int) -> float:
        return _ratio(training_step(f"{family}:width={width}", setting), theirs, num_pairs)

    seen = search(ratio, 1.0, within=WITHIN)
    width = min(seen, key=lambda w: abs(seen[w] - 1))
    return width, seen[width]


def _ratio(ours: Callable[[], None], theirs: Callable[[], None], num_pairs: int) -> float:
    """The median of steps in turn."""
    ratios = []
    for i in range(WARM_UP + num_pairs):
        seconds = [seconds_of(step) for step in ((ours, theirs) if i % 2 else (theirs, ours))]
        own, other = seconds if i % 2 else seconds[::-1]
        ratios.append(own / other)
    return statistics.median(ratios[WARM_UP:])


def main(reference: str, families: list[str]) -> None:
    """Widths for the lecture's study: its recipe, with CamVid's 11 classes, on one thread."""
    torch.set_num_threads(1)
    setting = TrainingSetting.of(load(RecipeRequest("camvid-lab")), 11)
    for family in families:
        width, ratio = matched_width(family, reference, setting)
        print(f"{family}:width={width} takes {ratio:.2f} times the step of {reference}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
