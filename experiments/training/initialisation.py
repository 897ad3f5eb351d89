"""A network before training, and what a result says of its first weights."""

import torch
from torch import nn

from experiments.trials.loss_terms import is_own
from experiments.trials.own_code import load_function
from experiments.trials.recipe import Recipe
from experiments.trials.result_types import Initialisation
from experiments.trials.results import read_record, write_record
from experiments.trials.trial import Trial
from lightning_modules.objective import Losses, Objective
from lightning_modules.optimisation import Optimisation
from lightning_modules.schedule import Schedule
from lightning_modules.segmentation import Segmentation
from models import build_model
from models.imagenet import load_imagenet
from models.training_heads import TrainingHeads
from models.weights import Report


def build_module(
    trial: Trial,
    class_names: tuple[str, ...],
    class_weights: tuple[float, ...] | None = None,
    resumed: bool = False,
) -> Segmentation:
    """The trial's network, ready for training.

    Args:
        class_weights: the recipe's, worked out where it names a rule.
        resumed: a checkpoint has what its initial weights became, which are left out.

    Raises:
        ValueError: the recipe asks for ImageNet weights, of which there are none, here or at all.
    """
    recipe = trial.recipe
    torch.manual_seed(trial.init_seed)
    model: nn.Module = build_model(trial.model, len(class_names))
    if recipe.init == "imagenet" and not resumed:
        # Over random weights, so that the head's are those of the seed.
        load_imagenet(model, trial.model)
    heads = recipe.aux_weight > 0 and isinstance(model, TrainingHeads)
    if isinstance(model, TrainingHeads) and heads:
        model.add_training_heads()
    return Segmentation(
        model,
        class_names,
        objective=Objective(_losses(recipe, class_weights)),
        optimisation=_optimisation(recipe),
        schedule=Schedule(
            kind=recipe.schedule,
            lr=recipe.lr,
            steps=recipe.steps,
            power=recipe.power,
            warmup=recipe.warmup,
        ),
        seed=trial.data_seed,
        bn_momentum=recipe.bn_momentum,
        micro_batch=recipe.micro_batch,
        heads=heads,
        compiled=recipe.compile,
        tf32=recipe.precision == "tf32",
    )


def _losses(recipe: Recipe, class_weights: tuple[float, ...] | None) -> Losses:
    terms = recipe.loss_terms
    height, width = recipe.crop
    return Losses(
        terms=tuple((term.name, term.weight) for term in terms),
        own={term.name: load_function(term.name, "loss") for term in terms if term.own},
        class_weights=class_weights,
        label_smoothing=recipe.label_smoothing,
        ohem_threshold=recipe.ohem_threshold,
        # HRNet's 131,072 of three crops of 512x1024 are a twelfth of their pixels.
        ohem_pixels=recipe.ohem_pixels or max(1, height * width // 12),
        aux_weight=recipe.aux_weight,
        boundary_weight=recipe.boundary_weight,
    )


def _optimisation(recipe: Recipe) -> Optimisation:
    own = is_own(recipe.optimizer)
    return Optimisation(
        optimizer=load_function(recipe.optimizer, "optimizer") if own else recipe.optimizer,
        momentum=recipe.momentum,
        betas=recipe.betas,
        eps=recipe.eps,
        weight_decay=recipe.weight_decay,
        no_decay=recipe.no_decay,
        head_lr=recipe.head_lr,
        layer_decay=recipe.layer_decay,
        clip_norm=recipe.clip_norm,
    )


def initial_weights(trial: Trial, model: nn.Module) -> Initialisation:
    """What a result says of them; of a trial that goes on, what it said at its start, which it
    keeps beside its checkpoints."""
    kind, path = trial.recipe.init, trial.folder / "init.json"
    report = getattr(model, "load_report", None)
    if isinstance(report, Report):
        found = Initialisation(
            kind=kind,
            source=report.source,
            sha256=report.sha256,
            licence=report.licence,
            report=str(report),
        )
        write_record(path, found)
        return found
    kept = read_record(path, Initialisation) if kind != "random" else None
    return kept or Initialisation(kind=kind)
