"""Images a second of training and inference, as values, in processes of their own; no torch.

A process that is killed, as for want of time or memory, leaves the figures that it had: each is a
line of JSON in its file as soon as it is known.
"""

import json
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from datamodules.json_file import DamagedError, as_object, parse_json
from experiments.costs.measurement import Json
from experiments.trials.environment import ALLOCATOR
from experiments.trials.limited_process import run_limited, why_ended

Way = Literal["ours", "ours, compiled", "ours, all GPUs", "usual"]
Task = Literal["training", "inference"]

# The networks of the lecture, those first of which most hangs, so that any first part is of use.
LECTURE = (
    *("hrnetv2_w48", "unet", "deeplabv3p", "hrnetv2_w18", "deeplabv3", "pspnet"),
    *("dilated_resnet", "segnet", "dilatednet", "deconvnet", "deeplabv1", "unetpp"),
)
EAGER_FIRST = 3  # networks that run eagerly before one is compiled, which takes half a minute
ALL_GPUS: Way = "ours, all GPUs"
PROCESS = "experiments.speed.throughput_process"


@dataclass(frozen=True)
class Roofline:
    """Measured speeds of a card: 1e12 operations a second of matrix products, and 1e9 bytes a
    second that a copy reads and writes."""

    bf16_tflops: float
    tf32_tflops: float
    fp32_tflops: float
    copy_gb_s: float

    @classmethod
    def from_json(cls, record: Json) -> "Roofline":
        return cls(**{name: float(record[name]) for name in cls.__dataclass_fields__})


@dataclass(frozen=True)
class ThroughputRequest:
    """What a process is asked to measure of a network.

    Attributes:
        compiled: ours through torch.compile; else ours and the usual way, eagerly.
        ranks: processes that train together, a GPU each; above 1 nothing else is measured.
        train_size, infer_size: (height, width) of the images.
        train_batch, infer_batch: images a pass.
        workers: reading processes of the usual way.
        seconds: of each measurement, after what warms up.
    """

    model: str
    compiled: bool = False
    ranks: int = 1
    num_classes: int = 19
    train_size: tuple[int, int] = (512, 1024)
    infer_size: tuple[int, int] = (1024, 2048)
    train_batch: int = 2
    infer_batch: int = 1
    workers: int = 4
    seconds: float = 1.0

    @classmethod
    def from_json(cls, record: Json) -> "ThroughputRequest":
        values = {name: record[name] for name in cls.__dataclass_fields__}
        sizes = {name: tuple(record[name]) for name in ("train_size", "infer_size")}
        return cls(**{**values, **sizes})

    @property
    def figures(self) -> list[tuple[Way, Task]]:
        """What comes of it, in order."""
        if self.ranks > 1:
            return [(ALL_GPUS, "training")]
        if self.compiled:
            return [("ours, compiled", "inference"), ("ours, compiled", "training")]
        return [
            *(("ours", "training"), ("usual", "training")),
            *(("ours", "inference"), ("usual", "inference")),
        ]


@dataclass(frozen=True)
class Throughput:
    """One network, way and task.

    Attributes:
        batch: images a step, of all ranks together.
        step_ms: median milliseconds of a step.
        peak_gb: the most memory that was allocated at once; on a CPU of the process so far.
        of_products: share of the measured speed of bf16 matrix products that each GPU achieved,
            by 2 x multiply-adds, x 3 in training.
        of_roofline: the least time by that speed and the copies', over the time taken.
        first_s: seconds until the first step had ended: start-up, or compilation.
        time_use: share of the step by kind of work, see `speed.time_use`; empty where no profile
            was taken.
    """

    model: str
    way: Way
    task: Task
    batch: int
    images_per_second: float
    step_ms: float
    peak_gb: float
    of_products: float
    of_roofline: float
    first_s: float
    time_use: Mapping[str, float]

    def to_json(self) -> dict[str, object]:
        return asdict(self)


@dataclass(frozen=True)
class ThroughputFailure:
    """Why there is no figure, in one sentence."""

    model: str
    way: Way
    task: Task
    failed: str

    def to_json(self) -> dict[str, object]:
        return asdict(self)


Row = Throughput | ThroughputFailure


def row_from_json(record: Json) -> Row:
    """A row of `throughput.json`, and a line of a process.

    Raises:
        KeyError, TypeError: it is none.
    """
    kind = ThroughputFailure if "failed" in record else Throughput
    return kind(**{name: record[name] for name in kind.__dataclass_fields__})


def order(
    models: Sequence[str], cards: int = 1, like: ThroughputRequest | None = None
) -> list[ThroughputRequest]:
    """What to measure, so that any first part is of use: some eagerly, of several cards the first
    on all of them, then in turn one compiled and one eagerly. HRNets, of a thousand kernels,
    compile for minutes: they do so last.

    Args:
        like: what else to ask; None for the papers' sizes.
    """
    like = like or ThroughputRequest("")
    eager = [replace(like, model=model) for model in models]
    compiled = [replace(one, compiled=True) for one in eager]
    compiled.sort(key=lambda request: request.model.startswith("hrnet"))
    found, eager = eager[:EAGER_FIRST], eager[EAGER_FIRST:]
    if cards > 1:
        found.append(replace(like, model=models[0], ranks=cards))
    while compiled or eager:
        found += compiled[:1] + eager[:1]
        compiled, eager = compiled[1:], eager[1:]
    return found


def measure_network(
    request: ThroughputRequest, roofline: Roofline, seconds: float, folder: Path
) -> list[Row]:
    """Every figure of a request, or why it is missing, by a process that ends after `seconds`.

    Args:
        folder: keeps what the process printed.
    """
    asked = {"request": asdict(request), "roofline": asdict(roofline)}
    kind = f"{request.ranks}-ranks" if request.ranks > 1 else _kind(request)
    log = folder / f"{request.model.replace('/', '_')}-{kind}.txt"
    lines, status = _lines_of(asked, seconds, log)
    rows: list[Row] = [row_from_json(line) for line in lines]
    known = {(row.way, row.task) for row in rows}
    reason = why_ended(status, log, seconds)
    for way, task in request.figures:
        if (way, task) not in known:
            rows.append(ThroughputFailure(request.model, way, task, reason))
    return rows


def _kind(request: ThroughputRequest) -> str:
    return "compiled" if request.compiled else "eager"


def measure_card(seconds: float, folder: Path) -> Roofline | str:
    """The roofline of the first GPU, or why it could not be measured."""
    log = folder / "roofline.txt"
    lines, status = _lines_of({}, seconds, log)
    if lines and status == 0:
        return Roofline.from_json(lines[0])
    return why_ended(status, log, seconds)


def _lines_of(asked: Json, seconds: float, log: Path) -> tuple[list[Json], int | None]:
    """What a process has written, and how it ended."""
    with tempfile.TemporaryDirectory() as place:
        answers = Path(place) / "lines.jsonl"
        command = [sys.executable, "-m", PROCESS, str(answers), json.dumps(asked)]
        status = run_limited(command, seconds, log, environment=ALLOCATOR)
        return list(whole_lines(answers)), status


def whole_lines(path: Path) -> Iterator[dict[str, object]]:
    """The objects of a file of JSON lines, but for a last one that was cut."""
    content = path.read_bytes() if path.is_file() else b""
    for line in content.splitlines(keepends=True):
        if line.endswith(b"\n"):
            try:
                yield as_object(parse_json(line, str(path), "run it again"), str(path), "")
            except DamagedError:
                continue
