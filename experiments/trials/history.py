"""What a trial logged while it trained."""

import json
from pathlib import Path


def read_points(path: Path) -> list[dict[str, float]]:
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
