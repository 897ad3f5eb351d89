"""Two orders of the same layers: equal as functions, unequal with a batch's own statistics."""

import pytest

from experiments.costs.order_benchmark import measure_order

NETWORK = "hrnetv2_w18_small_v1:width=4"


def test_the_order_of_fusion_changes_no_value_and_costs_less() -> None:
    found = measure_order(
        f"{NETWORK}:order=conv-first",
        f"{NETWORK}:order=upsample-first",
        num_classes=3,
        size=(64, 64),
        num_pairs=3,
    )
    assert found.difference < 1e-12
    assert found.batch_difference > 1e-4
    assert found.gmacs[0] < found.gmacs[1]
    assert found.ratio_low <= found.ratio <= found.ratio_high
    assert min(found.seconds) > 0


def test_another_network_is_told_from_another_order() -> None:
    """Strided and pooled fusions have other weights; bilinear ones have the same and differ."""
    other = measure_order(
        NETWORK, f"{NETWORK}:align_corners=true", num_classes=3, size=(64, 64), num_pairs=2
    )
    assert other.difference > 1e-3
    with pytest.raises(ValueError, match="have other weights: name two orders of one network"):
        measure_order(NETWORK, f"{NETWORK}:down=maxpool", num_classes=3, size=(64, 64))
