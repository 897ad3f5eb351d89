"""What a trial logged while it trained."""

import math
from collections.abc import Sequence
from itertools import count, takewhile
from pathlib import Path

from datamodules.json_file import DamagedError, parse_json
from experiments.trials.command_line import complain
from experiments.trials.result_types import Curve

HISTORY = "metrics.jsonl"
FIRST_LOSSES = 50  # steps of which every loss is kept, for `experiments.verify`
FIRST_LOSS = "train/first_loss"  # apart from the curve, which has a point every few steps

Points = list[dict[str, float]]


def read_points(path: Path) -> Points:
    """All that was logged, a point a step in rising order; none without the file.

    A resumed run repeats the steps since its checkpoint; what a step says last counts. A line that
    a kill cut short, whose step came again, or that is damaged is left out, which is said.

    Raises:
        OSError: something else than a file.
    """
    points: dict[int, dict[str, float]] = {}
    try:
        lines = [line for line in path.read_bytes().splitlines() if line.strip()]
    except FileNotFoundError:
        return []
    whole = [point for line in lines if (point := _point(line))]
    for point in whole:
        step = int(point["step"])
        points[step] = points.get(step, {}) | point
    if len(whole) < len(lines):
        lost = len(lines) - len(whole)
        complain(f"{path}: {lost} of {len(lines)} lines are cut or damaged, and are left out")
    return [points[step] for step in sorted(points)]


def _point(line: bytes) -> dict[str, float] | None:
    """The numbers of a line; None for one that is damaged."""
    try:
        value = parse_json(line, "", "")
    except DamagedError:
        return None
    if not isinstance(value, dict) or type(value.get("step")) is not int:
        return None
    numbers = [type(number) in (int, float) and math.isfinite(number) for number in value.values()]
    return value if all(numbers) else None


def curve_of(points: Sequence[dict[str, float]]) -> Curve:
    """The training loss and the validation mIoU, and the loss of each of the first steps."""

    def values(name: str) -> tuple[tuple[int, float], ...]:
        return tuple((int(point["step"]), point[name]) for point in points if name in point)

    return Curve(
        train=values("train/loss"),
        val=values("val/miou"),
        first_losses=_unbroken(dict(values(FIRST_LOSS))),
    )


def _unbroken(losses: dict[int, float]) -> tuple[float, ...]:
    """Losses from the first step on, up to one that is not known: their places tell the steps."""
    return tuple(losses[step] for step in takewhile(losses.__contains__, count(1)))


def points_of(curve: Curve) -> Points:
    """The points of a result of which nothing but its curve was kept."""
    points: dict[int, dict[str, float]] = {}
    for name, values in (("train/loss", curve.train), ("val/miou", curve.val)):
        for step, value in values:
            points.setdefault(step, {"step": step})[name] = value
    return [points[step] for step in sorted(points)]


def log_every(steps: int) -> int:
    """Steps between points of the training curve, so that it has about 200."""
    return max(1, steps // 200)
