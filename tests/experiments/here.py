"""Trials of the real commands in this process, where it does not matter that they have their own.

The process of a trial takes six seconds of a core to import torch and what else a training needs,
where the training of a few steps takes one. These are the commands as they are typed, and trials
with the arguments that their processes would be given; each reads for itself.
"""

import contextlib
import io
import os
import subprocess
import warnings
from collections.abc import Callable, Iterator, Sequence
from unittest.mock import patch

from experiments import compare as compare_command
from experiments import run as run_command
from experiments.comparison.trial_process import TrialProcess
from experiments.engines.job import ProcessState
from tests.commands import exit_status


def trial(*args: object) -> tuple[int, str]:
    """`python -m experiments.run args`: exit status and everything printed."""
    return _call(run_command.main, *args, "--workers", 0)


def compare(*args: object) -> tuple[int, str]:
    """`python -m experiments.compare args`, its trials one after the other."""
    with patch("experiments.comparison.launcher.run_processes", _run):
        return _call(compare_command.main, *args)


@contextlib.contextmanager
def verifying() -> Iterator[None]:
    """What `verify` trains again it trains here."""
    with patch("experiments.comparison.verifier.subprocess.run", _done):
        yield


def _run(processes: Sequence[TrialProcess], *_: object) -> None:
    for process in processes:
        status, text = trial(*process.arguments)
        process.state = ProcessState.FAILED if status else ProcessState.DONE
        process.note = text.strip().splitlines()[-1] if status else ""


def _done(command: Sequence[str], **_: object) -> "subprocess.CompletedProcess[str]":
    assert list(command[1:3]) == ["-m", "experiments.run"]
    return subprocess.CompletedProcess(command, *trial(*command[3:]), "")


def _call(main: Callable[[list[str]], int], *args: object) -> tuple[int, str]:
    with (
        contextlib.redirect_stdout(io.StringIO()) as printed,
        contextlib.redirect_stderr(printed),
        warnings.catch_warnings(),
        patch.dict(os.environ, {"COLUMNS": "80"}),
    ):
        warnings.simplefilter("default")  # as in a process of its own
        return exit_status(main, *args), printed.getvalue()
