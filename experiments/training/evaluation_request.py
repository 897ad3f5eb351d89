"""What an evaluation is asked for: weights, images, a protocol, and a folder to write to."""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datamodules import dataset_info
from datamodules.dataset import Dataset
from datamodules.validation.check_report import CheckReport
from experiments.trials.hashing import short_hash
from experiments.trials.protocols import LAST_STEP, Protocol, parse_protocol
from experiments.trials.recipe import PRECISIONS
from experiments.trials.results import EVALUATED, SCHEMA
from experiments.trials.trial import slug
from models import parse_model


@dataclass(frozen=True, kw_only=True)
class EvaluationRequest:
    """Which weights predict which images, and how."""

    checkpoint: Path
    identity: dict[str, Any]
    """What the trial says of itself; of weights from elsewhere the hash of a recipe is None."""
    network: str
    data: str
    root: Path | None
    split: str
    protocol: Protocol
    precision: str
    out: Path

    @property
    def known(self) -> bool:
        """Whether the weights are a trial's."""
        return self.identity["hashes"]["recipe"] is not None

    @property
    def splits(self) -> list[str]:
        """What the data hash is of: training and scored split; of weights from elsewhere only the
        scored one is known."""
        if not self.known:
            return [self.split]
        recipe = self.identity["recipe"]
        return [recipe["train_split"] if recipe["data"] == self.data else "train", self.split]

    @property
    def selection(self) -> str:
        if not self.known:
            return "unknown: weights from elsewhere"
        last = f"step{self.identity['recipe']['steps']:08d}.ckpt"
        return LAST_STEP if self.checkpoint.name == last else f"by hand: {self.checkpoint.name}"


def evaluation_request(args: argparse.Namespace) -> EvaluationRequest:
    """The request, with defaults and with what the trial tells.

    Raises:
        ValueError: no such checkpoint, an unknown name, or weights of which too little is said.
    """
    protocol, checkpoint = parse_protocol(args.protocol), _checkpoint(args.checkpoint)
    folder = checkpoint.parent.parent
    told = folder / "trial.json"
    trial = json.loads(told.read_text()) if told.is_file() else None
    recipe = trial["recipe"] if trial else {}
    network, data = args.model or (trial and trial["model"]), args.data or recipe.get("data")
    if not (network and data):
        raise ValueError(
            f"{checkpoint} does not lie in a trial's folder, so its network and data set are not "
            "known: give --model and --data"
        )
    parse_model(network)
    published = dataset_info(data)
    split = args.split or (published.test_split if published else "test")
    if not args.split and data == recipe.get("data"):
        split = recipe["test_split"]
    name = slug(f"{data}-{split}-{protocol.text}")
    identity = {**(trial or _elsewhere(data, split)), "model": network}
    if not trial:  # the file's name keeps it apart from others and from trials of the network
        folder, name = checkpoint.parent, f"{checkpoint.stem}-{name}"
        identity["model"] = f"{network} ({checkpoint.stem})"
    return EvaluationRequest(
        checkpoint=checkpoint,
        identity=identity,
        network=network,
        data=data,
        root=args.data_root,
        split=split,
        protocol=protocol,
        precision=args.precision or recipe.get("precision", PRECISIONS[0]),
        out=args.out or folder / EVALUATED / name,
    )


def _elsewhere(data: str, split: str) -> dict[str, Any]:
    """What stands for a trial's identity where there is none."""
    return {
        "schema": SCHEMA,
        "recipe": {"name": "unknown", "data": data, "test_split": split},
        "seed": 0,
        "hashes": {"recipe": None, "code": None},
        "environment": {},
    }


def _checkpoint(path: Path) -> Path:
    if path.is_file():
        return path
    if not path.is_dir():
        raise ValueError(f"no checkpoint at {path.absolute()}: give a trial's folder or a file")
    from experiments.training.checkpoints import last_checkpoint

    last = last_checkpoint(path)
    if last is None:
        raise ValueError(
            f"{path} has no checkpoints/step*.ckpt that can be read: give a trial's folder, as "
            "runs/demo/hrnet/seed0, or a file of weights"
        )
    return last


def unscored(job: EvaluationRequest, found: CheckReport, data: Dataset) -> dict[str, Any]:
    """A result but for its scores and its weights. Costs are left out: passes differ in them."""
    published = dataset_info(job.data)
    protocol = job.protocol.record(job.split, job.selection)
    if job.precision != job.identity["recipe"].get("precision", job.precision):
        protocol["precision"] = job.precision
    # An unknown selection keeps no row out of a table, as an unknown recipe does not.
    alike = protocol if job.known else {**protocol, "selection": LAST_STEP}
    prints = {name: found.splits[name].fingerprint for name in job.splits}
    data_hash = short_hash([prints[name] for name in job.splits]) if job.known else None
    hashes = {"data": data_hash, "protocol": short_hash(alike)}
    return {
        **job.identity,
        "status": "done",
        "reason": None,
        "hashes": {**job.identity["hashes"], **hashes},
        "protocol": protocol,
        "precision": job.precision,
        "data": {
            "name": job.data,
            "split": job.split,
            "num_images": len(data.ids),
            "classes": list(data.labels.names),
            "block": published.block if published else None,
            "fingerprints": prints,
        },
        "cost": None,
        "timing": None,
    }
