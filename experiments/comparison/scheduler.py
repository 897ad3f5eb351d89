"""Runs trials as processes, some at a time, and shows how far the whole comparison is."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from experiments.trials.atomic_io import write_json
from experiments.trials.environment import ALLOCATOR, is_main_node
from experiments.trials.results import read_result
from experiments.trials.trial import Trial

_PLAIN_EVERY = 30.0  # seconds between lines about a running trial where there is no terminal


@dataclass
class TrialProcess:
    """One trial of the comparison and where it is."""

    trial: Trial
    identity: dict[str, Any]  # for the result of a process that dies without writing one
    command: list[str]
    state: str = "waiting"  # waiting, running, done, failed, held, stopped
    note: str = ""
    started: float = 0.0
    fraction: float = 0.0
    resumed: float | None = None  # the fraction that took this call no time
    process: "subprocess.Popen[bytes] | None" = None
    spoken: float = 0.0  # when a line about it was last printed
    log_start: int = 0

    @property
    def name(self) -> str:
        return self.trial.name

    @property
    def log(self) -> Path:
        return self.trial.folder / "log.txt"

    def said(self) -> list[str]:
        """Lines that the last process printed."""
        text = self.log.read_bytes()[self.log_start :].decode(errors="replace")
        return text.strip().splitlines()


def run_cells(cells: list[TrialProcess], *, jobs: int, threads: int, console: Console) -> None:
    """Run every cell, `jobs` at a time; one that fails leaves the rest alone.

    On Ctrl-C or SIGTERM all processes are ended before KeyboardInterrupt goes on.
    """
    before = signal.signal(signal.SIGTERM, _interrupt)
    begun = time.monotonic()
    try:
        with _view(cells, console, begun) as show:
            waiting = list(cells)
            while waiting or any(c.process for c in cells):
                while waiting and sum(c.process is not None for c in cells) < jobs:
                    _start(waiting.pop(0), jobs, threads)
                time.sleep(0.2)
                for cell in cells:
                    _poll(cell)
                show()
    finally:
        _stop([c for c in cells if c.process])
        signal.signal(signal.SIGTERM, before)


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


def _start(cell: TrialProcess, jobs: int, threads: int) -> None:
    cell.trial.folder.mkdir(parents=True, exist_ok=True)
    (cell.trial.folder / "progress.json").unlink(missing_ok=True)
    environment = {
        "OMP_NUM_THREADS": str(threads),
        **ALLOCATOR,
        **os.environ,
        "COMPARE_PID": str(os.getpid()),
        "COMPARE_JOBS": str(jobs),
        "PYTHONUNBUFFERED": "1",
    }
    cell.log_start = cell.log.stat().st_size if cell.log.is_file() else 0
    with cell.log.open("ab") as log:
        cell.process = subprocess.Popen(
            [sys.executable, "-m", "experiments.run", *cell.command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,  # a Ctrl-C reaches compare alone, which ends its children
        )
    cell.state, cell.started = "running", time.monotonic()


def _poll(cell: TrialProcess) -> None:
    if cell.process is None:
        return
    code = cell.process.poll()
    if code is None:
        with contextlib.suppress(OSError, ValueError):
            at = json.loads((cell.trial.folder / "progress.json").read_text())
            cell.fraction = 0.95 * at["step"] / at["steps"]  # the rest: prediction and scoring
            cell.resumed = cell.fraction if cell.resumed is None else cell.resumed
            cell.note = f"{at['stage']} {at['step']}/{at['steps']}"
        return
    cell.process, cell.fraction = None, 1.0
    seconds = time.monotonic() - cell.started
    if code == 0:
        result = read_result(cell.trial.result_path)
        miou = result["metrics"]["miou"] if result and result.done else None
        cell.state = "done"
        cell.note = f"{'' if miou is None else f'mIoU {100 * miou:.1f} % '}in {_clock(seconds)}"
    elif code == 3:
        cell.state, cell.note, cell.resumed = "held", cell.said()[-1], 1.0
    else:
        cell.state, cell.note, cell.resumed = "failed", _reason(cell, code), 1.0


def _reason(cell: TrialProcess, code: int) -> str:
    """Why a trial failed; a process that could not say so itself gets its result written here."""
    result = read_result(cell.trial.result_path)
    if result is not None and not result.done and code == 1:
        return str(result["reason"])
    failures = [line for line in cell.said() if line.startswith("failed: ")]
    if failures:  # of another rank, after which this one was ended
        reason = failures[0].removeprefix("failed: ")
    elif code < 0:
        name = signal.Signals(-code).name
        hint = " (out of memory?)" if name == "SIGKILL" else ""
        reason = f"ended by {name}{hint}; see {cell.log.name} in its folder"
    else:
        reason = (cell.said() or [f"exit status {code}"])[-1]
    if is_main_node():
        write_json(cell.trial.result_path, {**cell.identity, "status": "failed", "reason": reason})
    return reason


def _stop(cells: list[TrialProcess]) -> None:
    """Kill processes with all they started: every file is whole at any moment, and a process that
    is asked to end may take its companions' end for a failure of its own and record it."""
    for cell in cells:
        if cell.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(cell.process.pid, signal.SIGKILL)
            cell.process.wait()
        cell.process, cell.state = None, "stopped"


@contextlib.contextmanager
def _view(
    cells: list[TrialProcess], console: Console, begun: float
) -> Iterator[Callable[[], None]]:
    """A live table on a terminal, lines elsewhere; the yielded function brings it up to date."""
    if console.is_terminal:
        with Live(_table(cells, begun), console=console, refresh_per_second=4) as live:
            yield lambda: live.update(_table(cells, begun))
            live.update(_table(cells, begun))
    else:
        said: dict[str, str] = {}
        yield lambda: _say(cells, begun, said, console)


def _table(cells: list[TrialProcess], begun: float) -> Table:
    table = Table(box=None, pad_edge=False, title=_summary(cells, begun), title_justify="left")
    for cell in cells:
        style = {"failed": "red", "held": "yellow", "done": "green"}.get(cell.state, "")
        table.add_row(cell.name, f"[{style}]{cell.state}" if style else cell.state, cell.note)
    return table


def _say(cells: list[TrialProcess], begun: float, said: dict[str, str], console: Console) -> None:
    for cell in cells:
        now = time.monotonic()
        changed = said.get(cell.name) != cell.state
        if changed or (cell.state == "running" and now - cell.spoken > _PLAIN_EVERY):
            said[cell.name], cell.spoken = cell.state, now
            if cell.state != "waiting":
                line = f"{cell.name}: {cell.state} {cell.note}".rstrip()
                console.print(f"{line} ({_summary(cells, begun)})", soft_wrap=True, markup=False)


def _summary(cells: list[TrialProcess], begun: float) -> str:
    """`2 of 3 done, 1 running, about 4:10 left`."""
    states = [cell.state for cell in cells]
    parts = [f"{states.count('done')} of {len(cells)} done"]
    parts += [f"{states.count(s)} {s}" for s in ("running", "failed", "held") if s in states]
    fraction = sum(cell.fraction for cell in cells) / len(cells)
    done = fraction - sum(cell.resumed or 0.0 for cell in cells) / len(cells)
    if done > 0.02 and fraction < 1:
        left = (time.monotonic() - begun) * (1 - fraction) / done
        parts.append(f"about {_clock(left)} left")
    return ", ".join(parts)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
