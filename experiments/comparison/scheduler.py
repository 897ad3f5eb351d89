"""Runs trials as processes, some at a time, and shows how far the whole comparison is.

One that fails leaves the rest alone.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from experiments.comparison.gpu_sharing import with_room
from experiments.comparison.placement import Places
from experiments.comparison.trial_process import ProcessState, TrialProcess, clock
from experiments.trials.environment import threads_per_process


def run_processes(
    processes: Sequence[TrialProcess], places: Places, data_root: Path | None, console: Console
) -> None:
    """Run every process, each as soon as it has a place, and show how far all of them are.

    Whatever ends it, all are ended before that goes on.

    Args:
        data_root: folder of their data set.

    Raises:
        ValueError: as `with_room`, before any is started.
    """
    if places.per_device > 1:
        places = with_room(places, [process.trial for process in processes], data_root, console)
    threads = threads_per_process(places.at_a_time * places.devices)
    try:
        with watch(processes, console) as show:
            waiting = list(processes)
            while waiting or any(p.process for p in processes):
                while waiting and (gpus := places.take()) is not None:
                    waiting.pop(0).start(places.at_a_time, threads, gpus)
                time.sleep(0.2)
                for process in [p for p in processes if p.process]:
                    process.poll()
                    if process.process is None:
                        places.give_back(process.gpus)
                show()
    finally:
        for process in processes:
            if process.process is not None:
                process.stop()


_EVERY = 30.0  # seconds between lines about a running trial where there is no terminal
_STYLES = {ProcessState.FAILED: "red", ProcessState.HELD: "yellow", ProcessState.DONE: "green"}
_COUNTED = (ProcessState.RUNNING, ProcessState.FAILED, ProcessState.HELD)


@contextlib.contextmanager
def watch(processes: Sequence[TrialProcess], console: Console) -> Iterator[Callable[[], None]]:
    """Show the processes from now on; the yielded function brings it up to date."""
    begun = time.monotonic()
    if console.is_terminal:
        with Live(_table(processes, begun), console=console, refresh_per_second=4) as live:
            yield lambda: live.update(_table(processes, begun))
            live.update(_table(processes, begun))
    else:
        lines = _Lines(processes, console, begun)
        yield lines.say


def _table(processes: Sequence[TrialProcess], begun: float) -> Table:
    title = progress(processes, begun)
    table = Table(box=None, pad_edge=False, title=title, title_justify="left")
    for process in processes:
        shown = Text(process.state.value, _STYLES.get(process.state, ""))
        table.add_row(process.name, shown, f"{process.where} {process.note}".strip())
    return table


class _Lines:
    """A line where a process changes its state, and now and then about one that runs."""

    def __init__(self, processes: Sequence[TrialProcess], console: Console, begun: float) -> None:
        self.processes, self.console, self.begun = processes, console, begun
        self.said: dict[str, tuple[ProcessState, float]] = {}  # last of each, and when

    def say(self) -> None:
        for process in self.processes:
            now = time.monotonic()
            state, since = self.said.get(process.name, (None, 0.0))
            late = process.state is ProcessState.RUNNING and now - since > _EVERY
            if state is not process.state or late:
                self.said[process.name] = process.state, now
                if process.state is not ProcessState.WAITING:
                    words = (process.state.value, process.where, process.note)
                    line = f"{process.name}: {' '.join(filter(None, words))}"
                    whole = f"{line} ({progress(self.processes, self.begun)})"
                    self.console.print(whole, soft_wrap=True, markup=False)


def progress(processes: Sequence[TrialProcess], begun: float) -> str:
    """`2 of 3 done, 1 running, about 4:10 left`; `begun` is of the monotonic clock."""
    states = [process.state for process in processes]
    parts = [f"{states.count(ProcessState.DONE)} of {len(processes)} done"]
    parts += [f"{states.count(state)} {state.value}" for state in _COUNTED if state in states]
    fraction = sum(process.fraction for process in processes) / len(processes)
    done = fraction - sum(process.resumed or 0.0 for process in processes) / len(processes)
    if done > 0.02 and fraction < 1:
        left = (time.monotonic() - begun) * (1 - fraction) / done
        parts.append(f"about {clock(left)} left")
    return ", ".join(parts)
