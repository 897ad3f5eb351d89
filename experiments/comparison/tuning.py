"""Tuning with one budget for every network: an equal recipe may suit one network better.

`compare --tune N` gives each the same N learning rates and weight decays, of which it keeps its
best by whole groups held out of the training set. Validation and test images are not read.
"""

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from experiments.trials.comparability import search_difference
from experiments.trials.recipe import Recipe
from experiments.trials.results import DID_NOT_TRAIN, TrialResult, read_result
from experiments.trials.trial import BusyError, Trial, slug

SPAN = 10.0  # from a tenth of the recipe's value to ten times it
PART = 4  # a candidate trains for a quarter of the recipe's steps
FOLDER = "tuning"


@dataclass(frozen=True)
class Study:
    """The candidates of one network; the recipe's own values are the first."""

    base: Recipe
    candidates: list[Trial]

    @property
    def model(self) -> str:
        return self.candidates[0].model

    def results(self) -> list[TrialResult | None]:
        """In the order of the candidates, None where one has not run."""
        return [read_result(trial.result_path) for trial in self.candidates]

    def best(self) -> int | None:
        """The candidate of the highest mIoU, the first of equals; None where none has one."""
        mious = [r["metrics"]["miou"] if r and r.done else -1.0 for r in self.results()]
        return mious.index(max(mious)) if max(mious) >= 0 else None

    def tuned(self) -> Recipe:
        """The whole recipe with the chosen values; with its own where no candidate has finished."""
        own = self.candidates[self.best() or 0].recipe
        return dataclasses.replace(
            self.base,
            lr=own.lr,
            weight_decay=own.weight_decay,
            tuned=search(self.base, len(self.candidates), self.candidates[0].seed),
            tuned_from=(self.base.lr, self.base.weight_decay),
        )

    def failure(self) -> str | None:
        """Why no candidate has finished, or None where one has."""
        if self.best() is not None:
            return None
        reasons = [str(result["reason"]) for result in self.results() if result]
        what = f"none of the {len(reasons)} candidates finished"
        if all(reason.startswith(DID_NOT_TRAIN) for reason in reasons):
            what = f"{DID_NOT_TRAIN} this search space"
        return f"{what}, the first: {reasons[0]}"

    def record(self) -> dict[str, Any]:
        """All candidates with their scores or why they have none, and which is chosen."""
        rows = [
            {
                "lr": trial.recipe.lr,
                "weight_decay": trial.recipe.weight_decay,
                "miou": result["metrics"]["miou"] if result and result.done else None,
                "reason": result["reason"] if result else None,
            }
            for trial, result in zip(self.candidates, self.results(), strict=True)
        ]
        return {"search": self.tuned().tuned, "candidates": rows, "chosen": self.best()}


def study(recipe: Recipe, model: str, seed: int, count: int, out: Path) -> Study:
    """Candidates of a network: values from the recipe and a low-discrepancy sequence (Halton's,
    unscrambled: the same for every network, and the first of a larger budget are a smaller one's).
    """
    from scipy.stats import qmc

    points = qmc.Halton(2, scramble=False).fast_forward(2).random(count - 1)
    values = [(recipe.lr, recipe.weight_decay)]
    values += [(_at(recipe.lr, x), _at(recipe.weight_decay, y)) for x, y in points]
    rest, held = _parts(recipe)
    steps = _steps(recipe)
    trials = []
    for number, (lr, decay) in enumerate(values):
        candidate = dataclasses.replace(
            recipe,
            name=f"candidate{number}",
            lr=lr,
            weight_decay=decay,
            steps=steps,
            val_every=steps,
            train_split=rest,
            val_split=held,
            test_split=held,
        )
        folder = out / FOLDER / slug(recipe.name)
        trials.append(Trial(candidate, model, seed, folder, mark=f"candidate {number}"))
    return Study(recipe, trials)


def search(recipe: Recipe, count: int, seed: int) -> str:
    """Space, budget and rule in words; networks that were tuned by the same may be compared."""
    ranges = [
        f"{name} {value / SPAN:.3g} to {value * SPAN:.3g}"
        for name, value in (("lr", recipe.lr), ("weight_decay", recipe.weight_decay))
    ]
    rest, held = _parts(recipe)
    return (
        f"{count} trials with seed {seed}; {' and '.join(ranges)}, log-uniform by a Halton "
        f"sequence, the recipe's own first; {_steps(recipe)} steps each on {rest}; "
        f"highest mIoU on {held}"
    )


def tune(
    trials: list[Trial],
    count: int,
    run: Callable[[list[Trial]], object],
    console: Console,
    rerun: str = "failed",
) -> dict[Trial, str | None]:
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
    result, started = read_result(trial.result_path), trial.folder / "trial.json"
    if result is not None:
        record = result.record if result.done else None  # what failed is in nobody's way
    else:
        record = json.loads(started.read_text()) if started.is_file() else None
    ours, there = trial.recipe.tuned, record and record["recipe"].get("tuned")
    if ours and there and there != ours:
        raise ValueError(
            f"{trial.folder} holds a trial of another search ({search_difference(there, ours)}): "
            "do it again with --rerun stale, or keep it and name another --out"
        )


def studies_of(trials: list[Trial], count: int) -> list[Study]:
    """One for each network of some trials."""
    first = trials[0]
    models = dict.fromkeys(trial.model for trial in trials)
    return [study(first.recipe, model, first.seed, count, first.out) for model in models]


def tuning_table(studies: list[Study]) -> Table:
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
        for number, row in enumerate(record["candidates"]):
            miou = "failed" if row["reason"] else "-"
            if row["miou"] is not None:
                miou = f"{'> ' if number == record['chosen'] else ''}{100 * row['miou']:.2f}"
            cells = (f"{row['lr']:g}", f"{row['weight_decay']:g}", miou)
            shown.add_row("" if number else s.model, *cells)
    return shown


def _at(value: float, point: float) -> float:
    """A value on the logarithmic scale around the recipe's, to the three digits that are shown."""
    return float(f"{value * SPAN ** (2 * point - 1):.3g}")


def _parts(recipe: Recipe) -> tuple[str, str]:
    return f"{recipe.train_split}~rest", f"{recipe.train_split}~held"


def _steps(recipe: Recipe) -> int:
    return max(1, recipe.steps // PART)
