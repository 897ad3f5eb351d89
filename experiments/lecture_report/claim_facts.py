"""What a verdict rests on, by name: the details of a claim in lecture.html."""

from collections.abc import Iterator

from experiments.analysis.recipe_effects import signed
from experiments.claims.contrasts import Estimate
from experiments.claims.registration import FIELD_IMAGES, Claim, FrontClaim
from experiments.claims.verdicts import Verdict
from experiments.claims.words import BUDGETS, SUPPORTED_KO, Text
from experiments.lecture_report.estimate_words import in_both, pair_words, quantity_words
from experiments.lecture_report.page_texts import WORDS, filled


def claim_facts(verdict: Verdict, images: Text | None) -> Iterator[tuple[Text, Text]]:
    """Names and values.

    Args:
        images: how many images and blocks; None before the first trial.
    """
    claim = verdict.claim
    is_ratio = any(one.is_ratio for one in verdict.primary)
    if isinstance(claim, Claim):
        yield WORDS["support"], Text(claim.supported_if, SUPPORTED_KO[claim.key])
        yield WORDS["contradict"], WORDS["below"]
        yield (
            WORDS["margin"],
            filled("margin_ratio" if is_ratio else "margin_points", value=claim.margin),
        )
    elif isinstance(claim, FrontClaim):
        yield WORDS["support"], WORDS["front_support"]
        yield WORDS["contradict"], WORDS["front_contradict"]
        yield WORDS["margin"], filled("margin_points", value=claim.margin)
        idle = sum(one.untrained for one in verdict.primary)
        if idle:
            yield WORDS["closed"], filled("front_closed", num=idle)
    else:
        yield WORDS["support"], WORDS["order_support"]
        yield WORDS["contradict"], WORDS["order_contradict"]
        order = verdict.order
        if order is not None:
            height, width = order.size
            yield (
                WORDS["measured"],
                filled(
                    "order_measured",
                    pairs=order.num_pairs,
                    size=f"{height}x{width}",
                    threads=order.threads,
                    hardware=order.hardware,
                ),
            )
        return
    n, of = verdict.seeds
    yield WORDS["seeds"], filled("seeds_of", n=n, of=of)
    if is_ratio:
        yield WORDS["images"], filled("field_images", n=FIELD_IMAGES)
    elif images is not None:
        yield WORDS["images"], images
    yield from (_apart(one, both) for one in verdict.primary if (both := one.near_and_beyond))
    for one in verdict.decisive:
        if one.mdd is not None:
            yield _detectable(one)


def _detectable(one: Estimate) -> tuple[Text, Text]:
    """What such trials find 4 times in 5."""
    budget, mdd = BUDGETS[one.contrast.budget], one.mdd or 0.0
    name = in_both(
        lambda own: WORDS["detectable"](own, pair=pair_words(one, own), budget=budget(own))
    )
    return name, in_both(lambda own: quantity_words(one, mdd, own))


def _apart(one: Estimate, differences: tuple[float, float]) -> tuple[Text, Text]:
    """Whether a gain near boundaries is one there or a loss elsewhere."""
    near, beyond = map(signed, differences)
    budget = BUDGETS[one.contrast.budget]
    name = in_both(lambda own: WORDS["apart_name"](own, budget=budget(own)))
    return name, filled("apart", near=near, beyond=beyond)
