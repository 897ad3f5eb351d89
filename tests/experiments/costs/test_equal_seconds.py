"""A width of equal seconds: found by steps in turn, with the heads that training has."""

from collections.abc import Iterator

import pytest
import torch

from experiments.costs.equal_seconds import matched_width
from experiments.costs.step_benchmark import TrainingSetting

SETTING = TrainingSetting((48, 48), 2, 3, "32-true", aux_weight=0.4)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Threads that wait for each other take seconds where the machine is busy."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_a_network_takes_its_own_time_at_about_its_own_width() -> None:
    width, ratio = matched_width("unet", "unet:width=16", SETTING, num_pairs=4)
    assert 6 <= width <= 40  # work is about a square of the width, and tiny steps are noisy
    assert 0.4 < ratio < 2.5


def test_an_unknown_network_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown model 'unett'"):
        matched_width("unett", "unet:width=4", SETTING)
