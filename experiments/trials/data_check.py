"""The check of a recipe's data before anything runs, and the hash of what it found."""

from pathlib import Path

from datamodules import dataset_info
from datamodules.dataset import Progress
from datamodules.labels import DataError
from datamodules.validation.check import checked
from datamodules.validation.check_report import CheckReport
from experiments.trials.hashing import short_hash
from experiments.trials.recipe import Recipe


def check_data(
    recipe: Recipe, root: Path | None, progress: Progress = lambda done, total: None
) -> CheckReport:
    """What the check of the recipe's splits has found; made once and kept.

    Raises:
        DataError: the data set is not there, with where it was looked for and how to get it; or it
            is damaged; or a split has no labels.
        ValueError: the recipe weighs another number of classes than the data set has.
    """
    names = dict.fromkeys((recipe.train_split, recipe.val_split, recipe.test_split))
    known = dataset_info(recipe.data)
    if recipe.train_split == recipe.test_split or (
        known and (recipe.test_split, recipe.train_split) in known.nested
    ):
        raise ValueError(
            f"recipe {recipe.name} scores {recipe.test_split}, which its training split "
            f"{recipe.train_split} shows: name another with --set test_split= or train_split="
        )
    outcome = checked(recipe.data, root, list(names), progress=progress)
    if outcome.refused:
        raise DataError(
            f"{recipe.data} is refused for {len(outcome.errors)} errors, the first: "
            f"{outcome.errors[0]}; "
            f"python -m experiments.data check {recipe.data} --data-root {root} shows them all"
        )
    for name in names:
        if outcome.inspected and not any(outcome.splits[name].pixels):
            raise DataError(
                f"the split {name} of {recipe.data} has no label that is scored: name another, as "
                "--set test_split=val"
            )
    sizes = set(outcome.splits[recipe.train_split].sizes)
    if recipe.crop_on == "device" and len(sizes) > 1:
        raise ValueError(
            f"the training images of {recipe.data} have {len(sizes)} sizes, and crops on the "
            "device need one: --set crop_on=workers"
        )
    weights, classes = recipe.class_weights, len(outcome.classes)
    if weights is not None and len(weights) != classes:
        raise ValueError(
            f"recipe {recipe.name} weighs {len(weights)} classes and {recipe.data} has {classes}: "
            "give a weight for each (--set class_weights=1,2,...) or --set class_weights=none"
        )
    return outcome


def data_hash(recipe: Recipe, root: Path | None) -> str:
    """Hash of the content of the training and the evaluation split.

    Raises:
        ValueError: as `check_data`.
    """
    splits = check_data(recipe, root).splits
    return short_hash([splits[s].fingerprint for s in (recipe.train_split, recipe.test_split)])
