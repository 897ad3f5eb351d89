"""`make gpu`: what a machine with GPUs is asked in a few minutes, each answer kept as it comes."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from rich.console import Console

from experiments import __version__
from experiments.comparison.gpu_tests import run_gpu_tests
from experiments.comparison.gpu_throughput import run_throughput
from experiments.comparison.gpu_trials import GpuTrials, run_gpu_trials
from experiments.speed.gpu_machine import GpuMachine
from experiments.trials.atomic_io import check_writable, write_json

Part = Literal["tests", "throughput", "trials"]
Clock = Callable[[], float]
# Share of the time, among the parts that are left: what one does not need, those after it get.
SHARES: Mapping[Part, float] = {"tests": 0.35, "throughput": 0.42, "trials": 0.23}
PARTS: tuple[Part, ...] = tuple(SHARES)


@dataclass(frozen=True)
class GpuRequest:
    """What to run.

    Attributes:
        seconds: for all parts together.
        out: folder of all cards; a card's results are in one of its name.
        networks: whose throughput is measured, in this order.
    """

    parts: tuple[Part, ...]
    seconds: float
    out: Path
    networks: tuple[str, ...]
    trials: GpuTrials


class PartFile:
    """The JSON file of a part, whole at any moment, that says by itself whether it was finished.

    Args:
        limit: seconds that the part may take.
    """

    def __init__(
        self, path: Path, machine: GpuMachine, limit: float, clock: Clock = time.monotonic
    ) -> None:
        self.path, self.machine, self.limit, self.clock = path, machine, limit, clock
        self.begun, self.date = clock(), datetime.now(UTC).isoformat(timespec="seconds")

    def write(
        self, content: Mapping[str, object], cut_short: str | None = "it was stopped from outside"
    ) -> None:
        """Keep what is known so far.

        Args:
            cut_short: why there is no more; None once all is there. While the part runs it says
                what will be true if nothing more is written.
        """
        head = {
            "version": __version__,
            "date": self.date,
            "machine": self.machine.to_json(),
            "limit_s": round(self.limit),
            "took_s": round(self.clock() - self.begun, 1),
            "cut_short": cut_short,
        }
        write_json(self.path, {**head, **content})


def run_parts(
    request: GpuRequest, machine: GpuMachine, console: Console, clock: Clock = time.monotonic
) -> int:
    """Run the parts one after the other; 0 where all was well, 1 where something failed.

    Raises:
        ValueError: the folder cannot be written to.
    """
    folder = request.out / machine.slug
    check_writable(request.out)
    end, fine = clock() + request.seconds, True
    for number, part in enumerate(request.parts):
        limit = part_seconds(end - clock(), request.parts[number:])
        console.print(f"{part}: at most {limit:.0f} s")
        file = PartFile(folder / f"{part}.json", machine, limit, clock)
        fine = _run(part, request, file, console) and fine
        console.print(f"{part}: in {clock() - file.begun:.0f} s; {file.path}", soft_wrap=True)
    return 0 if fine else 1


def part_seconds(left: float, parts: Sequence[Part]) -> float:
    """What the first of the parts that are left may take of the time that is left."""
    return max(0.0, left) * SHARES[parts[0]] / sum(SHARES[part] for part in parts)


def _run(part: Part, request: GpuRequest, file: PartFile, console: Console) -> bool:
    def say(text: str) -> None:
        console.print(f"  {text}", soft_wrap=True)

    if part == "tests":
        return run_gpu_tests(file.limit, file.write, say)
    if part == "throughput":
        return run_throughput(request.networks, file.machine.cards, file.limit, file.write, say)
    return run_gpu_trials(request.trials, file.machine, file.limit, file.write, say)
