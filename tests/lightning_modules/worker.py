"""What `test_ddp` starts on one or more processes: training steps, or evaluation, from files."""

import argparse
import hashlib
import json
import os
import sys
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any
from unittest.mock import patch

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor, nn

from datamodules.dataset import Dataset
from datamodules.labels import IGNORE, LabelSet, UInt8
from experiments.recipes import smoke
from experiments.training import initialisation
from experiments.training.checkpoints import PredictionWriter
from experiments.training.initialisation import build_module
from experiments.training.trainer import build_trainer
from experiments.training.training_data import build_data, class_pixels, open_splits
from experiments.trials import recipe as recipes
from experiments.trials.data_check import check_data
from experiments.trials.environment import die_with_parent
from experiments.trials.launch import PARENT
from experiments.trials.overrides import load
from experiments.trials.recipe import RecipeRequest
from experiments.trials.trial import Trial
from lightning_modules.segmentation import Segmentation
from tests.lightning_modules.tiny_networks import Tiny

MODEL = "hrnetv2_w18_small_v1"
READ = (2, 5)  # sizes of sets that are read by other processes as well, which take a second each


class Voided:
    """A data set whose odd images are void but for a strip, so that ranks differ in void."""

    def __init__(self, data: Dataset) -> None:
        self.data = data
        self.labels: LabelSet = data.labels
        self.ids, self.groups = data.ids, data.groups

    def __getitem__(self, index: int) -> tuple[UInt8, UInt8]:
        image, mask = self.data[index]
        mask = mask.copy()
        if index % 2:
            mask[: 3 * len(mask) // 4] = IGNORE
        return image, mask

    def mask(self, index: int) -> UInt8:
        return self[index][1]

    def fingerprint(self) -> str:
        return self.data.fingerprint()


class Recorder(Callback):
    """The loss of each step, and a hash of each image and mask that this rank saw."""

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.seen: list[list[str]] = []

    def on_train_batch_end(
        self, trainer: L.Trainer, module: L.LightningModule, outputs: Any, batch: Any, index: int
    ) -> None:
        self.losses.append(float(trainer.callback_metrics["train/loss"]))
        pairs = zip(batch["image"], batch["mask"], strict=True)
        self.seen.append(
            [
                hashlib.sha256(i.cpu().numpy().tobytes() + m.cpu().numpy().tobytes()).hexdigest()
                for i, m in pairs
            ]
        )


class Recording(Segmentation):
    """Keeps the matrix of the last validation."""

    matrix: Tensor

    def on_validation_epoch_end(self) -> None:
        self.matrix = self.confusion.compute().clone()
        super().on_validation_epoch_end()


def freeze_batch_norm(model: nn.Module) -> None:
    """Keep running statistics as they are: SyncBatchNorm has no CPU path, so with live ones two
    processes normalise by halves of what one process normalises by."""
    model.train = lambda mode=True: nn.Module.train(model, False)  # type: ignore[method-assign]
    model.train()


def train(args: argparse.Namespace) -> None:
    # In fp32 a ReLU within rounding of zero opens on one side and not on the other, some ten steps
    # in; what is compared here is the arithmetic of ranks, so it runs in fp64.
    steps, batch = args.steps, args.batch
    with patch.object(recipes, "PRECISIONS", (*recipes.PRECISIONS, "64-true")):
        recipe = replace(smoke(), steps=steps, val_every=steps, batch=batch, precision="64-true")
    trial = Trial(recipe, MODEL, args.seed, args.out)
    splits = open_splits(recipe, None, check_data(recipe, None))
    module = build_module(trial, splits.train.labels.names)
    if args.weights:
        module.model.load_state_dict(torch.load(args.weights, weights_only=True))
        if not args.live:
            freeze_batch_norm(module.model)
    data = build_data(recipe, args.seed, splits._replace(train=Voided(splits.train)), workers=0)
    recorder = Recorder()
    trainer = _trainer(trial, args, recorder)
    trainer.fit(module, data)
    (args.out / f"rank{trainer.global_rank}.json").write_text(
        json.dumps({"losses": recorder.losses, "seen": recorder.seen})
    )
    if trainer.is_global_zero:
        torch.save(module.model.state_dict(), args.out / "weights.pt")


def train_each(args: argparse.Namespace) -> None:
    """Train a tiny network 20 steps in fp64 under each of the overrides, in a folder of its own."""
    torch.set_num_threads(1)  # so small convolutions wait for other threads most of the time
    for number, given in enumerate(json.loads(args.overrides)):
        out = args.out / str(number)
        out.mkdir(parents=True, exist_ok=True)
        with (
            patch.object(recipes, "PRECISIONS", (*recipes.PRECISIONS, "64-true")),
            patch.object(initialisation, "build_model", lambda name, classes: Tiny(classes)),
        ):
            request = RecipeRequest("smoke", ("steps=20", "crop=36x40", *given))
            recipe = replace(load(request), precision="64-true")
            trial = Trial(recipe, "unet", 0, out)
            splits = open_splits(recipe, None, check_data(recipe, None))
            splits = splits._replace(train=Voided(splits.train))
            shown = class_pixels(recipe, splits.train, check_data(recipe, None))
            module = build_module(trial, splits.train.labels.names, shown)
            data = build_data(recipe, args.seed, splits, workers=0)
            recorder = Recorder()
            trainer = build_trainer(
                trial, devices=args.devices, callbacks=[recorder], first_steps=20
            )
            trainer.fit(module, data)
        if trainer.is_global_zero:
            (out / "losses.json").write_text(json.dumps(recorder.losses))
            torch.save(module.model.state_dict(), out / "weights.pt")


def evaluate(args: argparse.Namespace) -> None:
    """Predict and validate sets of 1 to 5 images, some of them with 2 reading processes as well."""
    for size in args.sizes:
        for workers in args.workers if size in READ else (0,):
            name = f"size{size}-workers{workers}"
            data_set = f"streets:height=48:width=64:train=4:val={size}:test={size}"
            recipe = replace(smoke(), data=data_set, val_split="test")
            trial = Trial(recipe, MODEL, 0, args.out / name)
            splits = open_splits(recipe, None, check_data(recipe, None))
            module = build_module(trial, splits.train.labels.names)
            module.model.load_state_dict(torch.load(args.weights, weights_only=True))
            module.__class__ = Recording
            assert isinstance(module, Recording)
            data = build_data(recipe, args.seed, splits, workers)
            writer = PredictionWriter(trial.folder / "predictions")
            trainer = _trainer(trial, args, writer)
            trainer.validate(module, data, verbose=False)
            trainer.predict(module, data, return_predictions=False)
            trainer.strategy.barrier()
            if trainer.is_global_zero:
                matrix = module.matrix.tolist()
                (trial.folder / "matrix.json").write_text(json.dumps(matrix))


def all_of(args: argparse.Namespace) -> None:
    """Without weights train some first; from weights train with frozen batch norms, and where
    SyncBatchNorm runs with live ones; then evaluate. Each in a folder of its own."""

    def part(name: str, **changes: object) -> argparse.Namespace:
        (args.out / name).mkdir(parents=True, exist_ok=True)
        return argparse.Namespace(**{**vars(args), "out": args.out / name, **changes})

    if not args.weights:
        train(part("warm", steps=50))
        args.weights = args.out / "warm/weights.pt"
    train(part("frozen"))
    if torch.cuda.is_available():
        train(part("live", live=True))
    evaluate(part("evaluated", sizes=(1, 3), workers=(0,)))


def _trainer(trial: Trial, args: argparse.Namespace, callback: Callback) -> L.Trainer:
    trainer = build_trainer(trial, devices=args.devices, num_nodes=args.nodes, callbacks=[callback])
    if args.nodes > 1:  # they share a GPU, which NCCL refuses
        assert isinstance(trainer.strategy, DDPStrategy)
        trainer.strategy._process_group_backend = "gloo"
    return trainer


def main(argv: list[str]) -> None:
    """Several pieces of work with `--` between, as ranks take six seconds each to start."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("train", "each", "evaluate", "all"))
    parser.add_argument("--overrides", default="[]", help="lists of field=value, as JSON")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--devices", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--nodes", type=int, default=1)
    parser.add_argument("--batch", type=int, default=smoke().batch)
    parser.add_argument("--live", action="store_true", help="batch norms are not frozen")
    parser.set_defaults(sizes=range(1, 6), workers=(0, 2))
    for between, words in groupby(argv, lambda word: word == "--"):
        if not between:
            args = parser.parse_args([*words])
            args.out.mkdir(parents=True, exist_ok=True)
            works = {"train": train, "each": train_each, "evaluate": evaluate, "all": all_of}
            works[args.what](args)


if __name__ == "__main__":
    die_with_parent()
    os.environ[PARENT] = str(os.getpid())
    main(sys.argv[1:])
