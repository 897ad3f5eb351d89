"""What a network takes in seconds and memory, measured here: nothing else may run beside it.

`experiments.cost --measure` starts this file as a process for each network.
"""

import json
import os
import random
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from experiments.store import Result, write_json
from models import build_model


def latency(
    model: nn.Module,
    size: tuple[int, int],
    precision: str,
    device: torch.device,
    *,
    batch: int = 1,
    runs: int = 20,
) -> dict[str, float]:
    """Milliseconds of a forward pass: median, 10th and 90th percentile."""
    model = model.to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    image = torch.zeros(batch, *size, 3, device=device).permute(0, 3, 1, 2)  # channels-last
    with torch.inference_mode(), autocast(device, precision):
        return _timed(lambda: model(image), device, "latency_ms", runs)


def train_step(
    model: nn.Module, size: tuple[int, int], precision: str, device: torch.device, *, batch: int
) -> dict[str, float]:
    """Milliseconds of a step of SGD on the mean cross-entropy: median and percentiles."""
    model = model.to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    image = torch.rand(batch, *size, 3, device=device).permute(0, 3, 1, 2)
    mask = torch.zeros(batch, *size, dtype=torch.long, device=device)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-6, momentum=0.9)

    def step() -> None:
        optimizer.zero_grad()
        with autocast(device, precision):
            logits = model(image)
        F.cross_entropy(logits.float(), mask).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return _timed(step, device, "train_step_ms", runs=10)


def autocast(device: torch.device, precision: str) -> torch.autocast:
    return torch.autocast(device.type, torch.bfloat16, precision != "32-true")


def _timed(
    call: Callable[[], object], device: torch.device, name: str, runs: int
) -> dict[str, float]:
    """Three calls warm up; more follow until `runs` are timed or five seconds have passed."""
    times: list[float] = []
    start = time.perf_counter()
    while len(times) < 3 + 3 or (len(times) < 3 + runs and time.perf_counter() - start < 5.0):
        synchronise(device)
        before = time.perf_counter()
        call()
        synchronise(device)
        times.append(1000 * (time.perf_counter() - before))
    low, *_, high = statistics.quantiles(times[3:], n=10)
    return {name: statistics.median(times[3:]), f"{name}_p10": low, f"{name}_p90": high}


def synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak_memory(device: torch.device) -> dict[str, Any]:
    """Gigabytes at the highest point of this process so far."""
    if device.type == "cuda":
        peak, kind = torch.cuda.max_memory_allocated(device), "allocated on the GPU"
    else:
        # Linux reports kilobytes. Includes about 0.5 GB of libraries.
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        kind = "resident set of the process"
    return {"peak_memory_gb": peak / 1e9, "peak_memory_kind": kind}


def this_device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def remeasure(result: Result) -> None:
    """Time a finished trial's network again, here and now, and renew its result file.

    Raises:
        ValueError: the trial ran on another kind of device.
    """
    cost, device = result["cost"], this_device()
    if cost["device"] != device.type:
        raise ValueError(f"{result.path} was measured on {cost['device']}: measure it there again")
    network = build_model(result["model"], len(result["data"]["classes"]))
    height, width = cost["size"]
    again = latency(network, (height, width), cost["precision"], device)
    record = {**result.record, "cost": {**cost, **again, "threads": torch.get_num_threads()}}
    write_json(result.path, record)


def measure_one(
    model: str, num_classes: int, size: tuple[int, int], precision: str, batch: int
) -> dict[str, Any]:
    """Inference and a training step, here; inference first, as a peak of memory only grows."""
    device = this_device()
    network = build_model(model, num_classes)
    inference = latency(network, size, precision, device, batch=batch)
    inference_memory = peak_memory(device)
    train_batch = max(batch, int(getattr(network, "min_train_batch", 1)))
    training = train_step(network, size, precision, device, batch=train_batch)
    return {
        "model": model,
        "size": list(size),
        "num_classes": num_classes,
        "batch": batch,
        "train_batch": train_batch,
        **inference,
        **training,
        "inference_memory_gb": inference_memory["peak_memory_gb"],
        "train_memory_gb": peak_memory(device)["peak_memory_gb"],
        "memory_kind": inference_memory["peak_memory_kind"],
        "precision": precision,
        "threads": torch.get_num_threads(),
        "device": device.type,
        "torch": torch.__version__,
    }


def measure_each(
    models: list[str],
    num_classes: int,
    size: tuple[int, int],
    precision: str,
    batch: int,
    threads: int,
) -> list[dict[str, Any]]:
    """`measure_one` in a process for each network, in shuffled order: whatever drifts while they
    run, as a processor's heat, falls on none by its place. A network that fails says why."""
    found: dict[str, dict[str, Any]] = {}
    for model in random.sample(models, len(models)):
        request = json.dumps([model, num_classes, size, precision, batch])
        done = subprocess.run(
            [sys.executable, "-m", "experiments.measure", request],
            env={**os.environ, "OMP_NUM_THREADS": str(threads)},
            capture_output=True,
            text=True,
        )
        if done.returncode == 0:
            found[model] = json.loads(done.stdout.splitlines()[-1])
        else:
            lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
            found[model] = {"model": model, "failed": lines[-1]}
        print(f"{model}: {found[model].get('failed', 'measured')}", flush=True)
    return [found[model] for model in models]


if __name__ == "__main__":
    print(json.dumps(measure_one(*json.loads(sys.argv[1]))))
