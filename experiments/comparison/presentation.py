"""What a comparison shows in the end."""

import argparse
import json
from dataclasses import replace
from typing import Any

from datamodules import open_data
from experiments.comparison import launcher, tuning
from experiments.trials.atomic_io import write_json
from experiments.trials.comparability import separate, titles
from experiments.trials.data_check import data_hash
from experiments.trials.recipe import Recipe
from experiments.trials.result_types import TrialResult
from experiments.trials.results import PRIOR, read_result, read_results
from experiments.trials.trial import State, Trial, slug
from experiments.trials.verification import stale_results


def scored(trial: Trial) -> list[TrialResult]:
    """Predictions from elsewhere that were scored into the comparison's folder."""
    folder = trial.out / slug(trial.recipe.name) / "scored"
    return read_results(folder) if folder.is_dir() else []


def show(
    trials: list[Trial],
    notes: list[str],
    args: argparse.Namespace,
    console: Any,
    data: str,
    mirrored: bool,
) -> None:
    """Tables on the terminal, report.html, and the comparison's own W&B run."""
    from experiments.reporting import html_report
    from experiments.reporting.image_panel import make_panel

    recipe = trials[0].recipe
    found = [read_result(trial.result_path) for trial in trials]
    results = [result for result in found if result is not None]
    sets = separate([*results, *scored(trials[0])]) or [[]]
    results = sets[0]
    stale = stale_results(results)
    prior = _prior(recipe, args, data) if any(result.done for result in results) else None
    _print_tables(sets, console, prior)
    if stale:
        console.print("* made by other code than is here now; --rerun stale does it again")
    for note in notes:
        console.print(note, markup=False)
    if prior is None:
        return
    console.print(f"position prior (no image needed): mIoU {100 * prior['miou']:.1f} %")
    page = args.out / slug(recipe.name) / "report.html"
    panel = make_panel(results, args.data_root)
    html_report.write_report(results, page, stale=stale, prior=prior, panel=panel)
    console.print(f"report: {page}", soft_wrap=True, highlight=False)
    if mirrored and args.wandb != "off":
        from experiments.comparison import wandb_comparison

        wandb_comparison.send_comparison(results, args.out, args.wandb, launcher.group_of(trials))


def _print_tables(
    sets: list[list[TrialResult]], console: Any, prior: dict[str, Any] | None
) -> None:
    """Each set's answer and tables, which a title tells apart where there are several."""
    from experiments.analysis.evidence import evidence
    from experiments.reporting.tables import tables

    apart = len(sets) > 1
    names = titles([[r.record for r in some] for some in sets]) if apart else [""]
    for name, some in zip(names, sets, strict=True):
        if apart:
            console.print(f"\n{name}", style="bold", markup=False)
        same = prior and any(r["hashes"]["data"] == prior["data"] for r in some)
        known = evidence(some, prior=prior["miou"] if prior and same else None)
        for part in tables(some, stale_results(some), known):
            console.print(part)
        console.print(f"{known.question}\n{known.answer}", markup=False)


def _prior(recipe: Recipe, args: argparse.Namespace, data: str) -> dict[str, Any]:
    """Scores of the most frequent training class at each position; kept for the next call."""
    from experiments.scoring.position_prior import position_prior

    path = args.out / slug(recipe.name) / PRIOR
    if path.is_file():
        kept: dict[str, Any] = json.loads(path.read_text())
        if kept["data"] == data:
            return kept
    splits = (recipe.train_split, recipe.test_split)
    train, test = (open_data(recipe.data, split, args.data_root) for split in splits)
    prior = {**position_prior(train, test).metrics(), "data": data}
    write_json(path, prior)
    return prior


def dry_run(trials: list[Trial], args: argparse.Namespace) -> int:
    """What would run, and what it would cost by one timed step of each network here."""
    from rich.console import Console

    from experiments.costs.training_estimate import estimate_training
    from experiments.reporting import tables

    recipe, console = trials[0].recipe, Console()
    data = data_hash(recipe, args.data_root)
    studies = tuning.studies_of(trials, args.tune) if args.tune else []
    tuned = {s.model: s.tuned() for s in studies}
    trials += [replace(trial, recipe=tuned[trial.model]) for trial in trials if studies]
    console.print("counting operations and timing one training step of each network ...")
    classes = open_data(recipe.data, recipe.train_split, args.data_root).labels.num_classes
    estimates = {m: estimate_training(m, recipe, classes) for m in {t.model: 0 for t in trials}}
    states = [(trial, trial.state(data)) for trial in trials]
    console.print(tables.plan_table([(t, s.value, estimates[t.model]) for t, s in states]))
    if studies:
        console.print(tuning.tuning_table(studies))
        short = [trial for s in studies for trial in s.candidates]
        data = data_hash(short[0].recipe, args.data_root)
        states += [(trial, trial.state(data)) for trial in short]
    left = sum(
        estimates[t.model].hours * t.recipe.steps / recipe.steps
        for t, s in states
        if s not in (State.DONE, State.STALE)
    )
    console.print(f"about {left / args.jobs:.2g} h of training left, {args.jobs} at a time")
    return 0
