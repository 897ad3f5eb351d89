"""The check of a recipe's data before anything runs, and the hash of what it found."""

from collections.abc import Sequence
from pathlib import Path

from datamodules import dataset_info
from datamodules.dataset import Progress
from datamodules.labels import DataError
from datamodules.validation.check import checked
from datamodules.validation.check_report import CheckReport
from experiments.trials.hashing import short_hash
from experiments.trials.recipe import Recipe
from experiments.trials.result_types import Data


def check_splits(
    data: str,
    root: Path | None,
    splits: Sequence[str],
    progress: Progress = lambda done, total: None,
) -> CheckReport:
    """What the check of some splits has found; made once and kept.

    Raises:
        DataError: the data set is not there, with where it was looked for and how to get it; or it
            is damaged.
    """
    report = checked(data, root, list(dict.fromkeys(splits)), progress=progress)
    if report.refused:
        raise DataError(
            f"{data} is refused for {len(report.errors)} errors, the first: {report.errors[0]}; "
            f"python -m experiments.data check {data} --data-root {root} shows them all"
        )
    return report


def check_data(
    recipe: Recipe, root: Path | None, progress: Progress = lambda done, total: None
) -> CheckReport:
    """What the check of the recipe's splits has found; made once and kept.

    Raises:
        DataError: the data set is not there, with where it was looked for and how to get it; or it
            is damaged; or a split has no labels.
        ValueError: the recipe weighs another number of classes than the data set has.
    """
    names = (recipe.train_split, recipe.val_split, recipe.test_split)
    known = dataset_info(recipe.data)
    nested = known.nested if known else frozenset()
    if any(recipe.test_split == s or (recipe.test_split, s) in nested for s in recipe.train_parts):
        raise ValueError(
            f"recipe {recipe.name} scores {recipe.test_split}, which its training split "
            f"{recipe.train_split} shows: name another with --set test_split= or train_split="
        )
    report = check_splits(recipe.data, root, names, progress)
    for name in names:
        if report.inspected and not any(report.splits[name].pixels):
            raise DataError(
                f"the split {name} of {recipe.data} has no label that is scored: "
                f"{_instead(recipe, name, report)}"
            )
    sizes = set(report.splits[recipe.train_split].sizes)
    if recipe.crop_on == "device" and len(sizes) > 1:
        raise ValueError(
            f"the training images of {recipe.data} have {len(sizes)} sizes, and crops on the "
            "device need one: --set crop_on=workers"
        )
    weights, classes = recipe.class_weights, len(report.classes)
    if isinstance(weights, tuple) and len(weights) != classes:
        raise ValueError(
            f"recipe {recipe.name} weighs {len(weights)} classes and {recipe.data} has {classes}: "
            "give a weight for each (--set class_weights=1,2,...) or --set class_weights=none"
        )
    return report


def _instead(recipe: Recipe, name: str, report: CheckReport) -> str:
    """What to do where a split has no labels."""
    if name == recipe.train_split:
        return "there is nothing to learn from it, so name another with --set train_split="
    if name != recipe.val_split and any(report.splits[recipe.val_split].pixels):
        return f"name another, as --set test_split={recipe.val_split}"
    parts = f"train_split={recipe.train_split}~rest --set "
    field = "val_split" if name == recipe.val_split else "test_split"
    parts += f"{field}={recipe.train_split}~held"
    if name == recipe.val_split == recipe.test_split:
        parts += f" --set test_split={recipe.train_split}~held"
    return f"hold groups of the training images out for it, with --set {parts}"


def data_hash(recipe: Recipe, root: Path | None) -> str:
    """Hash of the content of the training and the evaluation split.

    Raises:
        ValueError: as `check_data`.
    """
    return hash_of(recipe, check_data(recipe, root))


def hash_of(recipe: Recipe, report: CheckReport) -> str:
    """As `data_hash`, of what a check has found."""
    names = (recipe.train_split, recipe.test_split)
    return short_hash([report.splits[name].fingerprint for name in names])


def check_unchanged(recipe: Recipe, root: Path | None, before: str) -> None:
    """Look at all files once more, after a trial that began with `before` as its `data_hash`.

    Raises:
        DataError: they are others.
    """
    if data_hash(recipe, root) != before:
        raise DataError(
            "the files of the data set changed while the trial ran: leave them alone, and do it "
            "again with --rerun all"
        )


def scored_data(
    data: str,
    split: str,
    report: CheckReport,
    fingerprints: Sequence[str],
    warnings: Sequence[str] = (),
) -> Data:
    """What a result says of the split that it was scored on.

    Args:
        fingerprints: names of splits whose fingerprints it keeps.
    """
    known = dataset_info(data)
    return Data(
        name=data,
        split=split,
        num_images=report.splits[split].images,
        classes=tuple(report.classes),
        block=known.block if known else None,
        fingerprints={name: report.splits[name].fingerprint for name in fingerprints},
        warnings=tuple(warnings),
    )
