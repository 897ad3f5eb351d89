"""How far jobs are, as a table that is kept up to date or, without a terminal, in lines."""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from experiments.engines.job import Job, ProcessState, clock

_EVERY = 30.0  # seconds between lines about a running trial where there is no terminal
_STYLES = {ProcessState.FAILED: "red", ProcessState.HELD: "yellow", ProcessState.DONE: "green"}
_COUNTED = (ProcessState.RUNNING, ProcessState.FAILED, ProcessState.HELD)


@contextlib.contextmanager
def watch(jobs: Sequence[Job], console: Console) -> Iterator[Callable[[], None]]:
    """Show the jobs from now on; the yielded function brings it up to date."""
    begun = time.monotonic()
    if console.is_terminal:
        with Live(_table(jobs, begun), console=console, refresh_per_second=4) as live:
            yield lambda: live.update(_table(jobs, begun))
            live.update(_table(jobs, begun))
    else:
        lines = _Lines(jobs, console, begun)
        yield lines.say


def _table(jobs: Sequence[Job], begun: float) -> Table:
    title = progress(jobs, begun)
    table = Table(box=None, pad_edge=False, title=title, title_justify="left")
    for job in jobs:
        shown = Text(job.state.value, _STYLES.get(job.state, ""))
        table.add_row(job.name, shown, f"{job.where} {job.note}".strip())
    return table


class _Lines:
    """A line where a process changes its state, and now and then about one that runs."""

    def __init__(self, jobs: Sequence[Job], console: Console, begun: float) -> None:
        self.jobs, self.console, self.begun = jobs, console, begun
        self.said: dict[str, tuple[ProcessState, float]] = {}  # last of each, and when

    def say(self) -> None:
        for job in self.jobs:
            now = time.monotonic()
            state, since = self.said.get(job.name, (None, 0.0))
            late = job.state is ProcessState.RUNNING and now - since > _EVERY
            if state is not job.state or late:
                self.said[job.name] = job.state, now
                if job.state is not ProcessState.WAITING:
                    words = (job.state.value, job.where, job.note)
                    line = f"{job.name}: {' '.join(filter(None, words))}"
                    whole = f"{line} ({progress(self.jobs, self.begun)})"
                    self.console.print(whole, soft_wrap=True, markup=False)


def progress(jobs: Sequence[Job], begun: float) -> str:
    """`2 of 3 done, 1 running, about 4:10 left`; `begun` is of the monotonic clock."""
    states = [job.state for job in jobs]
    parts = [f"{states.count(ProcessState.DONE)} of {len(jobs)} done"]
    parts += [f"{states.count(state)} {state.value}" for state in _COUNTED if state in states]
    fraction = sum(job.fraction for job in jobs) / len(jobs)
    done = fraction - sum(job.resumed or 0.0 for job in jobs) / len(jobs)
    if done > 0.02 and fraction < 1:
        left = (time.monotonic() - begun) * (1 - fraction) / done
        parts.append(f"about {clock(left)} left")
    return ", ".join(parts)
