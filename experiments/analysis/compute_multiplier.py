"""How many times the cost of another network one needs for the same mIoU."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, stdtrit

from experiments.analysis.bootstrap import Floats, Resampled


@dataclass(frozen=True)
class ComputeMultiplier:
    """How many times the cost of B model A needs for the same mIoU, a fraction.

    `low` and `high` bound its 95 % interval. What is None cannot be said, and `reason` says why.
    """

    miou: float
    multiplier: float | None
    low: float | None
    high: float | None
    reason: str | None


def compute_multiplier(
    a: Mapping[float, Resampled], b: Mapping[float, Resampled]
) -> ComputeMultiplier:
    """Cost of A over that of B at the highest mIoU that both reach, from runs by their cost.

    mIoU between two budgets is linear in log cost, after a running maximum over the costs, and
    never leaves their range. The interval has the percentiles of the draws, at the wider levels
    Phi(+-sqrt(n / (n - 1)) t) that n blocks need (Hesterberg 2015, arXiv 1411.5279).
    It is that of these very networks: images vary, seeds do not. A bound is None where too many
    draws leave the range.

    Raises:
        ValueError: fewer than two budgets of a model.
    """
    if min(len(a), len(b)) < 2:
        raise ValueError(f"two budgets of each model are needed, got {len(a)} and {len(b)}")
    (log_a, points_a, draws_a), (log_b, points_b, draws_b) = _curve(a), _curve(b)
    level = float(min(points_a.max(), points_b.max()))
    point = _log_ratio(log_a, points_a, log_b, points_b)
    if not np.isfinite(point):
        cheap, weak = ("A", "B") if point < 0 else ("B", "A")
        reason = (
            f"the cheapest run of {cheap} is above the best of {weak} "
            f"({100 * level:.1f} % mIoU): train {cheap} on a smaller budget as well"
        )
        return ComputeMultiplier(level, None, None, None, reason)
    smallest = min([*a.values(), *b.values()], key=lambda run: run.num_blocks)
    if smallest.too_few_blocks:
        return ComputeMultiplier(level, float(np.exp(point)), None, None, smallest.too_few_blocks)
    pairs = zip(draws_a, draws_b, strict=True)
    ratios = [_log_ratio(log_a, x, log_b, y) for x, y in pairs]
    n = smallest.num_blocks
    tail = ndtr(np.sqrt(n / (n - 1)) * stdtrit(n - 1, 0.025))
    bounds = np.quantile(ratios, [tail, 1 - tail], method="inverted_cdf")
    low, high = (float(np.exp(x)) if np.isfinite(x) else None for x in bounds)
    open_end = "the interval is open where resampled scores leave the range of the budgets"
    return ComputeMultiplier(
        level, float(np.exp(point)), low, high, open_end if None in (low, high) else None
    )


def _curve(runs: Mapping[float, Resampled]) -> tuple[Floats, Floats, Floats]:
    """Log costs (budgets,), mIoU (budgets,) and draws (draws, budgets), all by rising cost."""
    costs = sorted(runs)
    draws = np.stack([runs[cost].draws.mean(1) for cost in costs], axis=1)
    return np.log(costs), np.array([runs[cost].mean for cost in costs]), draws


def _log_ratio(log_a: Floats, miou_a: Floats, log_b: Floats, miou_b: Floats) -> float:
    """Log of A's cost over B's; -inf or inf where all of A is above all of B, or the reverse."""
    if miou_a[0] > miou_b.max():
        return -np.inf
    if miou_b[0] > miou_a.max():
        return np.inf
    level = min(miou_a.max(), miou_b.max())
    return _log_cost(level, log_a, miou_a) - _log_cost(level, log_b, miou_b)


def _log_cost(level: float, log_costs: Floats, miou: Floats) -> float:
    """The smallest log cost that reaches the level; np.interp is not defined on plateaus."""
    rising = np.maximum.accumulate(miou)
    i = int(np.searchsorted(rising, level))
    if i == 0:
        return float(log_costs[0])
    share = (level - rising[i - 1]) / (rising[i] - rising[i - 1])
    return float(log_costs[i - 1] + share * (log_costs[i] - log_costs[i - 1]))
