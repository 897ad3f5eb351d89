"""Starts the real commands, as a user would, in processes of their own."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

ROOT = Path(__file__).parents[1]
# One thread each: the tests compare bits, which depend on it, and run beside each other.
SETTINGS = {
    "OMP_NUM_THREADS": "1",
    "NO_ALBUMENTATIONS_UPDATE": "1",
    "COLUMNS": "80",
}


def start(
    module: str, *args: object, output: Path | None = None, **environment: str
) -> "subprocess.Popen[str]":
    """`python -m module args`; prints go to `output`, or to a pipe."""
    with output.open("w") if output else nullcontext(subprocess.PIPE) as stdout:
        return subprocess.Popen(
            [sys.executable, "-m", module, *map(str, args)],
            cwd=ROOT,
            env={**os.environ, **SETTINGS, **environment},
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            # A shell that runs the tests in the background has them ignore it.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )


def run(module: str, *args: object, **environment: str) -> tuple[int, str]:
    """Exit status and everything printed."""
    process = start(module, *args, output=None, **environment)
    try:
        text, _ = process.communicate(timeout=600)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # else what it left fails tests that come later
        text, _ = process.communicate()
        raise AssertionError(f"{module} did not end in 600 seconds, and printed: {text}") from None
    return process.returncode, text


def exit_status(main: Callable[[list[str]], int], *args: object) -> int:
    """Exit status of a command's `main` in this process, also where it ends by itself."""
    try:
        return main([str(arg) for arg in args])
    except SystemExit as end:
        return int(str(end.code))


def free_port() -> str:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return str(s.getsockname()[1])
