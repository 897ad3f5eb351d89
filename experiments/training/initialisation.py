"""A network before training, and what a result says of its first weights."""

import torch
from torch import nn

from experiments.training.class_weights import ClassPixels
from experiments.training.recipe_values import objective_of, optimisation_of
from experiments.trials.result_types import Initialisation
from experiments.trials.results import read_record, write_record
from experiments.trials.trial import Trial
from lightning_modules.segmentation import Segmentation
from models import build_model
from models.imagenet import load_imagenet


def build_module(
    trial: Trial,
    class_names: tuple[str, ...],
    shown: ClassPixels | None = None,
    resumed: bool = False,
) -> Segmentation:
    """The trial's network, ready for training.

    Args:
        shown: what the training split shows, where the class weights follow from it.
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
    return Segmentation(
        model,
        class_names,
        objective=objective_of(recipe, shown),
        optimisation=optimisation_of(recipe),
        seed=trial.data_seed,
        bn_momentum=recipe.bn_momentum,
        micro_batch=recipe.micro_batch,
        heads=recipe.aux_weight > 0,
        compiled=recipe.compile,
        tf32=recipe.precision == "tf32",
    )


def initial_weights(trial: Trial, model: nn.Module) -> Initialisation:
    """What a result says of them; of a trial that goes on, what it said at its start, which it
    keeps beside its checkpoints."""
    kind, path = trial.recipe.init, trial.folder / "init.json"
    report = getattr(model, "load_report", None)
    if report is not None:
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
