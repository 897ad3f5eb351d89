"""Verdicts follow from intervals as registered: each rule on a case counted by hand."""

from collections.abc import Sequence

import pytest
from scipy.stats import t as student

from experiments.analysis.intervals import Interval, equivalence_p
from experiments.claims.contrasts import Estimate, outcome
from experiments.claims.registration import C5, Contrast
from experiments.claims.study import Study
from experiments.claims.verdicts import agreed, better_than, front_outcome, together, verdict
from experiments.claims.words import Outcome
from experiments.costs.layer_order import LayerOrder

MARGIN = 0.01
DF = 11.0


def known(value: float, error: float) -> Interval:
    half = float(student.ppf(0.975, DF)) * error
    return Interval(value, value - half, value + half, error, DF)


def estimated(value: float, error: float) -> Estimate:
    found = known(value, error)
    p = equivalence_p(found, MARGIN)
    contrast = Contrast("hrnetv2", "unet")
    return Estimate(contrast, (0, 1, 2), (value,) * 3, found, p, 0.02, outcome(found, p))


@pytest.mark.parametrize(
    ("value", "error", "expected"),
    [
        (0.030, 0.005, "supported"),  # 1.9 to 4.1 points
        (-0.030, 0.005, "contradicted"),
        (0.003, 0.002, "no difference"),  # -0.1 to 0.7
        (0.005, 0.001, "no difference"),  # above 0, and below the margin all the same
        (0.012, 0.004, "supported"),  # 0.3 to 2.1: above 0, and the margin does not hold it
        (0.010, 0.010, "cannot be told"),  # -1.2 to 3.2
        (0.0, 0.02, "cannot be told"),
    ],
)
def test_the_margin_comes_before_the_sign(value: float, error: float, expected: Outcome) -> None:
    found = known(value, error)
    assert outcome(found, equivalence_p(found, MARGIN)) == expected


def test_within_the_margin_is_where_the_90_percent_interval_lies_in_it() -> None:
    for value in (-0.008, -0.002, 0.0, 0.004, 0.009):
        for error in (0.001, 0.003, 0.005, 0.007):
            half = float(student.ppf(0.95, DF)) * error
            inside = abs(value) + half < MARGIN
            found = known(value, error)
            assert (outcome(found, equivalence_p(found, MARGIN)) == "no difference") == inside


def test_without_an_interval_nothing_is_told() -> None:
    assert outcome(Interval(0.2, reason="only 1 seed"), None) == "cannot be told"


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        (["supported", "supported"], "supported"),
        (["supported", "contradicted"], "contradicted"),
        (["cannot be told", "contradicted"], "contradicted"),
        (["no difference", "no difference"], "no difference"),
        (["supported", "no difference"], "cannot be told"),
        (["supported", "cannot be told"], "cannot be told"),
    ],
)
def test_a_claim_is_all_its_primary_contrasts(
    outcomes: Sequence[Outcome], expected: Outcome
) -> None:
    assert together(outcomes) == expected


@pytest.mark.parametrize(
    ("differences", "expected"),
    [
        ([(0.03, 0.005), (0.02, 0.005)], "supported"),
        ([(0.03, 0.005), (-0.002, 0.003)], "supported"),  # not worse by a point: t = 8 / 3
        ([(0.03, 0.005), (-0.004, 0.005)], "cannot be told"),  # t = 6 / 5
        ([(0.03, 0.005), (-0.03, 0.005)], "contradicted"),
        # -2.4 standard errors: p .035, which is .07 over both, and .035 of one alone.
        ([(0.001, 0.005), (-0.024, 0.01)], "cannot be told"),
        ([(-0.024, 0.01)], "contradicted"),
        # Better beyond doubt, by half a point: within the margin.
        ([(0.03, 0.005), (-0.005, 0.0005)], "supported"),
    ],
)
def test_on_the_front_is_who_is_beaten_by_none(
    differences: Sequence[tuple[float, float]], expected: Outcome
) -> None:
    front = [estimated(value, error) for value, error in differences]
    assert front_outcome(front, MARGIN) == expected


LACKING = Estimate(Contrast("hrnetv2", "pspnet"), (), (), None, None, None, "cannot be told")


def test_a_front_with_a_network_missing_is_not_supported() -> None:
    assert front_outcome([estimated(0.03, 0.005), LACKING], MARGIN) == "cannot be told"
    assert front_outcome([estimated(-0.03, 0.005), LACKING], MARGIN) == "contradicted"


def test_a_missing_network_counts_in_the_correction() -> None:
    one = estimated(-0.024, 0.01)  # p .035
    assert front_outcome([one], MARGIN) == "contradicted"
    assert front_outcome([one, LACKING], MARGIN) == "cannot be told"


def test_better_are_those_whose_corrected_p_is_small_however_low_another_lies() -> None:
    sure, unsure = estimated(-0.03, 0.005), estimated(-0.05, 0.05)
    assert better_than([sure, unsure, LACKING]) == [sure]


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        (["contradicted", "contradicted"], "contradicted"),
        (["supported", "contradicted"], "cannot be told"),
        (["cannot be told", "contradicted"], "cannot be told"),
    ],
)
def test_both_budgets_of_the_front_must_agree(
    outcomes: Sequence[Outcome], expected: Outcome
) -> None:
    assert agreed(outcomes) == expected


def ordered(**changed: object) -> LayerOrder:
    values = {
        "first": "a",
        "second": "b",
        "size": (64, 64),
        "difference": 1e-12,
        "batch_difference": 0.1,
        "gmacs": (1.0, 1.1),
        "seconds": (1.0, 1.2),
        "ratio": 0.83,
        "ratio_low": 0.8,
        "ratio_high": 0.9,
        "num_pairs": 20,
        "threads": 2,
        "hardware": "a processor",
        "torch": "2",
    }
    return LayerOrder.model_validate({**values, **changed})


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (ordered(), "supported"),
        (ordered(difference=1e-3), "contradicted"),
        (ordered(gmacs=(1.1, 1.1)), "contradicted"),
        (ordered(ratio_low=1.05, ratio_high=1.2), "contradicted"),
        (ordered(ratio_low=0.95, ratio_high=1.02), "cannot be told"),
        (None, "cannot be told"),
    ],
)
def test_an_order_of_layers_is_judged_by_values_operations_and_seconds(
    order: LayerOrder | None, expected: Outcome
) -> None:
    judged = verdict(C5, Study({}), lambda _: None, order)
    assert judged.outcome == expected
    assert judged.started == (order is not None)
