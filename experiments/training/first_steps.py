"""The first steps of a trial, trained for their losses alone."""

import platform
from collections.abc import Iterable
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from sys import stderr
from tempfile import TemporaryDirectory

import torch

from experiments.training.callbacks import FirstLosses, OwnSignals
from experiments.training.hardware import (
    cluster_environment,
    environment_now,
    reading_processes,
)
from experiments.training.preparation import prepare
from experiments.training.requested_trial import RequestedTrial
from experiments.training.trainer import build_trainer, fit
from experiments.trials.result_types import Environment
from experiments.trials.verification import FirstSteps


def train_first_steps(ours: RequestedTrial, num_steps: int, perturbed: bool) -> FirstSteps:
    """The loss of every one of a trial's first steps, by the recipe's own schedule and stream.

    Nothing is validated, predicted, logged or kept. On ranks other than 0 the losses are the same.

    Args:
        perturbed: start from weights that are off by a rounding, to see what rounding moves.

    Raises:
        ValueError: as training itself.
    """
    resources, losses = ours.resources, list[float]()
    workers = resources.workers
    if workers is None:
        workers = reading_processes(resources.devices)
    ranks = resources.devices * resources.num_nodes
    with TemporaryDirectory() as folder, redirect_stdout(stderr):
        trial = replace(ours.trial, out=Path(folder))
        identity = trial.identity(ours.data_hash)
        prepared = prepare(
            trial, identity, resources.data_root, ours.report, ranks=ranks, workers=workers
        )
        if perturbed:
            perturb(prepared.module.model.parameters(), trial.recipe.precision)
        trainer = build_trainer(
            trial,
            devices=resources.devices,
            num_nodes=resources.num_nodes,
            cluster=cluster_environment(),
            callbacks=[OwnSignals(), FirstLosses(lambda _, loss: losses.append(loss), num_steps)],
            first_steps=num_steps,
        )
        fit(trainer, prepared)
    started = Environment(python=platform.python_version(), machine=platform.machine())
    return FirstSteps(losses=tuple(losses), environment=environment_now(started, ranks))


@torch.no_grad()
def perturb(parameters: Iterable[torch.Tensor], precision: str) -> None:
    """Move every weight by one rounding of the precision, up or down at random, always alike."""
    kind = torch.bfloat16 if precision == "bf16-mixed" else torch.float32
    generator = torch.Generator().manual_seed(0)
    for weight in parameters:
        signs = torch.randint(2, weight.shape, generator=generator).to(weight) * 2 - 1
        weight *= 1 + torch.finfo(kind).eps * signs
