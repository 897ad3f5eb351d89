"""What a network takes in seconds and memory, measured here: nothing else may run beside it.

`experiments.cost --measure` starts this file as a process for each network.
"""

import json
import os
import platform
import re
import resource
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from experiments.trials.atomic_io import write_json
from experiments.trials.environment import ALLOCATOR
from experiments.trials.results import TrialResult
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
    low, *_, high = statistics.quantiles(times[3:], n=10, method="inclusive")
    return {name: statistics.median(times[3:]), f"{name}_p10": low, f"{name}_p90": high}


def synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak_memory(device: torch.device) -> dict[str, Any]:
    """Gigabytes at the highest point of this process so far."""
    if device.type == "cuda":
        peak, kind = torch.cuda.max_memory_allocated(device), "allocated on the GPU"
    else:
        peak, kind = _peak_resident(), "resident set of the process, 0.5 GB of it libraries"
    return {"peak_memory_gb": peak / 1e9, "peak_memory_kind": kind}


def _peak_resident() -> int:
    """Bytes. Linux hands a parent's `ru_maxrss` on to its children, but not this line of /proc."""
    status = Path("/proc/self/status")
    line = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.is_file() else None
    if line:
        return int(line[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024)


def this_device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def hardware(device: torch.device) -> str:
    """The model of the GPU, or of the processor where the system tells."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    cpus = Path("/proc/cpuinfo")
    line = re.search(r"model name\s*:\s*(.+)", cpus.read_text()) if cpus.is_file() else None
    return line[1].strip() if line else platform.machine()


class Request(NamedTuple):
    """What a process is asked to measure."""

    model: str
    num_classes: int
    size: tuple[int, int]
    precision: str
    batch: int = 1
    train: bool = True


def measure(request: Request) -> dict[str, Any]:
    """Inference and a training step, here; inference first, as a peak of memory only grows."""
    device = this_device()
    network = build_model(request.model, request.num_classes)
    common = (network, request.size, request.precision, device)
    found = {**request._asdict(), **latency(*common, batch=request.batch)}
    memory = peak_memory(device)
    found["inference_memory_gb"] = memory["peak_memory_gb"]
    if request.train:
        found["train_batch"] = max(request.batch, int(getattr(network, "min_train_batch", 1)))
        found |= train_step(*common, batch=found["train_batch"])
        found["train_memory_gb"] = peak_memory(device)["peak_memory_gb"]
    return {
        **found,
        "memory_kind": memory["peak_memory_kind"],
        "threads": torch.get_num_threads(),
        "device": device.type,
        "hardware": hardware(device),
        "torch": torch.__version__,
    }


def measure_apart(request: Request, threads: int) -> dict[str, Any]:
    """`measure` in a process of its own, as a trial has one; `failed` says why it could not."""
    done = subprocess.run(
        [sys.executable, "-m", "experiments.costs.benchmark", json.dumps(request)],
        env={"OMP_NUM_THREADS": str(threads), **ALLOCATOR, **os.environ},
        capture_output=True,
        text=True,
    )
    if done.returncode == 0:
        answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return answer
    if done.returncode < 0:
        name = signal.Signals(-done.returncode).name
        reason = f"ended by {name}{' (out of memory?)' if name == 'SIGKILL' else ''}"
    else:
        reason = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
    return {"model": request.model, "failed": reason}


def remeasure(result: TrialResult, threads: int) -> tuple[float, float]:
    """Time a finished trial's network again, alone, and renew its result file.

    Returns:
        Milliseconds as they were and as they are.

    Raises:
        ValueError: the trial ran on another kind of device, or the network cannot be measured.
    """
    cost, classes = result["cost"], len(result["data"]["classes"])
    if cost["device"] != this_device().type:
        raise ValueError(f"{result.path} was measured on {cost['device']}: measure it there again")
    request = Request(result["model"], classes, cost["size"], cost["precision"], train=False)
    again = measure_apart(request, threads)
    if "failed" in again:
        raise ValueError(f"{result['model']} cannot be measured: {again['failed']}")
    renewed = {k: v for k, v in again.items() if k.startswith("latency_ms") or k == "threads"}
    write_json(result.path, {**result.record, "cost": {**cost, **renewed}})
    return cost["latency_ms"], again["latency_ms"]


def main(text: str) -> int:
    """The answer as one line of JSON, which says in one sentence what went wrong, if it did."""
    model, classes, size, *rest = json.loads(text)
    try:
        answer = measure(Request(model, classes, tuple(size), *rest))
    except (RuntimeError, ValueError, ArithmeticError) as error:  # out of memory is a RuntimeError
        answer = {"model": model, "failed": str(error).strip().split("\n")[0]}
    print(json.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
