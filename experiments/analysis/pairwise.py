"""Every pair of a comparison: how far apart, how surely, and where the difference lies."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

from experiments.analysis.bootstrap import Drawn, resampled
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
    drawn: Mapping[str, Drawn], target: Target, margin: float, band: int, noise: Spread
) -> list[PairEvidence]:
    """In the order of the models, with p values of both tests corrected over all pairs.

    Args:
        margin: a fraction, as in `stats.verdict`.
        band: pixels from a true boundary, near which pairs are compared as well.
        noise: of repeats; a difference of checkpoints below what it alone gives is called none,
            whatever its p. The spread of seeds holds it already.
    """
    measured = [_measure(a, b, target, band) for a, b in combinations(drawn.values(), 2)]
    p = [p_value(one.whole) for one in measured]
    p_margin = [equivalence_p(one.whole, margin) for one in measured]
    p_holm, p_margin_holm = _holm(p), _holm(p_margin)
    found = []
    for i, ((a, b), one) in enumerate(zip(combinations(drawn, 2), measured, strict=True)):
        pair = Pair(a, b, one.whole, p_holm[i], p_margin_holm[i])
        mdd = minimum_detectable_difference(one.whole)
        said = verdict(pair, margin, mdd)
        if target == "checkpoints":
            said = _above_noise(said, pair, noise, len(one.seeds))
        found.append(
            PairEvidence(
                a=a,
                b=b,
                seeds=one.seeds,
                difference=one.whole,
                p=p[i],
                p_holm=pair.p_holm,
                p_equivalent=p_margin[i],
                p_equivalent_holm=pair.p_equivalent_holm,
                mdd=mdd,
                verdict=said,
                within=one.within,
                beyond=one.beyond,
                boundary_gain=one.gain,
            )
        )
    return found


def _holm(p: Sequence[float | None]) -> list[float | None]:
    """Corrected over those that are known."""
    adjusted = iter(holm([x for x in p if x is not None]))
    return [None if x is None else next(adjusted) for x in p]


class _Measured(NamedTuple):
    """Differences of a pair."""

    seeds: tuple[int, ...]
    whole: Interval
    within: Interval | None = None
    beyond: Interval | None = None
    gain: Interval | None = None


def _measure(a: Drawn, b: Drawn, target: Target, band: int) -> _Measured:
    """Over the seeds that both have, which may be none."""
    seeds = tuple(seed for seed in a.seeds if seed in b.seeds)
    if not seeds:
        reason = f"they have no seed in common ({_seeds(a)} against {_seeds(b)})"
        return _Measured((), Interval(a.miou.mean - b.miou.mean, reason=reason))
    both = a.of(seeds).minus(b.of(seeds))
    whole, columns = interval(both.miou, target), both.columns
    if band not in columns.pixels:
        return _Measured(seeds, whole)
    i = columns.pixels.index(band)
    near, far = (both.values[..., c] for c in (columns.within[i], columns.beyond[i]))
    blocks = [int(both.num_blocks[c]) for c in (columns.within[i], columns.beyond[i])]
    parts = (near, blocks[0]), (far, blocks[1]), (near - far, min(blocks))
    scores = (resampled(*part) for part in parts)
    return _Measured(seeds, whole, *(None if s is None else interval(s, target) for s in scores))


def _seeds(drawn: Drawn) -> str:
    return ", ".join(map(str, drawn.seeds))


def _above_noise(found: Verdict, pair: Pair, noise: Spread, num_runs: int) -> Verdict:
    """The verdict, unless repeats of the same trials may differ as much."""
    if found.kind not in ("better", "worse"):
        return found
    edge = noise_of_difference(noise, num_runs)
    if abs(pair.difference.value) >= edge:
        return found
    value, most = points(pair.difference.value, edge)
    runs = "two runs" if num_runs == 1 else f"two means of {num_runs} runs"
    reason = (
        f"{pair.a} - {pair.b} is {value} points, less than the {most} by which {runs} of the very "
        "same trial may differ (95 %)"
    )
    return untold(pair.a, pair.b, reason)
