"""What a network costs: operations counted on the meta device, seconds and memory measured.

`python -m experiments.cost RESULTS` times the latency of finished trials again, one after the
other, for results whose trials ran side by side.
"""

import argparse
import resource
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from experiments.recipes import Recipe
from experiments.store import Result, load_results, write_json
from models import build_model

PAPER_SIZE, PAPER_CLASSES = (1024, 2048), 19  # of the HRNet paper's Table III


def count(model: str, num_classes: int, size: tuple[int, int]) -> dict[str, int | float]:
    """Parameters and multiply-adds of one forward pass at (height, width), without memory.

    Convolutions and matrix products are counted, one multiply-add as one; normalisation,
    activations, pooling and interpolation are not.
    """
    with torch.device("meta"):
        network = build_model(model, num_classes).eval()
        image = torch.empty(1, 3, *size)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(image)
    return {
        "params": sum(p.numel() for p in network.parameters()),
        "gmacs": counter.get_total_flops() / 2 / 1e9,
    }


def paper_row(model: str) -> dict[str, int | float]:
    """Parameters and "GFLOPs" in the HRNet paper's unit, MACs / 2**30, at its size and classes."""
    counted = count(model, PAPER_CLASSES, PAPER_SIZE)
    return {
        "params_paper": counted["params"],
        "paper_gflops_1024x2048": counted["gmacs"] * 1e9 / 2**30,
    }


def latency(
    model: nn.Module, size: tuple[int, int], precision: str, device: torch.device, runs: int = 20
) -> dict[str, float]:
    """Milliseconds of a forward pass on one image: median, 10th and 90th percentile.

    Three passes warm up; more follow until `runs` are timed or five seconds have passed.
    """
    model = model.to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    image = torch.zeros(1, *size, 3, device=device).permute(0, 3, 1, 2)  # channels-last
    times: list[float] = []
    with (
        torch.inference_mode(),
        torch.autocast(device.type, torch.bfloat16, precision != "32-true"),
    ):
        start = time.perf_counter()
        while len(times) < 3 + 3 or (len(times) < 3 + runs and time.perf_counter() - start < 5.0):
            _synchronise(device)
            before = time.perf_counter()
            model(image)
            _synchronise(device)
            times.append(1000 * (time.perf_counter() - before))
    deciles = statistics.quantiles(times[3:], n=10)
    return {
        "latency_ms": statistics.median(times[3:]),
        "latency_ms_p10": deciles[0],
        "latency_ms_p90": deciles[-1],
    }


def estimate(model: str, recipe: Recipe) -> dict[str, float]:
    """Parameters, GMACs of a crop, and hours of training by one timed step here.

    The step is forward and backward on two images of the recipe's crop, after one to warm up.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = build_model(model, PAPER_CLASSES).to(device)
    image = torch.zeros(2, 3, *recipe.crop, device=device)
    image = image.to(memory_format=torch.channels_last)
    seconds = 0.0
    for _ in range(2):
        _synchronise(device)
        before = time.perf_counter()
        with torch.autocast(device.type, torch.bfloat16, recipe.precision != "32-true"):
            loss = network(image).float().mean()
        loss.backward()
        _synchronise(device)
        seconds = time.perf_counter() - before
    return {
        **count(model, PAPER_CLASSES, recipe.crop),
        "train_hours": seconds / 2 * recipe.batch * recipe.steps / 3600,
    }


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak_memory(device: torch.device) -> dict[str, Any]:
    """Gigabytes at the highest point of this process so far."""
    if device.type == "cuda":
        peak, kind = torch.cuda.max_memory_allocated(device), "allocated on the GPU"
    else:
        # Linux reports kilobytes. Includes about 0.5 GB of libraries.
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        kind = "resident set of the training process"
    return {"peak_memory_gb": peak / 1e9, "peak_memory_kind": kind}


def remeasure(result: Result) -> None:
    """Time a finished trial's network again, here and now, and renew its result file."""
    cost, device = result["cost"], torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if cost["device"] != device.type:
        raise ValueError(f"{result.path} was measured on {cost['device']}: measure it there again")
    network = build_model(result["model"], len(result["data"]["classes"]))
    height, width = cost["size"]
    again = latency(network, (height, width), cost["precision"], device)
    record = {**result.record, "cost": {**cost, **again, "threads": torch.get_num_threads()}}
    write_json(result.path, record)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m experiments.cost", description="Time finished trials' latency again."
    )
    parser.add_argument("results", type=Path, help="folder of results; nothing else may run")
    args = parser.parse_args(argv)
    try:
        for result in load_results(args.results):
            if result.done and result["cost"]:
                remeasure(result)
                print(f"{result['model']}: {result['cost']['latency_ms']:.1f} ms before, measured")
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
