"""Tuning with one budget for every network: an equal recipe may suit one network better.

`compare --tune N` gives each the same N learning rates and weight decays, of which it keeps its
best by whole groups held out of the training set. Validation and test images are not read.
"""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.table import Table

from experiments.trials.folder_lock import BusyError
from experiments.trials.recipe import Recipe
from experiments.trials.result_types import (
    Candidate,
    FailedTrial,
    Failure,
    FinishedTrial,
    TuningStudy,
)
from experiments.trials.results import read_identity, read_result
from experiments.trials.trial import Rerun, Trial, slug
from experiments.trials.tuning_budget import TuningBudget

SPAN = 10.0  # from a tenth of the recipe's value to ten times it
PART = 4  # a candidate trains for a quarter of the recipe's steps
FOLDER = "tuning"


@dataclass(frozen=True)
class Study:
    """The candidates of one network; the recipe's own values are the first."""

    base: Recipe
    candidates: tuple[Trial, ...]

    @property
    def model(self) -> str:
        return self.candidates[0].model

    @property
    def budget(self) -> TuningBudget:
        return search(self.base, len(self.candidates), self.candidates[0].seed)

    def results(self) -> list[FinishedTrial | FailedTrial | None]:
        """In the order of the candidates, None where one has not run."""
        return [read_result(trial.result_path) for trial in self.candidates]

    def record(self) -> TuningStudy:
        """All candidates with their scores or why they have none, and which is chosen: that of the
        highest mIoU, the first of equals."""
        candidates = tuple(map(_candidate, self.candidates, self.results()))
        mious = [-1.0 if one.miou is None else one.miou for one in candidates]
        chosen = mious.index(max(mious)) if max(mious) >= 0 else None
        return TuningStudy(candidates=candidates, chosen=chosen)

    def tuned(self) -> Recipe:
        """The whole recipe with the chosen values; with its own where no candidate has finished."""
        own = self.candidates[self.record().chosen or 0].recipe
        return dataclasses.replace(
            self.base, lr=own.lr, weight_decay=own.weight_decay, tuning=self.budget
        )

    def failure(self) -> Failure | None:
        """Why no candidate has finished, or None where one has."""
        record = self.record()
        failures = [one.failure for one in record.candidates if one.failure]
        if record.chosen is not None or not failures:
            return None
        first = failures[0]
        kinds = {failure.kind for failure in failures}
        what = f"none of the {len(failures)} candidates finished"
        if kinds == {"diverged"}:
            what = "did not train under this search space"
        kind = first.kind if len(kinds) == 1 else "other"
        return Failure(kind=kind, reason=f"{what}, the first: {first.reason}")


def _candidate(trial: Trial, result: FinishedTrial | FailedTrial | None) -> Candidate:
    return Candidate(
        lr=trial.recipe.lr,
        weight_decay=trial.recipe.weight_decay,
        miou=result.metrics.miou if isinstance(result, FinishedTrial) else None,
        failure=result.failure if isinstance(result, FailedTrial) else None,
    )


def study(first: Trial, count: int) -> Study:
    """Candidates for the network of a trial, with its seed.

    Their values come from the recipe and a low-discrepancy sequence (Halton's, unscrambled: the
    same for every network, and the first of a larger budget are a smaller one's).
    """
    from scipy.stats import qmc  # half a second, which only tuning takes

    recipe, budget = first.recipe, search(first.recipe, count, first.seed)
    points = qmc.Halton(2, scramble=False).fast_forward(2).random(count - 1)
    values = [(recipe.lr, recipe.weight_decay)]
    values += [(_at(recipe.lr, x), _at(recipe.weight_decay, y)) for x, y in points]
    trials = []
    for number, (lr, decay) in enumerate(values):
        candidate = dataclasses.replace(
            recipe,
            name=f"candidate{number}",
            lr=lr,
            weight_decay=decay,
            steps=budget.steps,
            val_every=budget.steps,
            train_split=budget.train_split,
            val_split=budget.select_split,
            test_split=budget.select_split,
        )
        out, mark = first.out / FOLDER / slug(recipe.name), f"candidate {number}"
        trials.append(
            Trial(candidate, first.model, first.seed, out, mark=mark, request=first.request)
        )
    return Study(recipe, tuple(trials))


def search(recipe: Recipe, count: int, seed: int) -> TuningBudget:
    """Space, budget and rule; networks that were tuned by the same may be compared."""
    return TuningBudget(
        num_trials=count,
        seed=seed,
        lr=recipe.lr,
        weight_decay=recipe.weight_decay,
        span=SPAN,
        steps=max(1, recipe.steps // PART),
        train_split=f"{recipe.train_split}~rest",
        select_split=f"{recipe.train_split}~held",
    )


def tune(
    trials: Sequence[Trial],
    count: int,
    run: Callable[[list[Trial]], object],
    console: Console,
    rerun: Rerun = "failed",
) -> dict[Trial, Failure | None]:
    """The trials once more, with what each network's candidates show to be best for it.

    To each belongs the reason why it cannot be trained, where no candidate has finished.

    Args:
        count: candidates a network, all with the first trial's seed.
        run: runs those that have not finished.
        rerun: as of `Trial.prepare`.

    Raises:
        BusyError: another process runs a candidate.
        ValueError: another search has tuned what is there.
    """
    studies = {s.model: s for s in studies_of(trials, count)}
    if rerun == "failed":
        for trial in trials:
            _check_search(dataclasses.replace(trial, recipe=studies[trial.model].tuned()))
    run([trial for s in studies.values() for trial in s.candidates])
    for s in studies.values():
        for trial, result in zip(s.candidates, s.results(), strict=True):
            if result is None:
                raise BusyError(f"{trial.name} is held by another process")
    console.print(tuning_table([*studies.values()]))
    found = {}
    for trial in trials:
        s = studies[trial.model]
        tuned = dataclasses.replace(trial, recipe=s.tuned(), chosen_from=s.record())
        found[tuned] = s.failure()
    return found


def _check_search(trial: Trial) -> None:
    """Refuse a tuned trial whose folder holds one of another search, before any candidate runs."""
    result = read_result(trial.result_path)
    if isinstance(result, FailedTrial):
        return  # what failed is in nobody's way
    kept = result or read_identity(trial.folder)
    ours, theirs = trial.recipe.tuning, kept.recipe.tuning if kept and kept.recipe else None
    if ours and theirs and theirs != ours:
        raise ValueError(
            f"{trial.folder} holds a trial of another search ({theirs.difference(ours)}): "
            "do it again with --rerun stale, or keep it and name another --out"
        )


def studies_of(trials: Sequence[Trial], count: int) -> list[Study]:
    """One for each network of some trials, with the seed of the first."""
    models = dict.fromkeys(trial.model for trial in trials)
    return [study(dataclasses.replace(trials[0], model=model), count) for model in models]


def tuning_table(studies: Sequence[Study]) -> Table:
    """A row a candidate, the chosen one marked."""
    recipe = studies[0].candidates[0].recipe
    shown = Table(
        title=f"Tuning: mIoU on {recipe.val_split}",
        box=box.SIMPLE,
        pad_edge=False,
        caption=f"{recipe.steps} steps each on {recipe.train_split}; > chosen: the highest, the "
        "first of equals",
    )
    shown.add_column("model", overflow="fold")
    for name in ("lr", "weight decay", "mIoU %"):
        shown.add_column(name, justify="right", no_wrap=True)
    for s in studies:
        record = s.record()
        for number, one in enumerate(record.candidates):
            miou = "failed" if one.failure else "-"
            if one.miou is not None:
                miou = f"{'> ' if number == record.chosen else ''}{100 * one.miou:.2f}"
            row = (f"{one.lr:g}", f"{one.weight_decay:g}", miou)
            shown.add_row("" if number else s.model, *row)
    return shown


def _at(value: float, point: float) -> float:
    """A value on the logarithmic scale around the recipe's, to the three digits that are shown."""
    return float(f"{value * SPAN ** (2 * point - 1):.3g}")
