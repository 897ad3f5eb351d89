"""What a network takes in seconds and memory, measured here: nothing else may run beside it.

`measurement.measure_isolated` starts this file as a process for each network.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from datamodules.datasets.streets import Streets
from experiments.costs.device import autocast, hardware, peak_memory, synchronise, this_device
from experiments.costs.measurement import (
    EAGER,
    Measurement,
    MeasurementFailure,
    MeasurementRequest,
    Timing,
    TrainingStep,
    measure_isolated,
)
from experiments.costs.runtimes import Runner, inference, prepare
from experiments.trials.result_types import FinishedTrial
from experiments.trials.results import finished, read_results, write_result
from lightning_modules.normalisation import Normalisation
from models import build_model

WARM_UP, FEWEST, SECONDS = 3, 3, 5.0  # calls that do not count; that do at least; time for more


def latency(
    model: nn.Module,
    size: tuple[int, int],
    precision: str,
    device: torch.device,
    *,
    batch: int = 1,
    runs: int = 20,
) -> Timing:
    """A forward pass of `batch` black images of (height, width), in torch as it trains."""
    image = _black(size, device, batch)
    runner = prepare(model, EAGER, precision, image)
    return _time(runner, image, precision, runs)


def _black(size: tuple[int, int], device: torch.device, batch: int) -> Tensor:
    """Images (batch, 3, height, width), channels-last."""
    return torch.zeros(batch, *size, 3, device=device).permute(0, 3, 1, 2)


def _time(runner: Runner, image: Tensor, precision: str, runs: int = 20) -> Timing:
    with inference(image.device, precision):
        return time_calls(lambda: runner.forward(image), image.device, runs)


def agreement(network: nn.Module, runner: Runner, precision: str, images: Tensor) -> float:
    """Share of the pixels to which the runner gives the class that the network gives in fp32."""
    with inference(images.device, precision):
        ours = runner.forward(images).argmax(1)
    with inference(images.device, "32-true"):
        theirs = network(images).argmax(1)
    return float((ours == theirs).double().mean())


def _streets(size: tuple[int, int], device: torch.device, batch: int) -> Tensor:
    """Procedural streets, normalised, as a batch that looks like photographs to a network."""
    height, width = size
    streets = Streets("test", height=height, width=width, test=batch)
    images = torch.stack([torch.from_numpy(streets[i][0]) for i in range(batch)])
    normalised: Tensor = Normalisation()(images)
    return normalised.to(device)


def train_step(
    model: nn.Module, size: tuple[int, int], precision: str, device: torch.device, *, batch: int
) -> Timing:
    """A step of SGD on the mean cross-entropy of `batch` images of (height, width)."""
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

    return time_calls(step, device, runs=10)


def time_calls(call: Callable[[], object], device: torch.device, runs: int) -> Timing:
    """Three calls warm up; more follow until `runs` are timed or five seconds have passed."""
    times: list[float] = []
    start = time.perf_counter()
    while len(times) < WARM_UP + FEWEST or (
        len(times) < WARM_UP + runs and time.perf_counter() - start < SECONDS
    ):
        synchronise(device)
        before = time.perf_counter()
        call()
        synchronise(device)
        times.append(1000 * (time.perf_counter() - before))
    timed = times[WARM_UP:]
    low, *_, high = statistics.quantiles(timed, n=10, method="inclusive")
    return Timing(statistics.median(timed), low, high)


def measure(request: MeasurementRequest) -> Measurement:
    """Inference and a training step, here; inference first, as a peak of memory only grows."""
    device = this_device()
    network = build_model(request.model, request.num_classes)
    image = _black(request.size, device, request.batch)
    runner = prepare(network, request.runtime, request.precision, image)
    timing, memory = _time(runner, image, request.precision), peak_memory(device)
    agreed = None
    if request.compared:
        streets = _streets(request.size, device, request.batch)
        agreed = agreement(network, runner, request.precision, streets)
    training = None
    if request.train:
        common = (network, request.size, request.precision, device)
        batch = max(request.batch, int(getattr(network, "min_train_batch", 1)))
        step = train_step(*common, batch=batch)
        training = TrainingStep(batch, step, peak_memory(device).gigabytes)
    return Measurement(
        request,
        timing,
        memory.gigabytes,
        training,
        memory_kind=memory.kind,
        threads=torch.get_num_threads(),
        device=device.type,
        hardware=hardware(device),
        torch=torch.__version__,
        ran_in=runner.ran_in,
        start_up_s=runner.start_up_s,
        agreement=agreed,
    )


@dataclass(frozen=True)
class Remeasurement:
    """Milliseconds of a trial's network as they were and as they are."""

    model: str
    seed: int
    before: float
    now: float


def remeasure_all(folder: Path, threads: int) -> Iterator[Remeasurement]:
    """Time the networks of a folder's finished trials again, one after the other.

    Raises:
        ValueError: no finished trial there, or one that cannot be measured here.
    """
    trials = [trial for trial in finished(read_results(folder)) if trial.cost]
    if not trials:
        raise ValueError(f"no finished trial in {folder}: run a comparison first")
    for trial in trials:
        yield remeasure(trial, threads)


def remeasure(trial: FinishedTrial, threads: int) -> Remeasurement:
    """Time a finished trial's network again, alone, and renew its result file.

    Raises:
        ValueError: the trial ran on another kind of device, or the network cannot be measured.
    """
    cost = trial.cost
    assert cost is not None  # predictions from elsewhere have none, nor a network
    if cost.device != this_device().type:
        raise ValueError(f"{trial.path} was measured on {cost.device}: measure it there again")
    request = MeasurementRequest(
        trial.model, len(trial.data.classes), cost.size, cost.precision, train=False
    )
    again = measure_isolated(request, threads)
    if isinstance(again, MeasurementFailure):
        raise ValueError(f"{trial.model} cannot be measured: {again.reason}")
    renewed = {
        **again.latency.to_json("latency_ms"),
        "threads": again.threads,
        "hardware": again.hardware,
    }
    write_result(trial.model_copy(update={"cost": cost.model_copy(update=renewed)}))
    return Remeasurement(trial.model, trial.seed, cost.latency_ms, again.latency.median)


def main(text: str) -> int:
    """The answer as one line of JSON, which says in one sentence what went wrong, if it did."""
    request = MeasurementRequest.from_json(json.loads(text))
    answer: Measurement | MeasurementFailure
    try:
        answer = measure(request)
    except (RuntimeError, ValueError, ArithmeticError) as error:  # out of memory is a RuntimeError
        reason = str(error).strip().split("\n")[0]
        answer = MeasurementFailure(request.model, reason, request.runtime)
    print(json.dumps(answer.to_json()))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
