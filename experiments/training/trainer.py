"""From a trial to predictions: what a trial's numbers come from, with all that it imports."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

import lightning as L
import torch
from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger
from lightning.pytorch.plugins.layer_sync import LayerSync
from lightning.pytorch.plugins.precision import MixedPrecision
from lightning.pytorch.strategies import DDPStrategy
from timm.layers.norm_act import convert_sync_batchnorm
from torch import nn

from datamodules.loading.datamodule import SegmentationData
from experiments.training.checkpoints import Checkpoints, WholeFiles
from experiments.training.preparation import Prepared
from experiments.training.weight_average import WeightAverage
from experiments.trials.history import log_every
from experiments.trials.result_types import TrialIdentity
from experiments.trials.trial import Trial

_LIGHTNINGS = {"tf32": "32-true", "16-mixed": None}  # precisions that are not named alike there


def build_trainer(
    trial: Trial,
    identity: TrialIdentity | None = None,
    *,
    devices: int = 1,
    num_nodes: int = 1,
    loggers: Sequence[Logger] = (),
    callbacks: Sequence[Callback] = (),
    first_steps: int | None = None,
    cluster: ClusterEnvironment | None = None,
) -> L.Trainer:
    """Lightning's trainer with nothing of its own that could change a number.

    Args:
        identity: without it, no trial goes on from the checkpoints.
        cluster: who has started its processes; None where it starts them itself. Lightning's own
            guess takes variables of a job script for it, and their number of tasks for ours.
        first_steps: stop after so many, and never validate; None trains and validates in full.
    """
    recipe, gpu = trial.recipe, torch.cuda.is_available()
    device, several = "cuda" if gpu else "cpu", devices * num_nodes > 1
    folder = trial.folder / "checkpoints"
    checkpoints = Checkpoints(folder, identity, recipe.steps, recipe.val_every)
    backend = "nccl" if gpu else "gloo"
    return L.Trainer(
        accelerator=device,
        devices=devices,
        num_nodes=num_nodes,
        # Half an hour: rank 0 may score a large split while others wait.
        strategy=DDPStrategy(process_group_backend=backend, timeout=timedelta(minutes=30))
        if several
        else "auto",
        plugins=[
            WholeFiles(),
            cluster or LightningEnvironment(),
            *([TimmSyncBatchNorm()] if gpu and several else []),
            # By name Lightning would make bf16 of it on a CPU.
            *([MixedPrecision("16-mixed", device)] if recipe.precision == "16-mixed" else []),
        ],
        precision=_LIGHTNINGS.get(recipe.precision, recipe.precision),  # type: ignore[arg-type]
        deterministic=recipe.deterministic and gpu,
        max_steps=min(first_steps or recipe.steps, recipe.steps),
        limit_val_batches=None if first_steps is None else 0,
        val_check_interval=min(recipe.val_every, recipe.steps),
        log_every_n_steps=log_every(recipe.steps),
        use_distributed_sampler=False,  # the stream and the shards are ours
        num_sanity_val_steps=0,
        logger=list(loggers),
        callbacks=[
            # Before what saves them.
            *([WeightAverage(recipe.ema)] if recipe.ema is not None else []),
            *([checkpoints] if first_steps is None else []),
            *callbacks,
        ],
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


def fit(trainer: L.Trainer, prepared: Prepared) -> None:
    """Train from the last checkpoint there is.

    Raises:
        DataError: a file that cannot be read, or a reading process that died, with its file.
    """
    last = prepared.checkpoint
    with explained_errors(prepared.data):
        trainer.fit(prepared.module, prepared.data, ckpt_path=last, weights_only=True)


def predict(trainer: L.Trainer, prepared: Prepared) -> None:
    """Have the evaluation split predicted, each image once, on all ranks together.

    Raises:
        DataError: as `fit`.
    """
    with explained_errors(prepared.data):
        trainer.predict(prepared.module, prepared.data, return_predictions=False)
    trainer.strategy.barrier("predictions")


@contextmanager
def explained_errors(data: SegmentationData) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        explained = data.explain(_before_teardown(error))
        if "finished reduction in the prior iteration" in str(explained):
            explained = ValueError(
                "a part of the network got no gradient in a step, and processes that train "
                "together wait for all of them: have forward use every parameter in every step, "
                "or train with --devices 1"
            )
        if unsure := re.search(r"(\S+) does not have a deterministic impl", str(explained)):
            explained = ValueError(
                f"a GPU adds up in any order in {unsure[1]}, which this network needs: train it "
                "with --set deterministic=false, and see with --repeats 2 how much that moves"
            )
        if explained is error:  # raised from itself it would hide what it came from
            raise
        raise explained from error


def _before_teardown(error: Exception) -> Exception:
    """The error itself, or the one after which Lightning cleared away and met this one.

    It does so where a loader does not start, as of readers for which there is no file handle.
    """
    first = error.__context__
    after = "iter(combined_loader)" in str(error) and isinstance(first, Exception)
    return first if after else error  # type: ignore[return-value]
