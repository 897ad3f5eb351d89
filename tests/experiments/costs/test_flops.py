"""Operations as counted, and beside the published ones."""

import pytest

from experiments.costs.flops import count, paper_count, trace_cost
from experiments.costs.network_cost import DEEPEST
from experiments.costs.published_costs import DIFFERENCE_NOTES
from experiments.trials.reference import ALIASES
from models.registry import MODELS


def test_published_figures_are_for_their_size_alone() -> None:
    small = trace_cost("hrnetv2_w18_small_v1", 19, (360, 480))
    assert (small.published, small.note) == ((), None)
    assert (small.deepest_stride, small.classifier_stride) == (32, 4)


@pytest.mark.parametrize(
    ("model", "deepest"),
    [("deeplabv3p:trunk=mobilenetv2_100", 16), ("pspnet:trunk=resnet18:width=8", 8)],
)
def test_image_pooling_and_bins_are_no_stage(model: str, deepest: int) -> None:
    cost = trace_cost(model, 11, (360, 480))
    assert cost.deepest_stride == deepest
    assert max(layer.stride for layer in cost.layers) > DEEPEST


@pytest.mark.parametrize(
    "model",
    [
        "hrnetv2_w18_small_v1",
        "deeplabv3p:trunk=mobilenetv2_100",
        "hrnetv2_w18_ocr:width=8",
        "smp/segformer/mit_b0",
    ],
)
def test_a_count_is_that_of_a_trace(model: str) -> None:
    """PyTorch's counter alone, and layers added up as they were seen to run."""
    counted, traced = count(model, 5, (64, 96)), trace_cost(model, 5, (64, 96))
    assert counted.params == traced.params
    assert counted.gmacs == sum(layer.macs for layer in traced.layers) / 1e9


def test_the_papers_unit() -> None:
    """Table III of arXiv 1908.07919 prints 1.5M and 31.1 for the smallest HRNet."""
    counted = paper_count("hrnetv2_w18_small_v1")
    assert (round(counted.params / 1e6, 1), round(counted.paper_gflops, 1)) == (1.5, 31.1)


def test_every_network_has_the_published_digits_or_a_reason() -> None:
    """The digits themselves are held in `test_models`."""
    agree = {"hrnetv2_w48", "hrnetv2_w18_small_v1", "hrnetv2_w18_small_v2"}
    agree |= {"dilated_resnet", "deeplabv3"}
    assert agree | set(DIFFERENCE_NOTES) == set(MODELS) - set(ALIASES)
    assert not agree & set(DIFFERENCE_NOTES)
