"""The trials of a comparison, checked before any work."""

from experiments.comparison.matching import matched
from experiments.comparison.request import DEFAULT_MODELS, ComparisonRequest
from experiments.reporting.console import PlainConsole
from experiments.trials.network_name import check_network
from experiments.trials.overrides import load
from experiments.trials.recipe import Recipe
from experiments.trials.trial import Trial, slug


def plan(request: ComparisonRequest) -> list[Trial]:
    """Every trial of the request.

    Raises:
        ValueError: an unknown name or a value that does not fit, in one sentence.
    """
    recipe, models, seeds = load(request.recipe), list(request.models), list(request.seeds)
    if not models:
        raise ValueError(f"--models names no network; try --models {DEFAULT_MODELS}")
    if request.tune is not None:
        _check_tuning(recipe, request.resources.num_nodes)
    if (
        request.engine.local
        and max(request.jobs, request.per_device, request.resources.devices) > 1
    ):
        request.places()  # refuses what this machine does not have
    for model in models:
        check_network(model)
    if recipe.init == "imagenet":
        from models.imagenet import imagenet_networks  # it brings torch

        imagenet_networks(models)  # refuses those without
    twice = [m for m in models if models.count(m) > 1] + [s for s in seeds if seeds.count(s) > 1]
    if twice:
        raise ValueError(f"{twice[0]} is named twice: name each model and seed once")
    if request.match or request.at:
        size = request.at or recipe.crop
        kept = request.out / slug(recipe.name) / "match.json"
        models = matched(request, recipe, size, kept, PlainConsole())
    return [
        Trial(recipe, model, seed, request.out, repeat, request=request.recipe)
        for seed in seeds
        for repeat in range(request.repeats)
        for model in models
    ]


def _check_tuning(recipe: Recipe, num_nodes: int) -> None:
    if num_nodes > 1:
        raise ValueError("--tune chooses by results that one machine keeps: leave --num-nodes out")
    if recipe.tuning is not None:
        raise ValueError(f"recipe {recipe.name} is tuned already: leave --tune out")
