"""One trial: train, predict, score, measure, and write one result file."""

import argparse
import ctypes
import logging
import os
import signal
import sys
import traceback
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.trials.atomic_io import write_arrays, write_json
from experiments.trials.data_check import check_data, data_hash
from experiments.trials.environment import global_rank
from experiments.trials.results import DID_NOT_TRAIN
from experiments.trials.trial import Trial

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from datamodules.dataset import Dataset
    from experiments.training.callbacks import Clock
    from experiments.training.loggers import History
    from lightning_modules.segmentation import Segmentation


def lend(trial: Trial, args: argparse.Namespace) -> int:
    """Take part in a trial of which another process keeps the folder."""
    try:
        _train(trial, args)
    except Exception as error:
        traceback.print_exc()
        print(f"failed: {_one_sentence(error)}", file=sys.stderr)
        return 1
    return 0


def run_trial(trial: Trial, identity: dict[str, Any], args: argparse.Namespace) -> int:
    try:
        record = _train(trial, args)
        if data_hash(trial.recipe, args.data_root) != identity["hashes"]["data"]:
            raise ValueError(
                "the files of the data set changed while the trial ran: leave them alone, and do "
                "it again with --rerun all"
            )
    except KeyboardInterrupt:
        print("stopped; the same command goes on from the last checkpoint", file=sys.stderr)
        return 130
    except Exception as error:
        traceback.print_exc()
        reason = _one_sentence(error)
        write_json(trial.result_path, {**identity, "status": "failed", "reason": reason})
        print(f"failed: {reason}", file=sys.stderr)
        return 1
    write_json(trial.result_path, {**identity, "status": "done", "reason": None, **record})
    return 0


def _train(trial: Trial, args: argparse.Namespace) -> dict[str, Any]:
    """The whole work of a trial; returns what a finished result holds beyond the identity."""
    from experiments.training import trainer as training
    from experiments.training import wandb_run
    from experiments.training.callbacks import Clock, Progress
    from experiments.training.loggers import Dashboard, History, LastPoint

    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)  # no tips in the log
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    # Lightning 2.6 calls a name that torch 2.14 renames; nothing here can change it.
    warnings.filterwarnings("ignore", message=".*isinstance.treespec, LeafSpec.*")
    # The stream is resumable by itself: it starts at the step that training has reached.
    warnings.filterwarnings("ignore", message=".*ended before the epoch ended.*")
    recipe = trial.recipe
    splits = training.open_splits(recipe, args.data_root)
    module = training.build_module(trial, splits[0])
    init = training.initial_weights(trial, module.model)
    if "report" in init:
        print(f"initial weights: {init['report']}")
    training.check_batch(recipe, module.model, len(splits[0].ids), args.devices * args.num_nodes)
    workers = _workers(args.devices) if args.workers is None else args.workers
    data = training.build_data(trial, splits, workers)
    _warn_emulated(recipe.precision)
    mode = args.wandb if global_rank() == 0 else "off"
    clock, history = Clock(), History(trial.folder / "metrics.jsonl")
    dashboard = Dashboard(wandb_run.of_trial(trial, args.group, mode), splits[1])
    trainer = training.build_trainer(
        trial,
        devices=args.devices,
        num_nodes=args.num_nodes,
        loggers=[history, dashboard],
        callbacks=[
            clock,
            LastPoint(history, training.log_every(recipe)),
            Progress(trial.folder / "progress.json", recipe.steps),
            dashboard.panel,
        ],
    )
    training.fit(trial, trainer, module, data)
    if trainer.global_rank > 0:
        return {}
    record = {"init": init, **_finish(trial, args.data_root, module, splits, clock, history)}
    dashboard.close(record)
    return record


def _finish(
    trial: Trial,
    root: Path | None,
    module: "Segmentation",
    splits: "Sequence[Dataset]",
    clock: "Clock",
    history: "History",
) -> dict[str, Any]:
    """Score the predictions and measure the cost, on rank 0 alone."""
    import torch

    from datamodules import dataset_info
    from experiments.costs.benchmark import latency
    from experiments.costs.device import peak_memory, this_device
    from experiments.costs.flops import count, paper_count
    from experiments.scoring.metrics import score_folder

    test = splits[2]
    recipe, device = trial.recipe, this_device()
    found = check_data(recipe, root)
    memory = peak_memory(device)
    scores = score_folder(trial.folder / "predictions", test)
    write_arrays(trial.folder / "per_image.npz", scores.arrays())
    known = dataset_info(recipe.data)
    height, width = test.mask(0).shape
    counted = count(trial.model, test.labels.num_classes, (height, width))
    papers = paper_count(trial.model)
    passes = latency(module.model, (height, width), recipe.precision, device)
    return {
        "data": {
            "name": recipe.data,
            "split": recipe.test_split,
            "num_images": len(test.ids),
            "classes": list(test.labels.names),
            "block": known.block if known else None,
            "fingerprints": {name: split.fingerprint for name, split in found.splits.items()},
            "warnings": [str(f) for f in found.findings],
        },
        "confusion": scores.confusion.tolist(),
        "metrics": scores.metrics(),
        "cost": {
            "params": counted.params,
            "gmacs": counted.gmacs,
            "params_paper": papers.params,
            "paper_gflops_1024x2048": papers.paper_gflops,
            "size": [height, width],
            **passes.to_json("latency_ms"),
            "peak_memory_gb": memory.gigabytes,
            "peak_memory_kind": memory.kind,
            "threads": torch.get_num_threads(),
            "device": device.type,
            "precision": recipe.precision,
        },
        "timing": {"train_seconds": round(clock.seconds, 1), "steps": recipe.steps},
        "environment": {
            **trial.identity()["environment"],
            **_environment(device),
            "processes": module.trainer.world_size,
        },
        "curve": history.curve(),
    }


def _environment(device: "torch.device") -> dict[str, Any]:
    import lightning
    import timm
    import torch

    gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else None
    return {
        "torch": torch.__version__,
        "lightning": lightning.__version__,
        "timm": timm.__version__,
        "device": gpu or f"{torch.get_num_threads()} CPU threads",
        "jobs": int(os.environ.get("COMPARE_JOBS", "1")),
    }


def _workers(devices: int) -> int:
    """Reading processes for each training process: one where they share its cores."""
    import torch

    cores = os.cpu_count() or 1
    jobs = int(os.environ.get("COMPARE_JOBS", "1"))
    return min(8, max(1, cores // (devices * jobs) - 1)) if torch.cuda.is_available() else 1


def _warn_emulated(precision: str) -> None:
    import torch

    if precision != "bf16-mixed":
        return
    if torch.cuda.is_available():
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = any(has for name, has in torch.cpu.get_capabilities().items() if "bf16" in name)
    if not native:
        print(
            "warning: this hardware only emulates bf16, which is slower than fp32; "
            "the numbers stay the recipe's (--set precision=32-true is another recipe)",
            file=sys.stderr,
        )


def die_with_parent() -> None:
    """On Linux, end with the process that started this one, where that was one of ours."""
    ours = "COMPARE_PID" in os.environ or "LOCAL_RANK" in os.environ
    if ours and sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # 1 is PR_SET_PDEATHSIG


def _one_sentence(error: Exception) -> str:
    from lightning_modules.segmentation import NonFiniteLossError

    text = str(error)
    if "Original Traceback" in text:  # of a process that reads: the error is its last line
        text = text.strip().splitlines()[-1].partition(": ")[2]
    text = " ".join(text.split()) or type(error).__name__
    if isinstance(error, NonFiniteLossError):
        return f"{DID_NOT_TRAIN} this recipe: {text}"
    known = isinstance(error, ValueError | OSError)
    return text if known else f"{type(error).__name__}: {text}"
