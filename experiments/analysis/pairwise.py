"""Every pair of a comparison: how far apart, how surely, and where the difference lies."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

from experiments.analysis.bootstrap import ModelScores, resampled
from experiments.analysis.evidence_types import PairEvidence
from experiments.analysis.intervals import (
    Interval,
    Pair,
    Target,
    Verdict,
    equivalence_p,
    holm,
    interval,
    minimum_detectable_difference,
    p_value,
    points,
    untold,
    verdict,
)
from experiments.analysis.variance import Spread, noise_of_difference


def all_pairs(
    scores: Mapping[str, ModelScores], target: Target, margin: float, band: int, noise: Spread
) -> list[PairEvidence]:
    """In the order of the models, with p values of both tests corrected over all pairs.

    Args:
        margin: a fraction, as in `intervals.verdict`.
        band: pixels from a true boundary, near which pairs are compared as well.
        noise: of repeats; a difference of checkpoints below what it alone gives is called none,
            whatever its p. The spread of seeds holds it already.
    """
    differences = [_difference(a, b, target, band) for a, b in combinations(scores.values(), 2)]
    p = [p_value(each.whole) for each in differences]
    p_margin = [equivalence_p(each.whole, margin) for each in differences]
    p_holm, p_margin_holm = _holm(p), _holm(p_margin)
    pairs = []
    for i, ((a, b), parts) in enumerate(zip(combinations(scores, 2), differences, strict=True)):
        pair = Pair(a, b, parts.whole, p_holm[i], p_margin_holm[i])
        mdd = minimum_detectable_difference(parts.whole)
        judged = verdict(pair, margin, mdd)
        if target == "checkpoints":
            judged = _above_noise(judged, pair, noise, len(parts.seeds))
        pairs.append(
            PairEvidence(
                a=a,
                b=b,
                seeds=parts.seeds,
                difference=parts.whole,
                p=p[i],
                p_holm=pair.p_holm,
                p_equivalent=p_margin[i],
                p_equivalent_holm=pair.p_equivalent_holm,
                mdd=mdd,
                verdict=judged,
                within=parts.within,
                beyond=parts.beyond,
                boundary_gain=parts.gain,
            )
        )
    return pairs


def _holm(p: Sequence[float | None]) -> list[float | None]:
    """Corrected over those that are known."""
    adjusted = iter(holm([x for x in p if x is not None]))
    return [None if x is None else next(adjusted) for x in p]


class _Differences(NamedTuple):
    """Differences of a pair."""

    seeds: tuple[int, ...]
    whole: Interval
    within: Interval | None = None
    beyond: Interval | None = None
    gain: Interval | None = None


def _difference(a: ModelScores, b: ModelScores, target: Target, band: int) -> _Differences:
    """Over the seeds that both have, which may be none."""
    seeds = tuple(seed for seed in a.seeds if seed in b.seeds)
    if not seeds:
        reason = f"they have no seed in common ({_seeds(a)} against {_seeds(b)})"
        return _Differences((), Interval(a.miou.mean - b.miou.mean, reason=reason))
    paired = a.of(seeds).minus(b.of(seeds))
    whole, columns = interval(paired.miou, target), paired.columns
    if band not in columns.pixels:
        return _Differences(seeds, whole)
    i = columns.pixels.index(band)
    near, far = (paired.values[..., c] for c in (columns.within[i], columns.beyond[i]))
    blocks = [int(paired.num_blocks[c]) for c in (columns.within[i], columns.beyond[i])]
    parts = (near, blocks[0]), (far, blocks[1]), (near - far, min(blocks))
    resamples = (resampled(*part) for part in parts)
    return _Differences(
        seeds, whole, *(None if score is None else interval(score, target) for score in resamples)
    )


def _seeds(scores: ModelScores) -> str:
    return ", ".join(map(str, scores.seeds))


def _above_noise(judged: Verdict, pair: Pair, noise: Spread, num_runs: int) -> Verdict:
    """The verdict, unless repeats of the same trials may differ as much."""
    if judged.kind not in ("better", "worse"):
        return judged
    edge = noise_of_difference(noise, num_runs)
    if abs(pair.difference.value) >= edge:
        return judged
    value, most = points(pair.difference.value, edge)
    runs = "two runs" if num_runs == 1 else f"two means of {num_runs} runs"
    reason = (
        f"{pair.a} - {pair.b} is {value} points, less than the {most} by which {runs} of the very "
        "same trial may differ (95 %)"
    )
    return untold(pair.a, pair.b, reason)
