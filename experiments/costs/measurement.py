"""What is measured of a network, as values, and the process that each measurement gets; no torch.

A measurement is JSON in two places, in the answer of its process and in `measured.json`, which are
the same: `parse_answer` reads it, `to_json` writes it.
"""

import importlib.util
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from datamodules.json_file import DamagedError, as_object, parse_json
from experiments.trials.atomic_io import write_json
from experiments.trials.environment import ALLOCATOR

Json = Mapping[str, Any]  # as it is read
EAGER = "eager"  # torch as it trains
# What runs a network, and the libraries that it needs beside torch.
RUNTIMES: dict[str, tuple[str, ...]] = {
    EAGER: (),
    "compiled": (),
    "openvino": ("openvino", "onnxscript"),
    "onnxruntime": ("onnxruntime", "onnxscript"),
}


def check_libraries(runtimes: Sequence[str]) -> None:
    """Whether all can be imported, without doing so.

    Raises:
        ValueError: one is not installed.
    """
    for runtime in runtimes:
        for library in _lacking(runtime):
            raise ValueError(
                f"{runtime} needs {library}, which is not installed: pip install -e "
                f"'.[runtimes]', or leave {runtime} out of --runtime"
            )


def installed(runtimes: Iterable[str]) -> list[str]:
    """Those whose libraries are all here."""
    return [runtime for runtime in runtimes if not _lacking(runtime)]


def _lacking(runtime: str) -> list[str]:
    return [name for name in RUNTIMES[runtime] if importlib.util.find_spec(name) is None]


@dataclass(frozen=True)
class MeasurementRequest:
    """What a process is asked to measure.

    Attributes:
        model: name with options.
        size: (height, width) of the images.
        precision: of `trials.recipe.PRECISIONS`.
        batch: images a pass.
        train: whether a training step is timed as well; it runs eager whatever the runtime.
        runtime: of `RUNTIMES`; what runs inference.
        compared: whether the classes found are held against those of torch in fp32.
    """

    model: str
    num_classes: int
    size: tuple[int, int]
    precision: str
    batch: int = 1
    train: bool = True
    runtime: str = EAGER
    compared: bool = False

    @classmethod
    def from_json(cls, record: Json) -> "MeasurementRequest":
        names = cls.__dataclass_fields__
        values = {name: record[name] for name in names}
        return cls(**{**values, "size": tuple(record["size"])})


@dataclass(frozen=True)
class Timing:
    """Milliseconds of several calls: median, 10th and 90th percentile."""

    median: float
    p10: float
    p90: float

    @classmethod
    def from_json(cls, record: Json, name: str) -> "Timing":
        return cls(record[name], record[f"{name}_p10"], record[f"{name}_p90"])

    def to_json(self, name: str) -> dict[str, float]:
        return {name: self.median, f"{name}_p10": self.p10, f"{name}_p90": self.p90}


@dataclass(frozen=True)
class TrainingStep:
    """A step of training: images, milliseconds, and gigabytes at the highest point."""

    batch: int
    time: Timing
    memory_gb: float


@dataclass(frozen=True)
class Measurement:
    """Inference, and a training step if one was asked for, in a process of their own.

    Attributes:
        latency: of a forward pass of `request.batch` images.
        memory_gb: gigabytes at the highest point of inference.
        memory_kind: what of the memory was counted.
        device: "cpu" or "cuda".
        hardware: the model of the processor or GPU.
        torch: its version.
        ran_in: "fp32", "tf32", "bf16" or "fp16": what convolutions of inference really computed in.
        start_up_s: seconds from the network to its first logits: exporting, compiling.
        agreement: share of the pixels of a procedural street that get the class that torch gives
            them in fp32; None where they were not compared.
    """

    request: MeasurementRequest
    latency: Timing
    memory_gb: float
    training: TrainingStep | None
    memory_kind: str
    threads: int
    device: str
    hardware: str
    torch: str
    ran_in: str
    start_up_s: float
    agreement: float | None = None

    @property
    def model(self) -> str:
        return self.request.model

    @property
    def runtime(self) -> str:
        return self.request.runtime

    def to_json(self) -> dict[str, object]:
        trained = {}
        if self.training is not None:
            trained = {
                "train_batch": self.training.batch,
                **self.training.time.to_json("train_step_ms"),
                "train_memory_gb": self.training.memory_gb,
            }
        return {
            **asdict(self.request),
            **self.latency.to_json("latency_ms"),
            "inference_memory_gb": self.memory_gb,
            **trained,
            "memory_kind": self.memory_kind,
            "threads": self.threads,
            "device": self.device,
            "hardware": self.hardware,
            "torch": self.torch,
            "ran_in": self.ran_in,
            "start_up_s": self.start_up_s,
            "agreement": self.agreement,
        }


@dataclass(frozen=True)
class MeasurementFailure:
    """Why a network could not be measured, in one sentence."""

    model: str
    reason: str
    runtime: str = EAGER

    def to_json(self) -> dict[str, object]:
        return {"model": self.model, "runtime": self.runtime, "failed": self.reason}


_CONDITIONS = (
    *("memory_kind", "threads", "device", "hardware", "torch"),
    *("ran_in", "start_up_s", "agreement"),
)


def parse_answer(record: Json) -> Measurement | MeasurementFailure:
    """A measurement from its JSON."""
    if "failed" in record:
        return MeasurementFailure(record["model"], record["failed"], record["runtime"])
    request = MeasurementRequest.from_json(record)
    training = None
    if request.train:
        time = Timing.from_json(record, "train_step_ms")
        training = TrainingStep(record["train_batch"], time, record["train_memory_gb"])
    return Measurement(
        request,
        Timing.from_json(record, "latency_ms"),
        record["inference_memory_gb"],
        training,
        **{key: record[key] for key in _CONDITIONS},
    )


def measure_isolated(request: MeasurementRequest, threads: int) -> Measurement | MeasurementFailure:
    """Measure in a process of its own, as a trial has one."""
    done = subprocess.run(
        [sys.executable, "-m", "experiments.costs.benchmark", json.dumps(asdict(request))],
        env={"OMP_NUM_THREADS": str(threads), **ALLOCATOR, **os.environ},
        capture_output=True,
        text=True,
    )
    if done.returncode == 0:
        lines = done.stdout.splitlines() or [""]
        try:
            answer = parse_json(lines[-1], "what its process answered", "measure it again")
            return parse_answer(as_object(answer, "what its process answered", "measure it again"))
        except (DamagedError, KeyError, TypeError) as error:
            reason = f"no measurement came back ({error})"
            return MeasurementFailure(request.model, reason, request.runtime)
    if done.returncode < 0:
        name = signal.Signals(-done.returncode).name
        reason = f"ended by {name}{' (out of memory?)' if name == 'SIGKILL' else ''}"
    else:
        reason = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
    return MeasurementFailure(request.model, reason, request.runtime)


def measure_all(
    requests: Sequence[MeasurementRequest], threads: int, path: Path
) -> list[Measurement | MeasurementFailure]:
    """A process a network and runtime, in shuffled order, so that drift, as a processor's heat,
    falls on none by its place in the list; `path` is renewed, and a line printed, after each."""
    found: dict[MeasurementRequest, Measurement | MeasurementFailure] = {}
    for request in random.sample(requests, len(requests)):
        answer = found[request] = measure_isolated(request, threads)
        write_json(path, [found[r].to_json() for r in requests if r in found])
        said = answer.reason if isinstance(answer, MeasurementFailure) else "measured"
        runtime = "" if request.runtime == EAGER else f" ({request.runtime})"
        print(f"{request.model}{runtime}: {said}", flush=True)
    return [found[request] for request in requests]
