"""Throughput of training on all GPUs of a machine together, a process each, as DDP has them."""

import json
import tempfile
import time
from pathlib import Path

import torch
from torch import distributed
from torch.multiprocessing.spawn import spawn

from datamodules.json_file import as_object, read_json
from experiments.costs.device import peak_memory, synchronise, this_device
from experiments.speed.block_timing import seconds_a_step
from experiments.speed.throughput import ALL_GPUS, ThroughputRequest
from experiments.speed.training_ways import step_of


class RanksError(RuntimeError):
    """A rank has failed; the message is its last line."""


def time_ranks(request: ThroughputRequest) -> dict[str, float]:
    """Seconds of a step and until the first had ended, and gigabytes, as rank 0 finds them.

    Raises:
        RanksError: a rank has failed, after which the others are ended.
    """
    with tempfile.TemporaryDirectory() as folder:
        try:
            spawn(_rank, (request, folder), nprocs=request.ranks)  # type: ignore[no-untyped-call]
        except Exception as error:
            lines = str(error).strip().splitlines() or [type(error).__name__]
            raise RanksError(lines[-1]) from None
        answer = as_object(read_json(_answer(folder), "run it again"), "what rank 0 found", "")
    return {name: float(str(value)) for name, value in answer.items()}


def _answer(folder: str) -> Path:
    return Path(folder) / "answer.json"


def _rank(rank: int, request: ThroughputRequest, folder: str) -> None:
    device, backend = this_device(), "gloo"
    if device.type == "cuda":
        device, backend = torch.device("cuda", rank), "nccl"
        torch.cuda.set_device(device)
    meeting = distributed.FileStore(f"{folder}/meeting", request.ranks)  # type: ignore[attr-defined]
    distributed.init_process_group(backend, store=meeting, rank=rank, world_size=request.ranks)
    begun = time.perf_counter()
    with step_of(request, ALL_GPUS, "training", device) as step:
        step()
        synchronise(device)
        first = time.perf_counter() - begun
        # For no time, so that every rank does the same number of steps: they wait for each other.
        seconds = seconds_a_step(step, device, seconds=0)
    if rank == 0:
        memory = peak_memory(device).gigabytes
        answer = {"seconds": seconds, "first": first, "memory": memory}
        _answer(folder).write_text(json.dumps(answer))
    # Gloo may abort a process whose peer leaves right after a barrier (pytorch/gloo#155), as was
    # seen here once: they leave when each has said that it is done, through the file.
    meeting.set(f"done {rank}", "")
    meeting.wait([f"done {other}" for other in range(request.ranks)])
    distributed.destroy_process_group()
