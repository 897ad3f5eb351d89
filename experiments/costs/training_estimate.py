"""What training a network will take, by one timed step on this machine."""

import time
from dataclasses import dataclass

import torch

from experiments.costs.device import autocast, synchronise, this_device
from experiments.costs.flops import count
from experiments.costs.network_cost import OperationCount
from experiments.trials.recipe import Recipe
from models import build_model


@dataclass(frozen=True)
class TrainingEstimate:
    """The cost of a forward pass of one crop, and hours of training by a recipe."""

    crop: OperationCount
    hours: float


def estimate_training(model: str, recipe: Recipe, num_classes: int) -> TrainingEstimate:
    """Operations of a crop, and hours by one timed step here.

    The step is forward and backward on two images of the recipe's crop, after one to warm up.
    """
    device = this_device()
    network = build_model(model, num_classes).to(device)
    image = torch.zeros(2, 3, *recipe.crop, device=device)
    image = image.to(memory_format=torch.channels_last)
    seconds = 0.0
    for _ in range(2):
        synchronise(device)
        before = time.perf_counter()
        with autocast(device, recipe.precision):
            loss = network(image).float().mean()
        loss.backward()
        synchronise(device)
        seconds = time.perf_counter() - before
    hours = seconds / 2 * recipe.batch * recipe.steps / 3600
    return TrainingEstimate(count(model, num_classes, recipe.crop), hours)
