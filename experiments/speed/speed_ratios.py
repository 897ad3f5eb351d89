"""How long one way of computing takes against another that ran beside it; without torch.

A ratio of two blocks of calls that alternate in one process holds on a busy machine, where seconds
of different minutes say little.
"""

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich import box
from rich.table import Table

from datamodules.json_file import DamagedError, as_object, parse_json, read_json
from experiments.trials.atomic_io import write_json
from experiments.trials.environment import ALLOCATOR, SPIN_BRIEFLY


@dataclass(frozen=True)
class SpeedRatio:
    """Two ways of doing the same, in pairs of blocks that ran one after the other.

    Attributes:
        what: is done, with its size.
        ours, other: the two ways.
        ours_ms, other_ms: of a call, in each block.
    """

    what: str
    ours: str
    other: str
    ours_ms: tuple[float, ...]
    other_ms: tuple[float, ...]

    @property
    def ratios(self) -> list[float]:
        return [a / b for a, b in zip(self.ours_ms, self.other_ms, strict=True)]

    @property
    def median(self) -> float:
        return statistics.median(self.ratios)

    def to_json(self) -> dict[str, object]:
        return {**asdict(self), "median_ratio": self.median, "ratios": self.ratios}


@dataclass(frozen=True)
class Benchmark:
    """Ratios, and what they were measured on."""

    ratios: tuple[SpeedRatio, ...]
    hardware: str
    threads: int
    torch: str
    version: str
    """Of this project."""

    def write(self, folder: Path) -> Path:
        """As JSON, named by the hardware."""
        name = "-".join("".join(c if c.isalnum() else " " for c in self.hardware).lower().split())
        path = folder / f"{name}.json"
        record = {**asdict(self), "ratios": [ratio.to_json() for ratio in self.ratios]}
        write_json(path, record)
        return path


def ratio_table(benchmark: Benchmark) -> Table:
    """A row a ratio, within 80 columns."""
    table = Table(
        title="Speed, as ratios of one run",
        box=box.SIMPLE,
        pad_edge=False,
        caption=f"{benchmark.hardware}, {benchmark.threads} threads, torch {benchmark.torch}; "
        "medians over pairs of blocks that alternate, with the lowest and the highest",
    )
    table.add_column("what", overflow="fold")
    table.add_column("ours", overflow="fold")
    table.add_column("against", overflow="fold")
    for name in ("ratio", "from-to"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in benchmark.ratios:
        spread = f"{min(row.ratios):.2f}-{max(row.ratios):.2f}"
        table.add_row(row.what, row.ours, row.other, f"{row.median:.2f}", spread)
    return table


def markdown_table(benchmark: Benchmark) -> str:
    """The same for a page."""
    head = "| what | ours | against | ratio | from, to |\n|---|---|---|---:|---:|"
    rows = [
        f"| {row.what} | {row.ours} | {row.other} | {row.median:.2f} | "
        f"{min(row.ratios):.2f}, {max(row.ratios):.2f} |"
        for row in benchmark.ratios
    ]
    where = f"({benchmark.hardware}, {benchmark.threads} threads, torch {benchmark.torch}.)"
    return "\n".join([head, *rows, "", where])


def read_benchmark(path: Path) -> Benchmark:
    """A benchmark as `Benchmark.write` keeps it.

    Raises:
        ValueError: a damaged file.
    """
    record = as_object(read_json(path, _AGAIN), str(path), _AGAIN)
    rows = record.pop("ratios")
    try:
        ratios = tuple(_ratio(row) for row in rows)  # type: ignore[attr-defined]
        return Benchmark(ratios, **record)  # type: ignore[arg-type]
    except (TypeError, KeyError, AttributeError) as error:
        raise DamagedError(f"{path} is no benchmark ({error}): {_AGAIN}") from None


def _ratio(record: dict[str, object]) -> SpeedRatio:
    what, ours, other = (str(record[key]) for key in ("what", "ours", "other"))
    ours_ms, other_ms = (record[key] for key in ("ours_ms", "other_ms"))
    return SpeedRatio(what, ours, other, tuple(ours_ms), tuple(other_ms))  # type: ignore[arg-type]


def paired(
    what: str, ours: tuple[str, Sequence[float]], other: tuple[str, Sequence[float]]
) -> SpeedRatio:
    """Of names with milliseconds a call, block by block."""
    return SpeedRatio(what, ours[0], other[0], tuple(ours[1]), tuple(other[1]))


def measure_speed(runtimes: Sequence[str], threads: int) -> Iterator[SpeedRatio | Benchmark]:
    """Ratios as they are found, then all of them, by a process with the threads of a trial's.

    Raises:
        ValueError: it ended before, with its reason.
    """
    ratios: list[SpeedRatio] = []
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "experiments.training.speed_benchmark", *runtimes],
            env={"OMP_NUM_THREADS": str(threads), **ALLOCATOR, **SPIN_BRIEFLY, **os.environ},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        with process:
            assert process.stdout is not None
            for line in process.stdout:
                found = as_object(parse_json(line, _SAID, _AGAIN), _SAID, _AGAIN)
                if "hardware" in found:
                    yield Benchmark(tuple(ratios), **found)  # type: ignore[arg-type]
                    return
                ratios.append(_ratio(found))
                yield ratios[-1]
        log.seek(0)
        said = log.read().strip().splitlines() or [f"status {process.returncode}"]
    raise ValueError(f"the benchmark ended early ({said[-1]}): {_AGAIN}")


_SAID, _AGAIN = "what the benchmark said", "run it again"
