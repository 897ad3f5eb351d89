"""How many trials share a GPU, by a memory that is made up."""

from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from experiments.comparison import gpu_sharing
from experiments.comparison.gpu_sharing import need_gb, num_fitting, with_room
from experiments.comparison.gpus import Gpu
from experiments.comparison.placement import Places
from experiments.costs.measurement import (
    Measurement,
    MeasurementFailure,
    MeasurementRequest,
    Timing,
    TrainingStep,
)
from experiments.recipes import smoke
from experiments.trials.trial import Trial

SMALL, LARGE = "unet:width=4", "unet:width=9"
MEMORY = {SMALL: 2.0, LARGE: 6.0}  # GB of a step
asked: list[MeasurementRequest] = []


def _measure(request: MeasurementRequest, threads: int) -> Measurement | MeasurementFailure:
    asked.append(request)
    if request.model not in MEMORY:
        return MeasurementFailure(request.model, "CUDA out of memory")
    time = Timing(1, 1, 1)
    step = TrainingStep(request.batch, time, MEMORY[request.model])
    where = ("allocated on the GPU", 1, "cuda", "a card", "2")
    return Measurement(request, time, 1.0, step, *where, ran_in="fp32", start_up_s=0.0)


@pytest.fixture(autouse=True)
def faked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked.clear()
    monkeypatch.setattr(gpu_sharing, "measure_isolated", _measure)


def _with_room(*models: str, free: float = 24.0, share: int = 4) -> tuple[Places, str]:
    gpus = [Gpu("0", free_gb=24.0), Gpu("1", free_gb=free), Gpu("MIG-a")]
    trials = [Trial(smoke(), model, seed, Path()) for seed in (0, 1) for model in models]
    places = Places(gpus, jobs=100, per_device=share)
    console = Console(width=200)
    with console.capture() as shown:
        places = with_room(places, trials, None, console)
    return places, shown.get()


def test_the_largest_network_decides() -> None:
    """6 GB of tensors are 7.6 with what else a process takes: 3 of them in 24 GB."""
    places, said = _with_room(SMALL, LARGE)
    assert (places.per_device, places.at_a_time) == (3, 9)
    assert [request.model for request in asked] == [SMALL, LARGE]  # once each
    assert said == (
        f"measuring the memory of a training step: {SMALL}, {LARGE}\n"
        f"{LARGE} needs 7.6 GB: 3 trials share a GPU at most, instead of 4\n"
    )


def test_the_fullest_gpu_decides() -> None:
    assert _with_room(SMALL)[0].per_device == 4
    places, said = _with_room(SMALL, free=9.1)
    assert places.per_device == 3
    assert "needs 3.0 GB: 3 trials share a GPU at most, instead of 4" in said


def test_a_gpu_that_holds_none_is_named() -> None:
    with pytest.raises(ValueError, match=r"9 needs 7\.6 GB and GPU 1 has 5\.0 free: take a small"):
        _with_room(SMALL, LARGE, free=5.0)


def test_a_network_that_cannot_be_measured_is_named() -> None:
    with pytest.raises(ValueError, match="memory of unet, which --per-device needs, cannot be .*: "
                       "CUDA out of memory"):  # fmt: skip
        _with_room(SMALL, "unet")


@pytest.mark.parametrize(("free", "held"), [(None, 4), (3.0, 1), (5.9, 1), (6.0, 2), (99.0, 4)])
def test_so_many_as_free_memory_holds(free: float | None, held: int) -> None:
    assert num_fitting(Gpu("0", free_gb=free), "unet", 3.0, most=4) == held


def test_a_step_is_the_recipes() -> None:
    """Its crop and precision, and the images that a process passes at once: 4 over 2 ranks."""
    trial = Trial(smoke(), SMALL, 0, Path())
    need_gb(trial, 2, None, 24.0)
    recipe = smoke()
    assert asked[-1] == MeasurementRequest(SMALL, 11, recipe.crop, recipe.precision, batch=2)
    need_gb(replace(trial, recipe=replace(recipe, micro_batch=1)), 2, None, 24.0)
    assert asked[-1].batch == 1


def test_a_training_set_on_the_gpu_counts() -> None:
    """24 images of 48 x 64 pixels, three bytes of colour and one of class each: 0.3 MB."""
    trial = Trial(replace(smoke(), crop_on="workers"), SMALL, 0, Path())
    size = 24 * 48 * 64 * 4 / 1e9
    for crop_on, free, held in (
        ("device", 24.0, size),
        ("auto", 24.0, size),
        ("auto", 2.1 * size, size),
        ("auto", 1.9 * size, 0.0),  # of which half does not take it
        ("workers", 24.0, 0.0),
    ):
        other = replace(trial, recipe=replace(trial.recipe, crop_on=crop_on))
        more = need_gb(other, 1, None, free) - need_gb(trial, 1, None, free)
        assert more == pytest.approx(gpu_sharing.MARGIN * held, abs=1e-9)
