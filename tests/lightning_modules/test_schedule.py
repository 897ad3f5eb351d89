"""The learning rate of each step, by hand and by torch's schedulers."""

import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, PolynomialLR

from lightning_modules.schedule import Schedule


@pytest.mark.parametrize("kind", ["poly", "cosine"])
@pytest.mark.parametrize("warmup", [0, 7])
def test_equals_torchs_after_the_warm_up_and_ends_at_0(kind: str, warmup: int) -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.3)
    scheduler: LRScheduler = PolynomialLR(optimizer, 20, 0.9)
    if kind == "cosine":
        scheduler = CosineAnnealingLR(optimizer, 20)
    schedule = Schedule(kind=kind, lr=0.3, steps=20 + warmup, warmup=warmup)
    for step in range(20):
        assert schedule.at(warmup + step) == pytest.approx(scheduler.get_last_lr()[0], abs=1e-12)
        optimizer.step()
        scheduler.step()
    assert 0 < schedule.at(schedule.steps - 1) < 0.03
    assert schedule.at(schedule.steps) == 0


def test_a_warm_up_grows_by_equal_steps_to_the_full_rate() -> None:
    schedule = Schedule(kind="constant", lr=1.0, steps=9, warmup=3)
    assert [schedule.at(step) for step in range(6)] == [0.25, 0.5, 0.75, 1, 1, 1]
    assert schedule.at(9) == 1
