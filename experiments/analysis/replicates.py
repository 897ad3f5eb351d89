"""What several runs of one network tell: noise of repeats, spread of seeds, compute multipliers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean
from typing import Any, Literal, get_args

import numpy as np

from experiments.analysis.bootstrap import (
    Arrays,
    Block,
    Counts,
    Resampled,
    block_of,
    blocks,
    bootstrap,
    counts_of,
)
from experiments.analysis.compute_multiplier import ComputeMultiplier, compute_multiplier
from experiments.analysis.model_summary import first_runs
from experiments.analysis.variance import Components, Spread, noise_floor, variance_components
from experiments.trials.results import TrialResult

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
    runs: dict[tuple[str, int], list[float]] = {}
    for result in results:
        if result.done:
            runs.setdefault((result.label, result["seed"]), []).append(result["metrics"]["miou"])
    return noise_floor(list(runs.values()))


def differing(results: Sequence[TrialResult]) -> set[str]:
    """Fields of the recipe in which trained results differ, but its name and what was tuned.

    Raises:
        ValueError: other data or another protocol.
    """
    trained = _trained(results)
    for part in ("data", "protocol"):
        if len({result["hashes"][part] for result in trained}) > 1:
            raise ValueError(f"the results differ in {part}: what they give together says nothing")
    recipes = [_untuned(result["recipe"]) for result in trained]
    names = {name for recipe in recipes for name in recipe}
    return {n for n in names if any(r.get(n) != recipes[0].get(n) for r in recipes)}


def _trained(results: Sequence[TrialResult]) -> list[TrialResult]:
    """Finished, with a recipe: predictions from elsewhere have none."""
    return [result for result in results if result.done and result["hashes"]["recipe"] is not None]


def _untuned(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that all networks share, also where a search chose each network its own rate."""
    shared = {k: v for k, v in recipe.items() if k not in ("name", "tuned", "tuned_from")}
    if recipe.get("tuned") is not None:
        shared["lr"], shared["weight_decay"] = recipe["tuned_from"]
    return shared


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
    runs: dict[str, dict[tuple[int, int], float]] = {}
    for result in _trained(first_runs(results)):
        runs.setdefault(result.label, {})[seeds_of(result)] = result["metrics"]["miou"]
    return {model: variance_components(miou) for model, miou in runs.items()}


def seeds_of(result: TrialResult) -> tuple[int, int]:
    """Of the initialisation and of the data order; runs that share both repeat each other."""
    recipe, seed = result["recipe"], result["seed"]
    init, data = (recipe.get(field) for field in ("init_seed", "data_seed"))
    return seed if init is None else init, seed if data is None else data


def fixed_seeds(results: Sequence[TrialResult]) -> list[str]:
    """What the recipe gives to all seeds alike, as a sentence names it."""
    names = {"init_seed": "the initialisation", "data_seed": "the order of the data"}
    return [
        name
        for field, name in names.items()
        if any(result["recipe"].get(field) is not None for result in results)
    ]


def multipliers(
    results_by_budget: Mapping[int, Sequence[TrialResult]],
    unit: Unit = "gmacs",
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
    everything = [r for some in results_by_budget.values() for r in first_runs(some)]
    _need(everything, STEPS, "a multiplier")
    runs: dict[tuple[str, int], list[tuple[TrialResult, Arrays]]] = {}
    for steps, results in results_by_budget.items():
        for result in first_runs(results):
            arrays = counts_of(result)
            if arrays is not None and result.record.get("cost"):
                runs.setdefault((result.label, steps), []).append((result, arrays))
    if not runs:
        return []
    scores = _scores(runs, block, draws)
    costs = {
        key: fmean(training_cost(result, unit) for result, _ in some) for key, some in runs.items()
    }
    found = []
    for a, b in combinations(dict.fromkeys(model for model, _ in runs), 2):
        budgets = sorted(s for s in results_by_budget if (a, s) in runs and (b, s) in runs)
        if len(budgets) > 1:
            curves = [{costs[m, s]: scores[m, s] for s in budgets} for m in (a, b)]
            found.append(Multiplier(a, b, unit, tuple(budgets), compute_multiplier(*curves)))
    return found


def _scores(
    runs: Mapping[tuple[str, int], Sequence[tuple[TrialResult, Arrays]]],
    block: Block,
    draws: int,
) -> dict[tuple[str, int], Resampled]:
    """mIoU of every network and budget on the same draws."""
    result, first = next(iter(runs.values()))[0]
    groups = [str(group) for group in first["groups"]]
    length = block_of(result) if block == "auto" else block
    counts: dict[str, Counts] = {}
    for (model, steps), trials in runs.items():
        tp, fp, fn = (np.stack([arrays[n] for _, arrays in trials]) for n in ("tp", "fp", "fn"))
        counts[f"{model} at {steps} steps"] = tp, fp, fn
    drawn = bootstrap(counts, blocks(groups, length or len(groups)), draws)
    return dict(zip(runs, drawn.values(), strict=True))


def training_cost(result: TrialResult, unit: Unit) -> float:
    recipe, cost = result["recipe"], result["cost"]
    if unit == "seconds":
        return float(result["timing"]["train_seconds"])
    share = np.prod(recipe["crop"]) / np.prod(cost["size"])  # gmacs are of the size that is scored
    return float(recipe["steps"] * recipe["batch"] * cost["gmacs"] * share)


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
        budgets.setdefault(result["recipe"]["steps"], []).append(result)
    found = [multipliers(budgets, unit, block=block) for unit in get_args(Unit)]
    return Together({}, [one for some in found for one in some])
