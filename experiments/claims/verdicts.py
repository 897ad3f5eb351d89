"""What the trials say of each claim, computed as it was registered."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from experiments.analysis.intervals import Interval, holm, p_value
from experiments.claims.contrasts import ALPHA, Estimate, Radius, estimate
from experiments.claims.registration import Contrast, FrontClaim, IdentityClaim
from experiments.claims.study import AnyClaim, Study, names_of, secondary_of
from experiments.claims.words import Outcome
from experiments.costs.layer_order import LayerOrder


@dataclass(frozen=True)
class Verdict:
    """One claim's.

    Attributes:
        primary: the contrasts that decide it; empty for C5.
        order: what C5 measured; None for other claims, and where nothing was measured.
        seeds: how many each deciding contrast has, and how many are registered; the fewest.
    """

    claim: AnyClaim
    outcome: Outcome
    primary: tuple[Estimate, ...] = ()
    secondary: tuple[Estimate, ...] = ()
    order: LayerOrder | None = None
    seeds: tuple[int, int] = (0, 0)

    @property
    def started(self) -> bool:
        """Whether anything that decides it was measured."""
        return bool(self.order) or any(one.difference for one in self.primary)

    @property
    def complete(self) -> bool:
        """Whether every registered seed of the deciding contrasts has finished."""
        return self.seeds[0] == self.seeds[1]


def verdict(
    claim: AnyClaim,
    study: Study,
    prior: float | None,
    radius: Radius,
    order: LayerOrder | None,
) -> Verdict:
    """Of one claim; the arguments are those of `contrasts.estimate`, and what C5 measured."""
    if isinstance(claim, IdentityClaim):
        return Verdict(claim, _of_order(claim, order), order=order)
    if isinstance(claim, FrontClaim):
        budgets = [
            [Contrast(claim.network, other, budget=budget) for other in claim.others]
            for budget in claim.budgets
        ]
        fronts = [
            tuple(estimate(c, claim.margin, claim.seeds, study, prior, radius) for c in contrasts)
            for contrasts in budgets
        ]
        judged = tuple(front_outcome(front, claim.margin / 100) for front in fronts)
        deciding = tuple(one for front in fronts for one in front)
        return _counted(Verdict(claim, together(judged), deciding), claim.seeds)
    primary, secondary = (
        tuple(estimate(c, claim.margin, claim.seeds, study, prior, radius) for c in contrasts)
        for contrasts in (claim.primary, secondary_of(claim))
    )
    judged = tuple(one.outcome for one in primary)
    return _counted(Verdict(claim, together(judged), primary, secondary), claim.seeds)


def _counted(judged: Verdict, seeds: Sequence[int]) -> Verdict:
    fewest = min((len(one.seeds) for one in judged.primary), default=0)
    return replace(judged, seeds=(fewest, len(seeds)))


def together(outcomes: Sequence[Outcome]) -> Outcome:
    """Of all primary contrasts: the claim is that each of them holds."""
    if "contradicted" in outcomes:
        return "contradicted"
    first: Outcome = outcomes[0]
    return first if all(one == first for one in outcomes) else "cannot be told"


def front_outcome(front: Sequence[Estimate], margin: float) -> Outcome:
    """Supported: none of the others is better by the margin or more; contradicted: one is better.

    That one is not better by the margin is tested for each at 5 %; that one is better is corrected
    over all of them.
    """
    intervals = [one.difference for one in front]
    known = [i for i, one in enumerate(intervals) if one is not None and one.low is not None]
    p = dict(zip(known, holm([_p(intervals[i]) for i in known]), strict=True))
    for i, one in enumerate(front):
        found = one.difference
        if found and i in p and found.value < 0 and p[i] < ALPHA and one.outcome != "no difference":
            return "contradicted"
    if len(known) < len(front):
        return "cannot be told"
    return "supported" if all(_not_worse(one, margin) for one in intervals) else "cannot be told"


def _p(difference: Interval | None) -> float:
    found = p_value(difference) if difference else None
    return 1.0 if found is None else found


def _not_worse(difference: Interval | None, margin: float) -> bool:
    """One-sided p < .05 against a difference of minus the margin: half of a two-sided p of it."""
    if difference is None:
        return False
    shifted = replace(difference, value=difference.value + margin)
    return shifted.value > 0 and _p(shifted) / 2 < ALPHA


def _of_order(claim: IdentityClaim, order: LayerOrder | None) -> Outcome:
    if order is None:
        return "cannot be told"
    low, high = order.ratio_low, order.ratio_high
    if order.difference > claim.tolerance or order.gmacs[0] >= order.gmacs[1] or low > 1:
        return "contradicted"
    return "supported" if high < 1 else "cannot be told"


def num_trials(claim: AnyClaim) -> int:
    """How many trials decide or accompany a claim, those of other claims among them."""
    if isinstance(claim, IdentityClaim):
        return 0
    return len(names_of(claim)) * len(claim.seeds)
