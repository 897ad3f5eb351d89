"""Measures a network's throughput, or a card's roofline, in the process that it is started as.

`speed.throughput` starts it with a file and a request. Each figure is a line of JSON in that file
as soon as it is known. What fails, as for want of memory, is a line too.
"""

import gc
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch

from experiments.costs.device import peak_memory, synchronise, this_device
from experiments.speed.block_timing import seconds_a_step
from experiments.speed.roofline import (
    LayerWork,
    layer_work,
    least_seconds,
    measure_roofline,
    operations,
)
from experiments.speed.throughput import (
    ALL_GPUS,
    Roofline,
    Row,
    Task,
    Throughput,
    ThroughputFailure,
    ThroughputRequest,
    Way,
)
from experiments.speed.throughput_ranks import time_ranks
from experiments.speed.time_use import profiled, shares, unknown
from experiments.speed.training_ways import step_of

PROFILED = 3  # steps


def measure(
    request: ThroughputRequest, roofline: Roofline, way: Way, task: Task, device: torch.device
) -> Row:
    """One figure, or why there is none; nothing of it stays in memory."""
    try:
        return _measure(request, roofline, way, task, device)
    except Exception as error:  # of memory, or of a compiler, whose errors are of any kind
        lines = str(error).strip().splitlines() or [type(error).__name__]
        return ThroughputFailure(request.model, way, task, lines[0][:300])
    finally:
        gc.collect()
        if device.type == "cuda":
            torch.cuda.empty_cache()
        if way == "ours, compiled":
            torch.compiler.reset()


def _measure(
    request: ThroughputRequest, roofline: Roofline, way: Way, task: Task, device: torch.device
) -> Throughput:
    training = task == "training"
    batch = request.train_batch if training else request.infer_batch
    size = request.train_size if training else request.infer_size
    layers = layer_work(request.model, request.num_classes, size)
    if way == ALL_GPUS:
        return _on_all(request, layers, batch, roofline)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    begun = time.perf_counter()
    with step_of(request, way, task, device) as step:
        step()
        synchronise(device)
        first = time.perf_counter() - begun
        seconds = seconds_a_step(step, device, seconds=request.seconds)
        # The profiler's own memory does not count.
        memory = peak_memory(device).gigabytes
        time_use = _time_use(step, device, seconds) if training else {}
    return Throughput(
        request.model,
        way,
        task,
        batch,
        images_per_second=batch / seconds,
        step_ms=1000 * seconds,
        peak_gb=memory,
        **_of_the_limit(layers, batch, training, seconds, roofline),
        first_s=first,
        time_use=time_use,
    )


def _on_all(
    request: ThroughputRequest, layers: list[LayerWork], batch: int, roofline: Roofline
) -> Throughput:
    found = time_ranks(request)
    images = request.ranks * batch
    return Throughput(
        request.model,
        ALL_GPUS,
        "training",
        images,
        images_per_second=images / found["seconds"],
        step_ms=1000 * found["seconds"],
        peak_gb=found["memory"],
        **_of_the_limit(layers, batch, True, found["seconds"], roofline),
        first_s=found["first"],
        time_use={},
    )


def _of_the_limit(
    layers: list[LayerWork], batch: int, training: bool, seconds: float, roofline: Roofline
) -> dict[str, float]:
    achieved = operations(layers, batch, training) / seconds
    return {
        "of_products": achieved / (roofline.bf16_tflops * 1e12),
        "of_roofline": least_seconds(layers, batch, training, roofline) / seconds,
    }


def _time_use(step: Callable[[], object], device: torch.device, seconds: float) -> dict[str, float]:
    """Empty where nothing can be profiled, as in containers that may not: the speed is known."""
    try:
        events = profiled(step, device, PROFILED)
    except RuntimeError as error:
        print(f"no profile: {error}", flush=True)
        return {}
    if not events:
        return {}
    names = unknown(events)
    if names:
        print(f"of no known kind: {'; '.join(names)}", flush=True)
    return shares(events, PROFILED * seconds)


def main(path: str, text: str) -> int:
    """0 once every figure, or why it is missing, is in the file."""
    asked, device = json.loads(text), this_device()
    with Path(path).open("a", encoding="utf-8") as lines:

        def keep(record: dict[str, object]) -> None:
            lines.write(json.dumps(record) + "\n")
            lines.flush()

        if "request" not in asked:
            keep(asdict(measure_roofline(device)))
            return 0
        request = ThroughputRequest.from_json(asked["request"])
        roofline = Roofline.from_json(asked["roofline"])
        for way, task in request.figures:
            row = measure(request, roofline, way, task, device)
            keep(row.to_json())
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
