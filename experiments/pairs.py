"""Every pair of a comparison: how far apart, how surely, and where the difference lies."""

from collections.abc import Mapping
from itertools import combinations
from typing import NamedTuple

from experiments.claims import PairEvidence
from experiments.draws import Drawn, resampled
from experiments.stats import (
    Interval,
    Pair,
    Spread,
    Target,
    Verdict,
    equivalence_p,
    holm,
    interval,
    minimum_detectable_difference,
    p_value,
    points,
    verdict,
)


def all_pairs(
    drawn: Mapping[str, Drawn], target: Target, margin: float, band: int, noise: Spread
) -> list[PairEvidence]:
    """In the order of the models, with p values corrected over all pairs.

    Args:
        margin: a fraction, as in `stats.verdict`.
        band: pixels from a true boundary, near which pairs are compared as well.
        noise: of repeats; a difference below twice its SD is called none, whatever its p.
    """
    measured = [_measure(a, b, target, band) for a, b in combinations(drawn.values(), 2)]
    adjusted = iter(holm([p for one in measured if (p := p_value(one.whole)) is not None]))
    found = []
    for (a, b), one in zip(combinations(drawn, 2), measured, strict=True):
        p = p_value(one.whole)
        pair = Pair(a, b, one.whole, p, None if p is None else next(adjusted))
        mdd = minimum_detectable_difference(one.whole)
        found.append(
            PairEvidence(
                a=a,
                b=b,
                seeds=one.seeds,
                difference=one.whole,
                p=p,
                p_holm=pair.p_holm,
                p_equivalent=equivalence_p(one.whole, margin),
                mdd=mdd,
                verdict=_above_noise(verdict(pair, margin, mdd), pair, noise),
                within=one.within,
                beyond=one.beyond,
                boundary_gain=one.gain,
            )
        )
    return found


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


def _above_noise(found: Verdict, pair: Pair, noise: Spread) -> Verdict:
    """The verdict, unless a repeat of the same trial may differ as much."""
    twice = 2 * (noise.sd or 0.0)
    if found.kind not in ("better", "worse") or abs(pair.difference.value) >= twice:
        return found
    value, edge = points(pair.difference.value, twice)
    sentence = (
        f"{pair.a} and {pair.b} cannot be told apart: {pair.a} - {pair.b} is {value} points, less "
        f"than the {edge} (2 SD) by which runs of the very same trial differ"
    )
    return Verdict("cannot be told apart", sentence)
