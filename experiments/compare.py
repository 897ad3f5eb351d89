"""The main command: runs the trials of a comparison and shows what came of them."""

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from datamodules import open_data
from datamodules.cache import open_fast
from experiments import launch, tune
from experiments.comparable import titles
from experiments.plan import listing, parser, plan
from experiments.recipes import Recipe
from experiments.store import (
    PRIOR,
    Result,
    check_comparable,
    read_result,
    read_results,
    separate,
    write_json,
)
from experiments.trial import (
    BusyError,
    State,
    Trial,
    check_data,
    data_hash,
    leads,
    slug,
    stale_results,
)


def main(argv: list[str] | None = None) -> int:
    """0 when every trial has a result, 1 when one failed, 2 for a wrong request, 130 if stopped."""
    args = parser().parse_args(argv)
    if args.list:
        print(listing())
        return 0
    try:
        trials = plan(args)
        if args.dry_run:
            return _dry_run(trials, args)
        return _compare(trials, args)
    except (ValueError, BusyError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstopped; nothing is lost: the same command goes on from here", file=sys.stderr)
        return 130


def _compare(trials: list[Trial], args: argparse.Namespace) -> int:
    from rich.console import Console

    console = Console(highlight=False)
    _check_data(trials[0].recipe, args.data_root, console)
    data = data_hash(trials[0].recipe, args.data_root)
    _check_scored(trials[0], data, args)
    untrained: dict[Trial, str] = {}
    if args.tune:
        tuned = tune.tune(
            trials, args.tune, lambda some: launch.run(some, args, console), console, args.rerun
        )
        untrained = {trial: reason for trial, reason in tuned.items() if reason is not None}
        trials = [one for pair in zip(trials, tuned, strict=True) for one in pair]
    for trial, reason in untrained.items():
        launch.fail(trial, data, reason, args.rerun)
    cells = launch.run([trial for trial in trials if trial not in untrained], args, console)
    notes = [f"{trial.name} failed: {reason}" for trial, reason in untrained.items()]
    notes += [
        f"{cell.trial.name} {cell.state}: {cell.note}" for cell in cells if cell.state != "done"
    ]
    if leads():
        _show(trials, notes, args, console, data, mirrored=bool(cells))
    return int(bool(notes))


def _check_data(recipe: Recipe, root: Path | None, console: Any) -> None:
    """Read the data set once, if it has not been read as it is now, and say what to know of it."""
    from experiments.data import shown_progress

    with shown_progress("images") as progress:
        found = check_data(recipe, root, progress)
    for name, split in found.splits.items():
        open_fast(recipe.data, name, root, split.fingerprint)  # a stale copy is refused here
    if leads():
        for finding in found.findings:
            console.print(f"data: {finding}", style="yellow", markup=False)


def _check_scored(trial: Trial, data: str, args: argparse.Namespace) -> None:
    """Refuse predictions from elsewhere that no table can show with the trials, before these run.

    Raises:
        ValueError: as `check_comparable`.
    """
    if not args.allow_mixed:
        recipe = trial.recipe
        splits = check_data(recipe, args.data_root).splits
        prints = {name: split.fingerprint for name, split in splits.items()}
        about = {"name": recipe.data, "split": recipe.test_split, "fingerprints": prints}
        ours = {**trial.identity(data), "status": "done", "data": about}
        check_comparable([Result(trial.result_path, ours), *_scored(trial)])


def _scored(trial: Trial) -> list[Result]:
    """Predictions from elsewhere that were scored into the comparison's folder."""
    folder = trial.out / slug(trial.recipe.name) / "scored"
    return read_results(folder) if folder.is_dir() else []


def _show(
    trials: list[Trial],
    notes: list[str],
    args: argparse.Namespace,
    console: Any,
    data: str,
    mirrored: bool,
) -> None:
    """Tables on the terminal, report.html, and the comparison's own W&B run."""
    from experiments import report
    from experiments.panel import make_panel

    recipe = trials[0].recipe
    found = [read_result(trial.result_path) for trial in trials]
    results = [result for result in found if result is not None]
    sets = separate([*results, *_scored(trials[0])]) or [[]]
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
    report.write_report(results, page, stale=stale, prior=prior, panel=panel)
    console.print(f"report: {page}", soft_wrap=True, highlight=False)
    if mirrored and args.wandb != "off":
        from experiments import mirror

        mirror.comparison(results, args.out, args.wandb, launch.group_of(trials))


def _print_tables(sets: list[list[Result]], console: Any, prior: dict[str, Any] | None) -> None:
    """Each set's answer and tables, which a title tells apart where there are several."""
    from experiments import table
    from experiments.evidence import evidence

    apart = len(sets) > 1
    names = titles([[r.record for r in some] for some in sets]) if apart else [""]
    for name, some in zip(names, sets, strict=True):
        if apart:
            console.print(f"\n{name}", style="bold", markup=False)
        same = prior and any(r["hashes"]["data"] == prior["data"] for r in some)
        known = evidence(some, prior=prior["miou"] if prior and same else None)
        for part in table.tables(some, stale_results(some), known):
            console.print(part)
        console.print(f"{known.question}\n{known.answer}", markup=False)


def _prior(recipe: Recipe, args: argparse.Namespace, data: str) -> dict[str, Any]:
    """Scores of the most frequent training class at each position; kept for the next call."""
    from experiments.score import position_prior

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


def _dry_run(trials: list[Trial], args: argparse.Namespace) -> int:
    """What would run, and what it would cost by one timed step of each network here."""
    from rich.console import Console

    from experiments import cost, table

    recipe, console = trials[0].recipe, Console()
    data = data_hash(recipe, args.data_root)
    studies = tune.studies_of(trials, args.tune) if args.tune else []
    tuned = {s.model: s.tuned() for s in studies}
    trials += [replace(trial, recipe=tuned[trial.model]) for trial in trials if studies]
    console.print("counting operations and timing one training step of each network ...")
    classes = open_data(recipe.data, recipe.train_split, args.data_root).labels.num_classes
    estimates = {m: cost.estimate(m, recipe, classes) for m in {t.model: 0 for t in trials}}
    states = [(trial, trial.state(data)) for trial in trials]
    console.print(table.plan_table([(t, s.value, estimates[t.model]) for t, s in states]))
    if studies:
        console.print(tune.table(studies))
        short = [trial for s in studies for trial in s.candidates]
        data = data_hash(short[0].recipe, args.data_root)
        states += [(trial, trial.state(data)) for trial in short]
    left = sum(
        estimates[t.model]["train_hours"] * t.recipe.steps / recipe.steps
        for t, s in states
        if s not in (State.DONE, State.STALE)
    )
    console.print(f"about {left / args.jobs:.2g} h of training left, {args.jobs} at a time")
    return 0


if __name__ == "__main__":
    sys.exit(main())
