"""How many trials share a GPU: as many as its free memory holds, by one measured step of each."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from datamodules import open_data
from experiments.comparison.gpus import VISIBLE, Gpu
from experiments.comparison.placement import Places
from experiments.costs.measurement import MeasurementFailure, MeasurementRequest, measure_isolated
from experiments.trials.environment import threads_per_process
from experiments.trials.launch import here
from experiments.trials.trial import Trial

# What a process takes beside its tensors: CUDA and its libraries' kernels, 0.3 to 0.6 GB by card
# and driver; and what the allocator cannot use between tensors.
OWN_GB, MARGIN = 0.7, 1.15


def with_room(
    places: Places, trials: Sequence[Trial], data_root: Path | None, console: Console
) -> Places:
    """The places, with fewer trials on a GPU where its free memory does not hold so many.

    Whichever trials meet on a GPU, it holds so many of the largest.

    Raises:
        ValueError: a GPU that cannot hold one of them, or a network that cannot be measured.
    """
    models = {trial.model: trial for trial in trials}
    console.print(f"measuring the memory of a training step: {', '.join(models)}", markup=False)
    ranks = places.devices * here().num_nodes
    most = max((gpu.free_gb for gpu in places.gpus if gpu.free_gb is not None), default=0.0)
    needs = {model: need_gb(trial, ranks, data_root, most) for model, trial in models.items()}
    model = max(needs, key=needs.__getitem__)
    held = min(num_fitting(gpu, model, needs[model], places.per_device) for gpu in places.gpus)
    if held == places.per_device:
        return places
    line = f"{model} needs {needs[model]:.1f} GB: {held} trials share a GPU at most, instead of"
    console.print(f"{line} {places.per_device}", soft_wrap=True, markup=False)
    return places.shared_by(held)


def num_fitting(gpu: Gpu, model: str, need: float, most: int) -> int:
    """Trials of `need` gigabytes that the free memory of a GPU holds, `most` where none is told.

    Raises:
        ValueError: it holds none.
    """
    if gpu.free_gb is None:
        return most
    if gpu.free_gb < need:
        raise ValueError(
            f"{model} needs {need:.1f} GB and GPU {gpu} has {gpu.free_gb:.1f} free: take a smaller "
            f"batch, crop or network, or name other GPUs in {VISIBLE}"
        )
    return min(most, int(gpu.free_gb / need))


def need_gb(trial: Trial, ranks: int, data_root: Path | None, free_gb: float) -> float:
    """Gigabytes of each process of a trial, by a step on the images that it passes at once.

    Args:
        ranks: processes that share the batch.
        free_gb: of a GPU, of which a training set that lies there where it can takes half at most.

    Raises:
        ValueError: it cannot be measured.
    """
    recipe = trial.recipe
    data = open_data(recipe.data, recipe.train_split, data_root)
    request = MeasurementRequest(
        trial.model,
        data.labels.num_classes,
        recipe.crop,
        recipe.precision,
        batch=max(1, recipe.micro_batch or recipe.batch // ranks),
    )
    found = measure_isolated(request, threads_per_process(1))
    if isinstance(found, MeasurementFailure):
        raise ValueError(
            f"the memory of {trial.model}, which --per-device needs, cannot be measured: "
            f"{found.reason}"
        )
    assert found.training is not None  # it was asked for
    held = 4 * data.mask(0).size * len(data.ids) / 1e9  # a byte a channel and one a label
    there = recipe.crop_on == "device" or (recipe.crop_on == "auto" and held <= free_gb / 2)
    return MARGIN * (found.training.memory_gb + held * there) + OWN_GB
