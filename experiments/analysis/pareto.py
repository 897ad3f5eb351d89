"""The Pareto front of cost and accuracy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from experiments.analysis.bootstrap import Floats, Resampled


@dataclass(frozen=True)
class FrontPlace:
    """Whether a model is on the Pareto front, and in which share (a fraction) of the draws.

    With too few blocks the share is None.
    """

    on_front: bool
    share: float | None


def pareto(costs: Mapping[str, float], scores: Mapping[str, Resampled]) -> dict[str, FrontPlace]:
    """Each model's place against the front of cost and mIoU (means over seeds).

    The draws vary the images, never the seeds.
    """
    cost = np.array([costs[name] for name in scores])
    on_front = undominated(cost, np.array([score.mean for score in scores.values()]))
    in_draws = undominated(cost, np.stack([s.draws.mean(1) for s in scores.values()], 1))
    few = any(score.too_few_blocks for score in scores.values())
    return {
        name: FrontPlace(bool(on_front[i]), None if few else float(in_draws[:, i].mean()))
        for i, name in enumerate(scores)
    }


def pareto_front(costs: Sequence[float], accuracies: Sequence[float]) -> list[int]:
    """Indices of the points that no other beats, by rising cost."""
    on_front = undominated(np.array(costs), np.array(accuracies))
    return sorted(np.flatnonzero(on_front).tolist(), key=lambda i: costs[i])


def undominated(cost: Floats, accuracy: Floats) -> npt.NDArray[np.bool_]:
    """Which points have no other that costs at most as much and is at least as good.

    Of equal points the first is taken.

    Args:
        cost: (points,)
        accuracy: (..., points)

    Returns:
        (..., points)
    """
    ours, theirs = accuracy[..., :, None], accuracy[..., None, :]
    as_cheap, cheaper = cost <= cost[:, None], cost < cost[:, None]
    earlier = np.tri(len(cost), k=-1, dtype=np.bool_)
    beaten = as_cheap & (theirs >= ours) & (cheaper | (theirs > ours) | earlier)
    return ~np.asarray(beaten.any(-1))
