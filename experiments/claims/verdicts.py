"""What the trials say of each claim, computed as it was registered."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from experiments.analysis.intervals import Interval, holm, p_value
from experiments.claims.contrasts import ALPHA, Estimate, Radius, estimate
from experiments.claims.registration import MARGIN, Budget, Contrast, FrontClaim, IdentityClaim
from experiments.claims.study import AnyClaim, Study, secondary_of
from experiments.claims.words import Outcome
from experiments.costs.layer_order import LayerOrder


@dataclass(frozen=True)
class Verdict:
    """One claim's.

    Attributes:
        primary: the contrasts that decide it; empty for C5.
        decisive: those of them to name first: of a front one a budget, the network that is better
            or else comes nearest; of other claims all.
        order: what C5 measured; None for other claims, and where nothing was measured.
        seeds: how many each deciding contrast has, and how many are registered; the fewest, of
            those that more seeds can still give a difference.
        lacks_training: whether it cannot be told, where the networks that trained would tell it.
        by_budget: of a front what each budget says.
    """

    claim: AnyClaim
    outcome: Outcome
    primary: tuple[Estimate, ...] = ()
    decisive: tuple[Estimate, ...] = ()
    secondary: tuple[Estimate, ...] = ()
    order: LayerOrder | None = None
    seeds: tuple[int, int] = (0, 0)
    lacks_training: bool = False
    by_budget: tuple[tuple[Budget, Outcome], ...] = ()

    @property
    def started(self) -> bool:
        """Whether anything that decides it was measured."""
        return bool(self.order) or any(one.difference for one in self.primary)

    @property
    def complete(self) -> bool:
        """Whether no registered seed that is still to finish could change it."""
        return self.seeds[0] == self.seeds[1]


def verdict(claim: AnyClaim, study: Study, radius: Radius, order: LayerOrder | None) -> Verdict:
    """Of one claim; the arguments are those of `contrasts.estimate`, and what C5 measured."""
    if isinstance(claim, IdentityClaim):
        return Verdict(claim, _of_order(claim, order), order=order)

    def estimates(
        contrasts: Sequence[Contrast], margin: float, num_tests: int = 1
    ) -> tuple[Estimate, ...]:
        return tuple(
            estimate(contrast, margin, claim.seeds, study, radius, num_tests)
            for contrast in contrasts
        )

    if isinstance(claim, FrontClaim):
        fronts = [
            estimates(
                [Contrast(claim.network, other, budget=budget) for other in claim.others],
                claim.margin,
                len(claim.others),
            )
            for budget in claim.budgets
        ]
        primary = tuple(one for front in fronts for one in front)
        outcomes = [front_outcome(front, claim.margin / 100) for front in fronts]
        of_trained = [front_outcome(_trained(front), claim.margin / 100) for front in fronts]
        said = agreed(outcomes)
        return Verdict(
            claim,
            said,
            primary,
            decisive=tuple(one for front in fronts if (one := _foremost(front))),
            seeds=_seeds(primary, claim.seeds),
            lacks_training=agreed(of_trained) != said == "cannot be told",
            by_budget=tuple(zip(claim.budgets, outcomes, strict=True)),
        )
    primary = estimates(claim.primary, claim.margin)
    said = together([one.outcome for one in primary])
    trained = [one.outcome for one in _trained(primary)]
    return Verdict(
        claim,
        said,
        primary,
        decisive=primary,
        secondary=estimates(secondary_of(claim), MARGIN),
        seeds=_seeds(primary, claim.seeds),
        lacks_training=said == "cannot be told" and (not trained or together(trained) != said),
    )


def _trained(estimates: Sequence[Estimate]) -> list[Estimate]:
    return [one for one in estimates if not one.untrained]


def _seeds(primary: Sequence[Estimate], registered: Sequence[int]) -> tuple[int, int]:
    """As `Verdict` has them."""
    open_ = [len(one.seeds) for one in primary if not one.untrained]
    return min(open_, default=len(registered)), len(registered)


def together(outcomes: Sequence[Outcome]) -> Outcome:
    """Of all primary contrasts: the claim is that each of them holds."""
    return "contradicted" if "contradicted" in outcomes else agreed(outcomes)


def agreed(outcomes: Sequence[Outcome]) -> Outcome:
    """What all of them are."""
    first: Outcome = outcomes[0]
    return first if all(one == first for one in outcomes) else "cannot be told"


def front_outcome(front: Sequence[Estimate], margin: float) -> Outcome:
    """Supported: none of the others is better by the margin or more; contradicted: one is better.

    That one is not better by the margin is tested for each at 5 %; that one is better is corrected
    over all of them, those without an interval among them.
    """
    if better_than(front):
        return "contradicted"
    held = all(_not_worse(one.difference, margin) for one in front)
    return "supported" if held else "cannot be told"


def better_than(front: Sequence[Estimate]) -> list[Estimate]:
    """The contrasts of a front in which the other network is better."""
    p = holm([_p(one.difference) for one in front])
    return [
        one
        for one, own in zip(front, p, strict=True)
        if one.difference
        and one.difference.value < 0
        and own < ALPHA
        and one.outcome != "no difference"
    ]


def _foremost(front: Sequence[Estimate]) -> Estimate | None:
    """The contrast with the best of the networks that are better, or else with the best of all."""
    known = [(one.difference.value, one) for one in better_than(front) or front if one.difference]
    return min(known, key=lambda pair: pair[0], default=(0.0, None))[1]


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
