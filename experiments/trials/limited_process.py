"""A process with a time limit, which ends with all that it has started."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


def run_limited(
    command: Sequence[str],
    seconds: float,
    log: Path,
    *,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    patience: float = 0.0,
) -> int | None:
    """Exit status of a process, below 0 if a signal ended it; None where its time was over.

    It is the first of its session, so that what it leaves is ended with it, and so that a Ctrl-C
    comes to this process alone, which ends it before it goes on.

    Args:
        log: gets all that it prints, in place of what was there.
        environment: variables beside this process's own.
        folder: that it works in; None for this process's.
        patience: seconds after SIGINT, in which it may save its state, before SIGKILL; 0 for
            SIGKILL at once.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
            # A shell that runs this in its background has it ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
    try:
        return process.wait(max(0.0, seconds))
    except subprocess.TimeoutExpired:
        return None
    finally:
        if process.poll() is None and patience > 0:
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(patience)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def why_ended(status: int | None, log: Path, seconds: float) -> str:
    """Why a process of `run_limited` did not do all of its work, in a few words."""
    if status is None:
        return f"its time of {seconds:.0f} s was over"
    if status < 0:
        name = signal.Signals(-status).name
        return f"ended by {name}{' (out of memory?)' if name == 'SIGKILL' else ''}"
    lines = log.read_text(errors="replace").strip().splitlines() if log.is_file() else []
    return lines[-1][:300] if lines else f"exit status {status}"
