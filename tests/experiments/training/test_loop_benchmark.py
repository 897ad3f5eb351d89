"""The benchmark of a trial's loop, small: what is timed, and that it is timed in pairs."""

from collections.abc import Callable
from types import SimpleNamespace

import lightning as L
import pytest
import torch

from experiments.training import loop_benchmark
from experiments.training.loop_benchmark import Alternate, trial_against_bare_loop
from experiments.training.requested_trial import requested
from experiments.training.trial_request import TrialRequest
from experiments.trials.recipe import RecipeRequest

pytestmark = pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")  # Lightning's own loops


class Trainer:
    global_step, should_stop, callbacks = 0, False, ()


def test_blocks_alternate_and_warm_up_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps of 20 ms among which another way of 5 ms is called, by a clock of the test's."""
    calls, clock = list[int](), [0.0]
    watch = SimpleNamespace(perf_counter=lambda: clock[0], monotonic=lambda: clock[0])
    monkeypatch.setattr(loop_benchmark, "time", watch)

    def other() -> None:
        calls.append(trainer.global_step)
        clock[0] += 0.005

    trainer, timed = Trainer(), Alternate(other, warm_up=3, blocks=2, block=2)
    for step in range(1, 8):
        clock[0] += 0.02
        trainer.global_step = step
        timed.on_train_batch_end(trainer)  # type: ignore[arg-type]
        assert trainer.should_stop == (step == 7)
    assert calls == [3, 3, 3, 5, 5, 7, 7]  # three to warm up, then as many as there were steps
    assert timed.ours == pytest.approx([20, 20])
    assert timed.other == pytest.approx([5, 5])


def test_a_trial_is_timed_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    fitted: list[L.Trainer] = []
    monkeypatch.setattr(L.Trainer, "fit", _remember(fitted, L.Trainer.fit))
    ours = requested(
        TrialRequest(model="unet:width=2", recipe=RecipeRequest("smoke", ("steps=99",)))
    )
    ratio = trial_against_bare_loop(ours, blocks=2, block=2)
    assert len(ratio.ours_ms) == len(ratio.other_ms) == 2
    assert min(*ratio.ours_ms, *ratio.other_ms) > 0
    (trainer,) = fitted
    assert trainer.global_step == 24 // 4 + 3 + 2 * 2  # a pass over the images first
    names = [type(callback).__name__ for callback in trainer.callbacks]  # type: ignore[attr-defined]
    assert {"Checkpoints", "Progress", "FirstLosses", "Clock"} < {*names}
    assert not ours.trial.folder.exists()
    assert torch.is_grad_enabled()


def _remember(fitted: list[L.Trainer], fit: Callable[..., None]) -> Callable[..., None]:
    def remembering(trainer: L.Trainer, *args: object, **kwargs: object) -> None:
        fitted.append(trainer)
        fit(trainer, *args, **kwargs)

    return remembering
