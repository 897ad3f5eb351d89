"""The trials of the registered study: which there are, in their order, and what came of them."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from experiments.claims.quantities import BlockDraws
from experiments.claims.registration import (
    ADDED_CONTRASTS,
    ADDED_NETWORKS,
    AT_EQUAL_SECONDS,
    CLAIMS,
    LONGER,
    NETWORKS,
    RECIPE,
    REPEATED,
    SEEDS,
    Budget,
    Claim,
    Contrast,
    CountedQuantity,
    FrontClaim,
    IdentityClaim,
)
from experiments.costs.step_times import StepTimes
from experiments.trials.comparability import difference
from experiments.trials.overrides import load
from experiments.trials.recipe import Recipe, RecipeRequest
from experiments.trials.result_types import FailedTrial, FinishedTrial, TrialResult
from experiments.trials.results import (
    finished,
    per_image,
    read_prior,
    read_record,
    read_results,
)

STEP_TIMES = "step-times.json"  # of all registered networks, in a folder of results
AGAIN = "delete it, and python -m experiments.lecture --run measures it again"

AnyClaim = Claim | IdentityClaim | FrontClaim
MODELS = NETWORKS | ADDED_NETWORKS  # by registered name, at the budget `macs`


@dataclass(frozen=True)
class StudyTrial:
    """A network and a seed, under the study's recipe for `times` its steps."""

    model: str
    seed: int
    times: int = 1
    repeat: int = 0

    @property
    def request(self) -> RecipeRequest:
        return lab(self.times)


def lab(times: int = 1) -> RecipeRequest:
    """The study's recipe, for so many times its steps."""
    if times == 1:
        return RecipeRequest(RECIPE)
    return RecipeRequest(RECIPE, (f"steps={times * load(RecipeRequest(RECIPE)).steps}",))


def model_of(name: str, budget: Budget) -> str:
    """The network of a registered name at a budget.

    HRNetV2 is what the others take as many seconds as.
    """
    if budget == "macs" or name == "hrnetv2":
        return MODELS[name]
    return AT_EQUAL_SECONDS[name]


def names_of(claim: AnyClaim) -> list[tuple[str, Budget]]:
    """The networks that a claim trains, at which budgets."""
    if isinstance(claim, IdentityClaim):
        return []
    if isinstance(claim, FrontClaim):
        names = (claim.network, *claim.others)
        return [(name, budget) for budget in claim.budgets for name in names]
    contrasts = (*claim.primary, *secondary_of(claim))
    both = [(n, c.budget) for c in contrasts for n in (c.better, c.worse)]
    return list(dict.fromkeys(both))


def secondary_of(claim: Claim) -> tuple[Contrast, ...]:
    """The contrasts beside those that decide a claim, with what was added later."""
    return (*claim.secondary, *ADDED_CONTRASTS.get(claim.key, ()))


def registered(claims: Sequence[AnyClaim] = CLAIMS) -> list[StudyTrial]:
    """Every trial of these claims once, by seed, in the order in which they run.

    The check of the schedule's length and the repeated trial belong to all claims.
    """
    wanted: dict[int, list[StudyTrial]] = {}
    for budget in ("macs", "seconds"):
        for name in MODELS:
            for seed in _seeds(claims, name, budget):
                wanted.setdefault(seed, []).append(StudyTrial(model_of(name, budget), seed))
    networks, times = LONGER
    for seed in SEEDS:
        longer = [StudyTrial(NETWORKS[name], seed, times) for name in networks]
        wanted.setdefault(seed, []).extend(longer if claims == CLAIMS else [])
    if claims == CLAIMS:
        name, seed = REPEATED
        wanted[seed].append(StudyTrial(NETWORKS[name], seed, repeat=1))
    return list(dict.fromkeys(trial for seed in sorted(wanted) for trial in wanted[seed]))


def _seeds(claims: Sequence[AnyClaim], name: str, budget: Budget) -> list[int]:
    seeds = {
        seed
        for claim in claims
        if not isinstance(claim, IdentityClaim) and (name, budget) in names_of(claim)
        for seed in claim.seeds
    }
    return sorted(seeds)


@dataclass(frozen=True)
class Study:
    """What came of the registered trials; the others of its results are not of the study.

    Attributes:
        step_times: of the networks, by which their training is compared, as trials run beside each
            other and beside other work; None before they are measured.
        folders: of comparisons, which may hold a position prior though another has the trials.
    """

    trials: Mapping[StudyTrial, FinishedTrial | FailedTrial]
    step_times: StepTimes | None = None
    folders: tuple[Path, ...] = ()

    def results(self, model: str, times: int = 1) -> dict[int, FinishedTrial | FailedTrial]:
        """Of one network for so many times the recipe's steps, by seed."""
        return {t.seed: r for t, r in self.trials.items() if t == StudyTrial(model, t.seed, times)}

    def finished(self, model: str, times: int = 1) -> dict[int, FinishedTrial]:
        found = self.results(model, times).items()
        return {seed: result for seed, result in found if isinstance(result, FinishedTrial)}

    @cached_property
    def prior(self) -> float | None:
        """mIoU of the position prior, a fraction, where one of the folders has it."""
        results = list(self.trials.values())
        own = (result.path.parents[2] for result in results)
        for folder in dict.fromkeys([*own, *self.folders]):
            found = read_prior(folder, results)
            if found is not None:
                return found.metrics.miou
        return None

    @cached_property
    def _draws(self) -> BlockDraws | None:
        """Of the first finished trial, whose images all have."""
        for result in finished(self.trials.values()):
            counts = per_image(result)
            if counts is not None:
                return BlockDraws(counts, result.data.block)
        return None

    @cached_property
    def _values(self) -> dict[tuple[Path, CountedQuantity], np.ndarray]:
        return {}

    def draws(self) -> BlockDraws:
        """Raises: ValueError where no trial has counts of single images."""
        if self._draws is None:
            raise ValueError("no trial of the study has finished: give --run, or wait for one")
        return self._draws

    def values(self, result: FinishedTrial, quantity: CountedQuantity) -> np.ndarray:
        """(1 + draws,) of one trial.

        Raises:
            ValueError: a result without its counts.
        """
        key = result.path, quantity
        if key not in self._values:
            counts = per_image(result)
            if counts is None:
                raise ValueError(f"{result.path.parent} has no counts of single images")
            self._values[key] = self.draws().of(quantity, counts)
        return self._values[key]


def read_study(folders: Iterable[Path], claims: Sequence[AnyClaim] = CLAIMS) -> Study:
    """What lies of the registered trials in these folders.

    A finished trial counts before a failed one; of two runs of a trial that of the later folder,
    in which results are kept; of two copies of a run that of the earlier folder, where it ran.

    Raises:
        ValueError: a result that cannot be read, or trials of different data or protocols.
    """
    folders = [*folders]
    recipes = {_numbers(load(lab(times))): times for times in (1, LONGER[1])}
    wanted = set(registered(claims))
    found: dict[StudyTrial, FinishedTrial | FailedTrial] = {}
    for result in _results(folders):
        times = recipes.get(_numbers(result.recipe)) if result.recipe else None
        trial = StudyTrial(result.model, result.seed, times or 0, result.repeat)
        if trial in wanted and (trial not in found or _replaces(result, found[trial])):
            found[trial] = result
    _check_alike(found)
    steps = (read_record(folder / STEP_TIMES, StepTimes, AGAIN) for folder in folders)
    known = next((times for times in steps if times is not None), None)
    return Study(found, known, tuple(folder / load(lab()).name for folder in folders))


def _replaces(result: TrialResult, earlier: TrialResult) -> bool:
    if isinstance(result, FinishedTrial) and isinstance(earlier, FinishedTrial):
        return result.checkpoint != earlier.checkpoint
    return result.done


def _check_alike(trials: Mapping[StudyTrial, TrialResult]) -> None:
    firsts: dict[int, TrialResult] = {}  # longer schedules are other recipes
    for trial, result in trials.items():
        if not result.done:
            continue
        first = firsts.setdefault(trial.times, result)
        differs = difference(first, result)
        if differs is not None:
            raise ValueError(
                f"{result.path.parent} and {first.path.parent} differ in {differs}: the study "
                "compares trials of one data set and one protocol, so move one of them away"
            )


def _results(folders: Iterable[Path]) -> Iterator[FinishedTrial | FailedTrial]:
    for folder in folders:
        if folder.is_dir():
            yield from read_results(folder)


def _numbers(recipe: Recipe) -> str:
    """What tells recipes apart: all that can change a number, but the name."""
    return dataclasses.replace(recipe, name=RECIPE).hash()
