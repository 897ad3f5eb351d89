"""What signals that ask a process to end do: Ctrl-C, SIGTERM, SIGHUP of a closed terminal.

A process that trains has time to save where it is: schedulers send SIGUSR1 ahead of a time limit
or with a preemption, and SIGTERM some seconds before they kill.
"""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

GOES_ON = os.EX_TEMPFAIL  # 75, of a process that was asked to end and is to be started again
_SAVING = {signal.SIGTERM, signal.SIGUSR1}
_ASKING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(KeyboardInterrupt):
    """One of the signals has come; `status` is what the process ends with, as shells count."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.status = 128 + number


class EndRequest:
    """Whether this process has been asked to end, by SIGTERM or SIGUSR1.

    Attributes:
        asked: it has.
        saves: whoever trains ends the process once its state is saved; else it ends at once.
    """

    def __init__(self, end: Callable[[int], object]) -> None:
        self.asked, self.saves, self._end = False, False, end

    def ask(self) -> None:
        self.asked = True
        if not self.saves:
            self.obey()

    def obey(self) -> None:
        """End with `GOES_ON`, if that was asked for."""
        if self.asked:
            self._end(GOES_ON)


_request = EndRequest(lambda status: None)  # of a process that ends as any other


def end_request() -> EndRequest:
    """What this process has been asked for so far."""
    return _request


@contextmanager
def asked_to_end(end: Callable[[int], object]) -> Iterator[None]:
    """Have SIGTERM and SIGUSR1 make a request; to be said before any thread is started.

    A thread of its own waits for them, so that nothing is ever done between two instructions of
    another. They stay blocked for what this process starts: a signal to all processes of a job
    would end its readers, and with them the training, before anything is saved.

    Args:
        end: is called with the exit status, and ends the process.
    """
    global _request
    before, outer = signal.pthread_sigmask(signal.SIG_BLOCK, _SAVING), _request
    others = multiprocessing.active_children()
    _request, over = EndRequest(end), threading.Event()

    def wait() -> None:
        while True:
            signal.sigwait(_SAVING)
            if over.is_set():
                return
            _request.ask()

    # A thread that does not block them may be there all the same: it gets them here.
    handlers = {one: signal.signal(one, lambda *_: _request.ask()) for one in _SAVING}
    waiting = threading.Thread(target=wait, name="asked-to-end", daemon=True)
    waiting.start()
    try:
        yield
    finally:
        for child in multiprocessing.active_children():
            if child not in others:  # it blocks what would end it
                child.kill()
        over.set()
        assert waiting.ident is not None
        signal.pthread_kill(waiting.ident, signal.SIGUSR1)
        waiting.join()
        for one, handler in handlers.items():
            signal.signal(one, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        _request = outer


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
