"""Runs trials as processes, some at a time; one that fails leaves the rest alone."""

import signal
import time
from collections.abc import Sequence

from rich.console import Console

from experiments.comparison.process_view import watch
from experiments.comparison.trial_process import TrialProcess


def run_processes(
    processes: Sequence[TrialProcess], *, jobs: int, threads: int, console: Console
) -> None:
    """Run every process, `jobs` at a time, and show how far all of them are.

    On Ctrl-C or SIGTERM all are ended before KeyboardInterrupt goes on.
    """
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        with watch(processes, console) as show:
            waiting = list(processes)
            while waiting or any(p.process for p in processes):
                while waiting and sum(p.process is not None for p in processes) < jobs:
                    waiting.pop(0).start(jobs, threads)
                time.sleep(0.2)
                for process in processes:
                    process.poll()
                show()
    finally:
        for process in processes:
            if process.process is not None:
                process.stop()
        signal.signal(signal.SIGTERM, before)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
