"""What a trial logged while it trained."""

import json
from collections.abc import Sequence
from pathlib import Path

from experiments.trials.result_types import Curve

HISTORY = "metrics.jsonl"
FIRST_LOSSES = 50  # steps of which every loss is kept, for `experiments.verify`
FIRST_LOSS = "train/first_loss"  # apart from the curve, which has a point every few steps

Points = list[dict[str, float]]


def read_points(path: Path) -> Points:
    """All that was logged, a point a step in rising order; none without the file.

    A resumed run repeats the steps since its checkpoint; what a step says last counts.
    """
    points: dict[int, dict[str, float]] = {}
    for line in path.read_text().splitlines() if path.is_file() else ():
        try:
            point = json.loads(line)
        except json.JSONDecodeError:  # a line that a kill cut short; its step came again
            continue
        points[point["step"]] = points.get(point["step"], {}) | point
    return [points[step] for step in sorted(points)]


def curve_of(points: Sequence[dict[str, float]]) -> Curve:
    """The training loss and the validation mIoU, and the loss of each of the first steps."""

    def values(name: str) -> tuple[tuple[int, float], ...]:
        return tuple((int(point["step"]), point[name]) for point in points if name in point)

    return Curve(
        train=values("train/loss"),
        val=values("val/miou"),
        first_losses=tuple(loss for _, loss in values(FIRST_LOSS)),
    )


def points_of(curve: Curve) -> Points:
    """The points of a result of which nothing but its curve was kept."""
    points: dict[int, dict[str, float]] = {}
    for name, values in (("train/loss", curve.train), ("val/miou", curve.val)):
        for step, value in values:
            points.setdefault(step, {"step": step})[name] = value
    return [points[step] for step in sorted(points)]
