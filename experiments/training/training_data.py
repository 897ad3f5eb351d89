"""A recipe's splits as a trial reads them, and the batches that it may make of them."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from datamodules.dataset import Dataset
from datamodules.loading.cache import open_cached
from datamodules.loading.datamodule import SegmentationData
from datamodules.loading.samples import TrainData
from datamodules.loading.transforms import Augmentation
from datamodules.validation.check_report import CheckReport
from experiments.training.class_weights import ClassPixels
from experiments.trials.recipe import Recipe


class Splits(NamedTuple):
    """What a trial trains on, what its curve is of, and what is predicted and scored."""

    train: Dataset
    val: Dataset
    test: Dataset


def open_splits(recipe: Recipe, root: Path | None, report: CheckReport) -> Splits:
    """Training, validation and evaluation split of a recipe, decoded where they are.

    Args:
        report: of `trials.data_check`, of the files as they are.
    """
    return Splits(
        *(
            open_cached(recipe.data, name, root, report.splits[name].fingerprint)
            for name in (recipe.train_split, recipe.val_split, recipe.test_split)
        )
    )


def class_pixels(recipe: Recipe, train: Dataset, report: CheckReport) -> ClassPixels | None:
    """What the training split shows of each class, where class weights follow from it; else None.

    As the check has counted it; data that are made, not read, are counted here.
    """
    if not isinstance(recipe.class_weights, str):
        return None
    summary = report.splits[recipe.train_split]
    if report.inspected:
        return ClassPixels(np.array(summary.pixels), np.array(summary.shown))
    classes = train.labels.num_classes
    masks = (train.mask(index) for index in range(len(train.ids)))
    images = np.array([np.bincount(mask.ravel(), minlength=256)[:classes] for mask in masks])
    shown = np.where(images > 0, images.sum(1, keepdims=True), 0).sum(0)
    return ClassPixels(images.sum(0), shown)


def build_data(recipe: Recipe, seed: int, splits: Splits, workers: int) -> SegmentationData:
    """The stream of batches and the shards of both other splits.

    Args:
        workers: processes that read for each training process; speed only.
    """
    how = Augmentation(recipe.crop, recipe.scale, recipe.flip, recipe.photometric)
    return SegmentationData(
        TrainData(splits.train, seed=seed, augmentation=how),
        splits.val,
        splits.test,
        batch=recipe.batch,
        steps=recipe.steps,
        workers=workers,
        crop_on=recipe.crop_on,
    )


def check_batch(recipe: Recipe, num_images: int, ranks: int, smallest: int) -> None:
    """Refuse, before training, a batch that the data, these ranks or this network cannot take.

    Args:
        num_images: of the training split.
        smallest: images a pass that the network needs in training.

    Raises:
        ValueError: what came, what is needed, what to set.
    """
    if num_images < recipe.batch:
        raise ValueError(
            f"the training set has {num_images} images and a batch takes {recipe.batch}: "
            "use a smaller batch (--set batch=...) or more images"
        )
    if recipe.batch % ranks:
        raise ValueError(
            f"a global batch of {recipe.batch} does not divide over {ranks} processes: "
            f"set batch to a multiple of {ranks}, or devices to a divisor of {recipe.batch}"
        )
    share = recipe.batch // ranks
    micro = recipe.micro_batch or share
    if share % micro:
        raise ValueError(
            f"a process has {share} images a step, which micro_batch={micro} does not divide: "
            f"--set micro_batch= a divisor of {share}"
        )
    if micro < smallest:
        raise ValueError(
            f"this network trains on at least {smallest} images a pass (one of its batch norms, as "
            f"after an image pooling, sees one value an image), got {micro}: raise batch or "
            "micro_batch"
        )
