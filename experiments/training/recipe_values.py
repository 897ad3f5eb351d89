"""The values of a recipe as training takes them."""

from typing import cast

from experiments.training.class_weights import ClassPixels, inverse_sqrt, median_frequency
from experiments.trials.loss_terms import is_own
from experiments.trials.own_code import load_function
from experiments.trials.recipe import Recipe
from lightning_modules.losses import BatchLoss
from lightning_modules.objective import Losses, Objective
from lightning_modules.optimisation import Optimisation, OwnOptimizer
from lightning_modules.schedule import Schedule


def objective_of(recipe: Recipe, shown: ClassPixels | None) -> Objective:
    """Its losses.

    Args:
        shown: what the training split shows, where the class weights follow from it.

    Raises:
        ValueError: a function of one's own that is not there.
    """
    terms, (height, width) = recipe.loss_terms, recipe.crop
    losses = Losses(
        terms=tuple((term.name, term.weight) for term in terms),
        own={t.name: cast(BatchLoss, load_function(t.name, "loss")) for t in terms if t.own},
        class_weights=_class_weights(recipe, shown),
        label_smoothing=recipe.label_smoothing,
        ohem_threshold=recipe.ohem_threshold,
        # HRNet's 131,072 of three crops of 512x1024 are a twelfth of their pixels.
        ohem_pixels=recipe.ohem_pixels or max(1, height * width // 12),
        aux_weight=recipe.aux_weight,
        boundary_weight=recipe.boundary_weight,
    )
    return Objective(losses)


def _class_weights(recipe: Recipe, shown: ClassPixels | None) -> tuple[float, ...] | None:
    if not isinstance(recipe.class_weights, str):
        return recipe.class_weights
    assert shown is not None
    rule = {"median-frequency": median_frequency, "inverse-sqrt": inverse_sqrt}
    return tuple(float(weight) for weight in rule[recipe.class_weights](shown))


def optimisation_of(recipe: Recipe) -> Optimisation:
    """Its optimiser and schedule.

    Raises:
        ValueError: a function of one's own that is not there.
    """
    optimizer: str | OwnOptimizer = recipe.optimizer
    if is_own(recipe.optimizer):
        optimizer = cast(OwnOptimizer, load_function(recipe.optimizer, "optimizer"))
    return Optimisation(
        optimizer=optimizer,
        schedule=Schedule(
            kind=recipe.schedule,
            lr=recipe.lr,
            steps=recipe.steps,
            power=recipe.power,
            warmup=recipe.warmup,
        ),
        momentum=recipe.momentum,
        betas=recipe.betas,
        eps=recipe.eps,
        weight_decay=recipe.weight_decay,
        no_decay=recipe.no_decay,
        head_lr=recipe.head_lr,
        layer_decay=recipe.layer_decay,
        clip_norm=recipe.clip_norm,
    )
