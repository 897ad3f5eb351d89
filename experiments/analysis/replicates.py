"""What several runs of one network tell: noise of repeats, spread of seeds, compute multipliers."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean
from typing import Literal, get_args

from experiments.analysis.bootstrap import Block, BlockBootstrap, Resampled
from experiments.analysis.compute_multiplier import ComputeMultiplier, compute_multiplier
from experiments.analysis.variance import Components, Spread, noise_floor, variance_components
from experiments.trials.recipe import Recipe
from experiments.trials.result_types import FinishedTrial, TrialResult
from experiments.trials.results import Arrays, finished, first_runs, per_image

SEEDS = frozenset({"init_seed", "data_seed"})  # fields of a recipe that a variance is about
STEPS = frozenset({"steps"})  # and those that a multiplier is about
Unit = Literal["gmacs", "seconds"]


@dataclass(frozen=True)
class Multiplier:
    """How many times the training cost of b the network a needs for the same mIoU.

    `budgets` are the steps at which both were trained; costs in `unit` are those of training.
    """

    a: str
    b: str
    unit: Unit
    budgets: tuple[int, ...]
    found: ComputeMultiplier


def floor(results: Sequence[TrialResult]) -> Spread:
    """SD of mIoU, a fraction, between runs of one network and one seed, pooled over all of them."""
    mious: dict[tuple[str, int], list[float]] = {}
    for result in finished(results):
        mious.setdefault((result.label, result.seed), []).append(result.miou)
    return noise_floor(list(mious.values()))


def differing(results: Sequence[TrialResult]) -> set[str]:
    """Fields of the recipe in which trained results differ, but its name and what was tuned.

    Raises:
        ValueError: other data or another protocol.
    """
    trained = _trained(results)
    for part in ("data", "protocol"):
        if len({getattr(result.hashes, part) for result in trained}) > 1:
            raise ValueError(f"the results differ in {part}: what they give together says nothing")
    recipes = [dataclasses.asdict(recipe.untuned()) for recipe in map(_recipe, trained)]
    names = {field.name for field in dataclasses.fields(Recipe)} - {"name"}
    return {n for n in names if any(recipe[n] != recipes[0][n] for recipe in recipes)}


def _trained(results: Sequence[TrialResult]) -> list[FinishedTrial]:
    """Finished, with a recipe: predictions from elsewhere have none."""
    return [result for result in finished(results) if result.recipe is not None]


def _recipe(result: TrialResult) -> Recipe:
    assert result.recipe is not None  # that of a trained result
    return result.recipe


def _need(results: Sequence[TrialResult], allowed: frozenset[str], what: str) -> None:
    others = differing(results) - allowed
    if others:
        raise ValueError(
            f"the results differ in {', '.join(sorted(others))}: {what} needs runs that differ in "
            f"{' or '.join(sorted(allowed))} alone"
        )


def variance(results: Sequence[TrialResult]) -> dict[str, Components]:
    """Spread of each network's runs, by initialisation and by data order; SD as fractions.

    Args:
        results: of one recipe, or of several that differ in `init_seed` and `data_seed` alone.

    Raises:
        ValueError: recipes that differ in more, other data or another protocol.
    """
    _need(results, SEEDS, "a variance")
    mious: dict[str, dict[tuple[int, int], float]] = {}
    for result in _trained(first_runs(results)):
        mious.setdefault(result.label, {})[result.seeds] = result.miou
    return {model: variance_components(by_seeds) for model, by_seeds in mious.items()}


Runs = dict[tuple[str, int], list[tuple[FinishedTrial, Arrays]]]  # by model and steps


def multipliers(
    results_by_budget: Mapping[int, Sequence[TrialResult]],
    units: Sequence[Unit] = get_args(Unit),
    *,
    block: Block = "auto",
    draws: int = 10_000,
) -> list[Multiplier]:
    """Every pair of networks that were trained with the same two or more numbers of steps.

    Costs are those of training: steps times batch times the GMACs of a forward pass at the crop
    (the backward pass takes twice as many of every network), or the seconds that it took.

    Args:
        results_by_budget: results of one comparison for each number of steps.

    Raises:
        ValueError: recipes that differ in more than the steps, other data or another protocol.
    """
    everything = [run for results in results_by_budget.values() for run in first_runs(results)]
    _need(everything, STEPS, "a multiplier")
    runs = _runs(results_by_budget)
    if not runs:
        return []
    scores = _scores(runs, block, draws)
    return [each for unit in units for each in _multipliers(runs, scores, unit)]


def _runs(results_by_budget: Mapping[int, Sequence[TrialResult]]) -> Runs:
    """Trials with a cost and with counts of single images."""
    runs: Runs = {}
    for steps, results in results_by_budget.items():
        for result in _trained(first_runs(results)):
            arrays = per_image(result)
            if arrays is not None and result.cost is not None:
                runs.setdefault((result.label, steps), []).append((result, arrays))
    return runs


def _scores(runs: Runs, block: Block, draws: int) -> dict[tuple[str, int], Resampled]:
    """mIoU of every network and budget on the same draws."""
    result, arrays = next(iter(runs.values()))[0]
    length = result.data.block if block == "auto" else block
    bootstrap = BlockBootstrap(arrays, length, draws)
    return {
        key: bootstrap.model({result.seed: arrays for result, arrays in trials}).miou
        for key, trials in runs.items()
    }


def _multipliers(
    runs: Runs, scores: Mapping[tuple[str, int], Resampled], unit: Unit
) -> list[Multiplier]:
    """Of every pair, in one unit."""
    costs = {
        key: fmean(training_cost(result, unit) for result, _ in trials)
        for key, trials in runs.items()
    }
    pairs = []
    for a, b in combinations(dict.fromkeys(model for model, _ in runs), 2):
        budgets = sorted({s for _, s in runs if (a, s) in runs and (b, s) in runs})
        if len(budgets) > 1:
            curves = [{costs[m, s]: scores[m, s] for s in budgets} for m in (a, b)]
            pairs.append(Multiplier(a, b, unit, tuple(budgets), compute_multiplier(*curves)))
    return pairs


def training_cost(result: FinishedTrial, unit: Unit) -> float:
    """Of a trained network that was measured, over all its steps.

    Returns:
        Seconds, or GMACs of all forward passes at the crop.
    """
    recipe = _recipe(result)
    assert result.cost is not None and result.timing is not None
    if unit == "seconds":
        return result.timing.train_seconds
    # gmacs are of the size that is scored
    share = math.prod(recipe.crop) / math.prod(result.cost.size)
    return recipe.steps * recipe.batch * result.cost.gmacs * share


@dataclass(frozen=True)
class Together:
    """What several comparisons give that none gives alone; empty where they give nothing.

    `reason` says why recipes that differ cannot be put together.
    """

    variance: Mapping[str, Components]
    multipliers: Sequence[Multiplier]
    reason: str | None = None


def together(comparisons: Sequence[Sequence[TrialResult]], block: Block = "auto") -> Together:
    """Variance components of recipes that differ in seeds, multipliers of those in steps."""
    everything = [result for results in comparisons for result in results]
    try:
        fields = differing(everything)
    except ValueError as error:
        return Together({}, [], str(error))
    if not fields:
        return Together({}, [])
    if fields <= SEEDS:
        return Together(variance(everything), [])
    if fields != STEPS:
        return Together({}, [], f"the recipes differ in {', '.join(sorted(fields))}")
    budgets: dict[int, list[TrialResult]] = {}
    for result in _trained(everything):
        budgets.setdefault(_recipe(result).steps, []).append(result)
    return Together({}, multipliers(budgets, block=block))
