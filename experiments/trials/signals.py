"""What signals that ask a process to end do: Ctrl-C, SIGTERM, SIGHUP of a closed terminal."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

_ASKING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(KeyboardInterrupt):
    """One of the signals has come; `status` is what the process ends with, as shells count."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.status = 128 + number


@contextmanager
def stopped_by_signals(end: Callable[[int], None] | None = None) -> Iterator[None]:
    """Have the first of the signals raise `Stopped`, once: what ends its children is not disturbed.

    A signal that is ignored stays so, as SIGHUP under `nohup`.

    Args:
        end: is called instead with the exit status, and ends the process.
    """
    before = {number: signal.getsignal(number) for number in _ASKING}
    ours = [number for number in _ASKING if before[number] not in (signal.SIG_IGN, None)]

    def stop(number: int, frame: FrameType | None) -> None:
        for other in ours:
            signal.signal(other, signal.SIG_IGN)
        if end is not None:
            end(128 + number)
        raise Stopped(number)

    for number in ours:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, before[number])


def say_stopped(what_is_left: str) -> None:
    """Say so on stderr, unless its terminal is what has gone."""
    with suppress(OSError):
        print(f"\nstopped; {what_is_left}", file=sys.stderr, flush=True)
