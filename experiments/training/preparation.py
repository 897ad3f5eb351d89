"""Network, data and stream of a trial, before any step."""

from dataclasses import dataclass
from pathlib import Path

from datamodules.loading.datamodule import SegmentationData
from datamodules.validation.check_report import CheckReport
from experiments.training.checkpoints import last_checkpoint
from experiments.training.initialisation import build_module, initial_weights
from experiments.training.training_data import (
    Splits,
    build_data,
    check_batch,
    class_pixels,
    open_splits,
)
from experiments.trials.result_types import Initialisation, TrialIdentity
from experiments.trials.trial import Trial
from lightning_modules.segmentation import Segmentation


@dataclass(frozen=True)
class Prepared:
    """All that a trainer needs of a trial.

    Attributes:
        checkpoint: that it goes on from; None to start.
    """

    splits: Splits
    module: Segmentation
    data: SegmentationData
    init: Initialisation
    checkpoint: Path | None


def prepare(
    trial: Trial,
    identity: TrialIdentity,
    root: Path | None,
    report: CheckReport,
    *,
    ranks: int,
    workers: int,
) -> Prepared:
    """Network, data and stream of a trial.

    Args:
        report: of `trials.data_check`, of the files as they are.
        ranks: processes that train together.
        workers: processes that read for each of them; speed only.

    Raises:
        ValueError: weights that are not there, a batch that cannot be, or a checkpoint of another
            trial.
    """
    splits = open_splits(trial.recipe, root, report)
    last = last_checkpoint(trial.folder, identity)
    shown = class_pixels(trial.recipe, splits.train, report)
    module = build_module(trial, splits.train.labels.names, shown, resumed=last is not None)
    init = initial_weights(trial, module.model)
    smallest = int(getattr(module.model, "min_train_batch", 1))
    check_batch(trial.recipe, len(splits.train.ids), ranks, smallest)
    return Prepared(
        splits, module, build_data(trial.recipe, trial.data_seed, splits, workers), init, last
    )
