"""What a step of training takes each of several networks, measured in turn.

A trial's own seconds hold whatever else the machine did meanwhile. Here every network takes a step,
then every one another, so that what slows one of them down slows them all.

  python -m experiments.costs.step_benchmark camvid-lab 11 step-times.json hrnet:width=10 unet
"""

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.nn import functional as F

from experiments.costs.device import autocast, hardware, synchronise, this_device
from experiments.costs.step_times import StepTimes
from experiments.trials.overrides import load
from experiments.trials.recipe import Recipe, RecipeRequest
from experiments.trials.results import write_record
from models import build_model
from models.training_heads import TrainingHeads

WARM_UP = 2
NUM_ROUNDS = 12


@dataclass(frozen=True)
class TrainingSetting:
    """What a step is taken on.

    Attributes:
        size: (height, width) of a crop.
        aux_weight: of the cross-entropy of a network's auxiliary head; 0 builds none.
    """

    size: tuple[int, int]
    batch: int
    num_classes: int
    precision: str
    aux_weight: float = 0.0

    @classmethod
    def of(cls, recipe: Recipe, num_classes: int) -> "TrainingSetting":
        return cls(recipe.crop, recipe.batch, num_classes, recipe.precision, recipe.aux_weight)


def measure_steps(
    models: Sequence[str], setting: TrainingSetting, num_rounds: int = NUM_ROUNDS
) -> StepTimes:
    """Medians; every network and its optimiser's state are in memory at once.

    Raises:
        ValueError: a name of no network.
    """
    device = this_device()
    steps = {model: training_step(model, setting) for model in models}
    seconds: dict[str, list[float]] = {model: [] for model in steps}
    for _ in range(WARM_UP + num_rounds):
        for model, step in steps.items():
            seconds[model].append(seconds_of(step))
    return StepTimes(
        seconds={model: statistics.median(own[WARM_UP:]) for model, own in seconds.items()},
        num_rounds=num_rounds,
        precision=setting.precision,
        batch=setting.batch,
        size=setting.size,
        hardware=hardware(device),
        torch=torch.__version__,
    )


def seconds_of(step: Callable[[], None]) -> float:
    start = time.perf_counter()
    step()
    synchronise(this_device())
    return time.perf_counter() - start


def training_step(model: str, setting: TrainingSetting) -> Callable[[], None]:
    """A step of SGD on noise, with the heads that training has."""
    device = this_device()
    torch.manual_seed(0)
    network = build_model(model, setting.num_classes)
    heads = network if setting.aux_weight and isinstance(network, TrainingHeads) else None
    if heads:
        heads.add_training_heads()
    network = network.to(device).to(memory_format=torch.channels_last).train()
    images = torch.randn(setting.batch, *setting.size, 3, device=device).permute(0, 3, 1, 2)
    labels = torch.randint(setting.num_classes, (setting.batch, *setting.size), device=device)
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-6, momentum=0.9, weight_decay=5e-4)

    def step() -> None:
        optimizer.zero_grad()
        with autocast(device, setting.precision):
            maps = heads.training_heads(images) if heads else {"out": network(images)}
        loss = F.cross_entropy(maps["out"].float(), labels)
        if "aux" in maps:
            loss = loss + setting.aux_weight * F.cross_entropy(maps["aux"].float(), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step


def main(arguments: Sequence[str]) -> int:
    """Measure on one thread: a recipe's name, a number of classes, the file, and networks."""
    recipe, num_classes, path, *models = arguments
    torch.set_num_threads(1)
    try:
        setting = TrainingSetting.of(load(RecipeRequest(recipe)), int(num_classes))
        write_record(Path(path), measure_steps(models, setting))
    except (ValueError, OSError) as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
