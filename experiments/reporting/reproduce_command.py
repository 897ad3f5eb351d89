"""The command that makes the results of a comparison again."""

import shlex
from collections.abc import Sequence

from datamodules import dataset_info
from experiments.trials.recipe import RecipeRequest
from experiments.trials.result_types import TrialResult


def reproduce_command(results: Sequence[TrialResult]) -> str:
    """Built from how the recipe was asked for; of predictions from elsewhere, what scores them.

    A set of results shares one recipe, so that the request of any trial stands for all.
    """
    trials = [(result, result.request) for result in results if result.request is not None]
    root = ["--data-root", "FOLDER"] if dataset_info(results[0].data_name) else []
    if not trials:
        data, split = results[0].data_name, results[0].protocol.split
        parts = ["score", "PREDICTIONS", "--data", data, "--split", split, *root]
        return "python -m experiments." + shlex.join(parts)
    (_, request), *_ = trials
    parts = ["compare", *_recipe(request)]
    parts += ["--models", ",".join(dict.fromkeys(trial.model for trial, _ in trials))]
    parts += ["--seeds", ",".join(map(str, sorted({trial.seed for trial, _ in trials})))]
    parts += _runs([trial for trial, _ in trials])
    return "python -m experiments." + shlex.join([*parts, *root])


def _recipe(request: RecipeRequest) -> list[str]:
    parts = ["--recipe", request.recipe]
    for override in request.overrides:
        parts += ["--set", override]
    return parts + (["--data", request.data] if request.data is not None else [])


def _runs(trials: Sequence[TrialResult]) -> list[str]:
    """Options that make more of a network than one run a seed."""
    repeats = 1 + max(trial.repeat for trial in trials)
    parts = ["--repeats", str(repeats)] if repeats > 1 else []
    tuning = next((t.recipe.tuning for t in trials if t.recipe and t.recipe.tuning), None)
    return parts + (["--tune", str(tuning.num_trials)] if tuning else [])
