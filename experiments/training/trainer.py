"""From a trial to predictions on disk: what a trial's numbers come from, with what it imports."""

import json
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger
from lightning.pytorch.plugins.layer_sync import LayerSync
from lightning.pytorch.strategies import DDPStrategy
from PIL import Image
from timm.layers.norm_act import convert_sync_batchnorm
from torch import Tensor, nn

from datamodules.dataset import Dataset
from datamodules.loading.cache import open_cached
from datamodules.loading.datamodule import Batch, SegmentationData, TrainData
from datamodules.loading.transforms import Augmentation
from datamodules.validation.check import checked
from experiments.training.checkpoints import Checkpoints, last_checkpoint
from experiments.trials.atomic_io import write_json
from experiments.trials.recipe import Recipe
from experiments.trials.trial import Trial
from lightning_modules.segmentation import Segmentation
from models import build_model
from models.imagenet import load_imagenet
from models.weights import Report


def open_splits(recipe: Recipe, root: Path | None) -> tuple[Dataset, Dataset, Dataset]:
    """Training, validation and evaluation split of a recipe, decoded where they are."""
    names = (recipe.train_split, recipe.val_split, recipe.test_split)
    found = checked(recipe.data, root, list(dict.fromkeys(names))).splits
    train, val, test = (
        open_cached(recipe.data, name, root, found[name].fingerprint) for name in names
    )
    return train, val, test


def build_module(trial: Trial, data: Dataset) -> Segmentation:
    """The trial's network, ready for training; at its initial weights, unless there is a checkpoint
    that has what they became.

    Raises:
        ValueError: the recipe asks for ImageNet weights, of which there are none, here or at all.
    """
    recipe = trial.recipe
    torch.manual_seed(trial.init_seed)
    model: nn.Module = build_model(trial.model, data.labels.num_classes)
    if recipe.init == "imagenet" and last_checkpoint(trial.folder) is None:
        # Over random weights, so that the head's are those of the seed.
        load_imagenet(model, trial.model)
    return Segmentation(
        model,
        data.labels.names,
        lr=recipe.lr,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
        power=recipe.power,
        steps=recipe.steps,
        seed=trial.data_seed,
        bn_momentum=recipe.bn_momentum,
        micro_batch=recipe.micro_batch,
        class_weights=recipe.class_weights,
    )


def initial_weights(trial: Trial, model: nn.Module) -> dict[str, str | None]:
    """What a result says of them: kind, and of a file its name, hash, licence and load report.

    Of a trial that goes on, what it said at its start, which it keeps beside its checkpoints.
    """
    path, report = trial.folder / "init.json", getattr(model, "load_report", None)
    if not isinstance(report, Report):
        kept: dict[str, str | None] = {"source": None, "sha256": None, "licence": None}
        if trial.recipe.init != "random" and path.is_file():
            kept = json.loads(path.read_text())
        return {"kind": trial.recipe.init, **kept}
    said = {"source": report.source, "sha256": report.sha256, "licence": report.licence}
    write_json(path, {**said, "report": str(report)})
    return {"kind": trial.recipe.init, **said, "report": str(report)}


def build_data(trial: Trial, splits: Sequence[Dataset], workers: int) -> SegmentationData:
    recipe = trial.recipe
    train, val, test = splits
    how = Augmentation(recipe.crop, recipe.scale, recipe.flip, recipe.photometric)
    return SegmentationData(
        TrainData(train, seed=trial.data_seed, augmentation=how),
        val,
        test,
        batch=recipe.batch,
        steps=recipe.steps,
        workers=workers,
        on_device=recipe.crop_on == "device",
    )


def check_batch(recipe: Recipe, model: nn.Module, size: int, ranks: int) -> None:
    """Refuse, before training, a batch that the data, these ranks or this network cannot take.

    Args:
        size: number of training images.

    Raises:
        ValueError: what came, what is needed, what to set.
    """
    if size < recipe.batch:
        raise ValueError(
            f"the training set has {size} images and a batch takes {recipe.batch}: "
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
    need = int(getattr(model, "min_train_batch", 1))
    if micro < need:
        raise ValueError(
            f"this network trains on at least {need} images a pass (one of its batch norms, as "
            f"after an image pooling, sees one value an image), got {micro}: raise batch or "
            "micro_batch"
        )


def build_trainer(
    trial: Trial,
    *,
    devices: int = 1,
    num_nodes: int = 1,
    loggers: Sequence[Logger] = (),
    callbacks: Sequence[Callback] = (),
) -> L.Trainer:
    recipe, gpu = trial.recipe, torch.cuda.is_available()
    strategy: Any = "auto"
    plugins: list[Any] = [TimmSyncBatchNorm()] if gpu and devices * num_nodes > 1 else []
    if devices * num_nodes > 1:
        backend = "nccl" if gpu else "gloo"
        # Half an hour: rank 0 may score a large split while others wait.
        strategy = DDPStrategy(process_group_backend=backend, timeout=timedelta(minutes=30))
    return L.Trainer(
        accelerator="cuda" if gpu else "cpu",
        devices=devices,
        num_nodes=num_nodes,
        strategy=strategy,
        plugins=plugins,
        precision=recipe.precision,  # type: ignore[arg-type]
        max_steps=recipe.steps,
        val_check_interval=min(recipe.val_every, recipe.steps),
        log_every_n_steps=log_every(recipe),
        use_distributed_sampler=False,  # the stream and the shards are ours
        num_sanity_val_steps=0,
        logger=list(loggers),
        callbacks=[Checkpoints(trial), PredictionWriter(trial.folder / "predictions"), *callbacks],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=trial.folder,
    )


class TimmSyncBatchNorm(LayerSync):
    """Batch norm over all processes, also where a batch norm of timm holds its activation.

    Lightning's own, `Trainer(sync_batchnorm=True)`, drops these activations without a word.
    """

    def apply(self, model: nn.Module) -> nn.Module:
        converted: nn.Module = convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
        return converted

    def revert(self, model: nn.Module) -> nn.Module:
        return model  # in evaluation it is a plain batch norm


def log_every(recipe: Recipe) -> int:
    """Steps between points of the training curve, so that it has about 200."""
    return max(1, recipe.steps // 200)


class PredictionWriter(Callback):
    """Writes each predicted map as a palette PNG named by its image's id."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_predict_batch_end(
        self,
        trainer: L.Trainer,
        module: L.LightningModule,
        outputs: Tensor,
        batch: Batch,
        index: int,
        dataloader: int = 0,
    ) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        data = trainer.datamodule.test  # type: ignore[attr-defined]
        for position, ids in zip(batch["index"].tolist(), outputs.cpu().numpy(), strict=True):
            if position >= 0:  # not the dummy of an empty shard
                picture = Image.fromarray(ids, mode="P")
                picture.putpalette(data.labels.palette)
                picture.save(self.folder / f"{data.ids[position]}.png")


def fit(trial: Trial, trainer: L.Trainer, module: Segmentation, data: SegmentationData) -> None:
    """Train from the last checkpoint there is, then predict the evaluation split.

    Raises:
        DataError: a file that cannot be read, or a reading process that died, with its file.
    """
    try:
        trainer.fit(module, data, ckpt_path=last_checkpoint(trial.folder), weights_only=True)
        trainer.predict(module, data, return_predictions=False)
    except RuntimeError as error:
        raise data.explain(error) from error
    trainer.strategy.barrier("predictions")
