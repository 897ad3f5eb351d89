"""Seconds of a step among others that follow it without a pause.

A GPU is given the next step while it does the last. A timer that waits for every step, as
`benchmark.time_calls` does for latency, would count this start-up each time.
"""

import statistics
import time
from collections.abc import Callable

import torch

from experiments.costs.device import synchronise

BLOCK, FEWEST_BLOCKS = 5, 3  # steps between two looks at the clock, and looks at least


def seconds_a_step(
    step: Callable[[], object],
    device: torch.device,
    *,
    seconds: float,
    warm_up: int = 5,
    block: int = BLOCK,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """The median over blocks of steps; blocks follow until `seconds` have passed, three at least.

    Args:
        warm_up: steps that do not count: cuDNN chooses its kernels in them, and memory is found.
    """
    for _ in range(warm_up):
        step()
    synchronise(device)
    times: list[float] = []
    end = clock() + seconds
    while len(times) < FEWEST_BLOCKS or clock() < end:
        before = clock()
        for _ in range(block):
            step()
        synchronise(device)
        times.append((clock() - before) / block)
    return statistics.median(times)
