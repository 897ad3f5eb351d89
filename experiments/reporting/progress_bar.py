"""How far something is, on a terminal or in a log."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from experiments.reporting.console import PlainConsole

_EVERY = 5.0  # seconds between lines of progress where there is no terminal


@contextmanager
def shown_progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal, elsewhere a line now and then; nothing for what takes no time."""
    console = PlainConsole(stderr=True)
    if console.is_terminal:
        count = DownloadColumn() if what == "bytes" else MofNCompleteColumn()
        columns = (TextColumn(what), BarColumn(), count, TimeRemainingColumn())
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task(what)
            yield lambda done, total: bar.update(task, completed=done, total=total)
        return
    unit, name = (10**6, "MB") if what == "bytes" else (1, what)
    last = time.monotonic()

    def line(done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last >= _EVERY:
            last = time.monotonic()
            print(f"{done // unit} of {total // unit} {name}", file=sys.stderr, flush=True)

    yield line
