"""What a comparison would run, and what it would cost by one timed step of each network here."""

from dataclasses import replace

from rich.console import Console

from datamodules import open_data
from experiments.comparison.plan import plan
from experiments.comparison.request import ComparisonRequest
from experiments.comparison.tuning import studies_of, tuning_table
from experiments.reporting.plan_table import plan_table
from experiments.trials.data_check import data_hash
from experiments.trials.trial import Action, Trial, action


def print_plan(request: ComparisonRequest, console: Console) -> list[tuple[Trial, float]]:
    """Print every trial with its state and cost, and the hours that are left; run nothing.

    Returns:
        Each trial that is left, with its hours by one step timed here.

    Raises:
        ValueError: a request that is refused, or data that cannot be used.
    """
    from experiments.costs.training_estimate import estimate_training  # it brings torch

    trials = plan(request)
    recipe, root = trials[0].recipe, request.resources.data_root
    data = data_hash(recipe, root)
    studies = studies_of(trials, request.tune) if request.tune else []
    tuned = {study.model: study.tuned() for study in studies}
    planned = list(trials)
    planned += [replace(trial, recipe=tuned[trial.model]) for trial in trials if studies]
    console.print("counting operations and timing one training step of each network ...")
    classes = open_data(recipe.data, recipe.train_split, root).labels.num_classes
    models = dict.fromkeys(trial.model for trial in trials)
    estimates = {model: estimate_training(model, recipe, classes) for model in models}
    states = [(trial, trial.state(data)) for trial in planned]
    console.print(plan_table([(t, s.value, estimates[t.model]) for t, s in states]))
    if studies:
        console.print(tuning_table(studies))
        short = [trial for study in studies for trial in study.candidates]
        data = data_hash(short[0].recipe, root)
        states += [(trial, trial.state(data)) for trial in short]
    left = [
        (trial, estimates[trial.model].hours * trial.recipe.steps / recipe.steps)
        for trial, state in states
        if action(state, request.rerun) is not Action.KEEP
    ]
    if request.engine.local:
        places, hours = request.places(), sum(hours for _, hours in left)
        console.print(f"about {hours / places.at_a_time:.2g} h of training left, {places}")
    return left
