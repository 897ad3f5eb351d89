"""Scores on resampled images: what else the test set could have said about the same networks.

Neighbouring frames of a clip are not independent, so blocks of frames are resampled (Carlstein
1986; Lahiri, "Resampling Methods for Dependent Data", 2003, chapter 2), the same blocks for all
models and seeds. What follows from the draws alone is here too: the multiplier of compute and the
Pareto front. Intervals of scores and of their differences are in `experiments.stats`.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import norm
from scipy.stats import t as student

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Weights = npt.NDArray[np.int16]
Counts = tuple[Ints, Ints, Ints]  # tp, fp, fn of one model, each (seeds, images, K)

MIN_BLOCKS = 6  # with fewer, a variance has under 5 degrees of freedom and its interval says little
CHUNK = 500  # draws at a time: 20 MB of weights with 5000 independent images


@dataclass(frozen=True, eq=False)
class Resampled:
    """mIoU of a model, or a difference of two, as fractions.

    Attributes:
        miou: (seeds,), on the images as they are.
        draws: (draws, seeds), on resampled images, the same ones for every seed and model.
        num_blocks: blocks that hold a labelled pixel, and so can say something.
    """

    miou: Floats
    draws: Floats
    num_blocks: int

    @property
    def mean(self) -> float:
        """Mean over the seeds."""
        return float(self.miou.mean())

    @property
    def too_few_blocks(self) -> str | None:
        """Why no interval can be given, in one sentence; None where one can."""
        if self.num_blocks >= MIN_BLOCKS:
            return None
        blocks = "block of images has" if self.num_blocks == 1 else "blocks of images have"
        return (
            f"only {self.num_blocks} independent {blocks} labelled pixels: "
            f"an interval needs {MIN_BLOCKS}"
        )


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


@dataclass(frozen=True)
class FrontPlace:
    """Whether a model is on the Pareto front, and in which share (a fraction) of the draws.

    With too few blocks the share is None.
    """

    on_front: bool
    share: float | None


def blocks(groups: Sequence[str], length: int) -> Ints:
    """Block index of each image, (images,): runs of `length` images of one group.

    The order of images within a group is that of time. What is left at a group's end is a block
    of its own from half a length on, and joins the block before it below that. A length of 1
    takes the images as independent photos. A block of l frames misses the covariance across its
    ends: if the lag-1 correlation is .7, blocks of 20 give a standard error 7 % too small.
    """
    sizes, seen = Counter(groups), Counter[str]()
    index: dict[tuple[str, int], int] = {}
    block = []
    for group in groups:
        full, rest = divmod(sizes[group], length)
        num_runs = max(1, full + (2 * rest >= length))
        run = min(seen[group] // length, num_runs - 1)
        seen[group] += 1
        block.append(index.setdefault((group, run), len(index)))
    return np.array(block, np.int64)


def bootstrap(
    counts: Mapping[str, Counts], block: Ints, num_draws: int = 10_000, seed: int = 0
) -> dict[str, Resampled]:
    """Dataset mIoU of every model and seed, on the images and on resampled blocks of them.

    mIoU = mean over classes of (sum of tp) / (sum of tp + fp + fn) over the images drawn, without
    the classes that neither truth nor prediction has. One class alone gives its IoU, and counts
    within a band give the mIoU of the band. Blocks are drawn from all groups together: a group of
    one block would have no variance in a stratified draw, and groups of one photo none at all.
    Where groups differ, the variance holds a part of that too. No draw brings a new clip or city.
    Draws without a labelled pixel, which happen with a rare class alone, are left out.

    Args:
        block: (images,), as `blocks` gives it.

    Raises:
        ValueError: models or seeds whose true classes differ, image by image.
    """
    labelled = np.unique(block[_truth(counts).any(1)])
    num_blocks = int(block.max()) + 1
    sums = {name: _block_sums(block, num_blocks, *parts) for name, parts in counts.items()}
    draws: dict[str, list[Floats]] = {name: [] for name in counts}
    weights = draw_weights(num_blocks, num_draws, seed)
    weights = weights[weights[:, labelled].any(1)]
    for chunk in chunks(weights):
        for name, part in sums.items():
            draws[name].append(mean_iou(np.tensordot(chunk, part, 1)))
    return {
        name: Resampled(mean_iou(part.sum(0)), np.concatenate(draws[name]), len(labelled))
        for name, part in sums.items()
    }


def draw_weights(num_blocks: int, num_draws: int, seed: int = 0) -> Weights:
    """How often each draw has each block, (draws, blocks)."""
    rng, uniform = np.random.default_rng(seed), np.full(num_blocks, 1 / num_blocks)
    sizes = (min(CHUNK, num_draws - start) for start in range(0, num_draws, CHUNK))
    drawn = [rng.multinomial(num_blocks, uniform, size).astype(np.int16) for size in sizes]
    return np.concatenate(drawn)


def chunks(weights: Weights) -> Iterator[Floats]:
    """Some draws at a time, as floats: matrix products of integers are slow."""
    for start in range(0, len(weights), CHUNK):
        yield weights[start : start + CHUNK].astype(np.float64)


def _truth(counts: Mapping[str, Counts]) -> Ints:
    """Pixels of each class in each image, (images, K), which all models and seeds must share."""
    truths = {name: tp + fn for name, (tp, _, fn) in counts.items()}
    first = next(iter(truths))
    truth: Ints = truths[first][0]
    for name, other in truths.items():
        if other.shape[1:] != truth.shape or (other != truth).any():
            raise ValueError(
                f"{name} and {first} were scored on other images or in another order: "
                "score all models and seeds on the same images"
            )
    return truth


def _block_sums(block: Ints, num_blocks: int, tp: Ints, fp: Ints, fn: Ints) -> Floats:
    """Sums of tp and of the union over each block, (blocks, 2, seeds, K), exact in float64."""
    stacked = np.stack([tp, tp + fp + fn])
    sums = np.zeros((num_blocks, *stacked.shape[:2], stacked.shape[3]))
    np.add.at(sums, block, np.moveaxis(stacked, 2, 0))
    return sums


def mean_iou(sums: Floats) -> Floats:
    """Of tp and union, (..., 2, seeds, K) to (..., seeds); NaN where no class has a pixel."""
    tp, union = sums[..., 0, :, :], sums[..., 1, :, :]
    total = np.divide(tp, union, out=np.zeros_like(tp), where=union > 0).sum(-1)
    num_classes = (union > 0).sum(-1)
    miou: Floats = np.full_like(total, np.nan)
    np.divide(total, num_classes, out=miou, where=num_classes > 0)
    return miou


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
    tail = norm.cdf(np.sqrt(n / (n - 1)) * student.ppf(0.025, n - 1))
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


def pareto(costs: Mapping[str, float], scores: Mapping[str, Resampled]) -> dict[str, FrontPlace]:
    """Each model's place against the front of cost and mIoU (means over seeds).

    On the front is who has no other model at most as costly and at least as good; of equal ones
    the first, as in `rows.pareto_front`. The draws vary the images, never the seeds.
    """
    cost = np.array([costs[name] for name in scores])
    on_front = _front(cost, np.array([score.mean for score in scores.values()]))
    in_draws = _front(cost, np.stack([s.draws.mean(1) for s in scores.values()], 1))
    few = any(score.too_few_blocks for score in scores.values())
    return {
        name: FrontPlace(bool(on_front[i]), None if few else float(in_draws[:, i].mean()))
        for i, name in enumerate(scores)
    }


def _front(cost: Floats, miou: Floats) -> npt.NDArray[np.bool_]:
    """(models,) and (..., models) to (..., models)."""
    ours, theirs = miou[..., :, None], miou[..., None, :]
    as_cheap, cheaper = cost <= cost[:, None], cost < cost[:, None]
    earlier = np.tri(len(cost), k=-1, dtype=np.bool_)
    beaten = as_cheap & (theirs >= ours) & (cheaper | (theirs > ours) | earlier)
    return ~np.asarray(beaten.any(-1))
