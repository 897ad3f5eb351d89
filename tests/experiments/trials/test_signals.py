"""A process that is asked to end says one sentence and ends with the status of the signal."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from experiments.trials.signals import Stopped, asked_to_end, end_request, stopped_by_signals
from tests.commands import ROOT

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_stops_and_later_ones_disturb_nothing(number: signal.Signals) -> None:
    before = [signal.getsignal(one) for one in SIGNALS]
    ended = []

    def work() -> None:
        with stopped_by_signals():
            try:
                signal.raise_signal(number)
            finally:
                for again in SIGNALS:
                    signal.raise_signal(again)
                ended.append(True)

    with pytest.raises(Stopped) as raised:
        work()
    assert ended == [True]
    assert raised.value.status == 128 + number
    assert [signal.getsignal(one) for one in SIGNALS] == before


def test_what_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as under nohup
    try:
        with stopped_by_signals():
            signal.raise_signal(signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_process_may_end_at_once() -> None:
    statuses: list[int] = []
    end: Callable[[int], None] = statuses.append
    with pytest.raises(Stopped), stopped_by_signals(end):
        signal.raise_signal(signal.SIGTERM)
    assert statuses == [143]


@pytest.mark.parametrize(
    ("module", "number", "status"),
    [
        *(("experiments.compare", number, 128 + number) for number in SIGNALS),
        ("experiments.run", signal.SIGINT, 130),
        ("experiments.run", signal.SIGHUP, 129),
        ("experiments.run", signal.SIGTERM, 75),  # it is to be started again
        ("experiments.run", signal.SIGUSR1, 75),
    ],
)
def test_commands_end_so(module: str, number: signal.Signals, status: int) -> None:
    """However often they are asked."""
    work, arguments = ("request_of", []) if "compare" in module else ("_run", ["--model", "unet"])
    script = f"""
import os, sys, time
import {module} as command

def asked(*_):
    try:
        os.kill(os.getpid(), {int(number)})
    finally:
        for again in {[int(one) for one in SIGNALS]} if {status} != 75 else [{int(number)}]:
            os.kill(os.getpid(), again)
    time.sleep({60 if status == 75 else 0})  # another thread ends it

command.{work} = asked
sys.exit(command.main({arguments}))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == status, done.stderr
    (said,) = done.stderr.strip().splitlines()
    assert said.startswith("stopped; ") and "the same command goes on" in said


def _ends() -> tuple[list[int], Callable[[int], None]]:
    statuses: list[int] = []
    return statuses, statuses.append


def _asked(seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while not end_request().asked and time.monotonic() < deadline:
        time.sleep(0.01)
    return end_request().asked


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_who_saves_ends_when_it_has_saved(number: signal.Signals) -> None:
    statuses, end = _ends()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    handlers = [signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGUSR1)]
    with asked_to_end(end):
        end_request().obey()
        assert statuses == []
        end_request().saves = True
        os.kill(os.getpid(), number)
        assert _asked() and statuses == []
        end_request().obey()
        assert statuses == [75]
    assert not end_request().asked  # what comes after is asked for itself
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before
    assert [signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGUSR1)] == handlers


def test_who_has_nothing_to_save_ends_at_once() -> None:
    statuses, end = _ends()
    with asked_to_end(end):
        os.kill(os.getpid(), signal.SIGUSR1)
        assert _asked()
    assert statuses == [75]


def test_a_signal_to_a_whole_job_does_not_end_its_readers() -> None:
    """What would end them by itself is blocked in what a process starts."""
    with asked_to_end(lambda status: None):
        child = subprocess.Popen(
            [sys.executable, "-c", "print('up'); input()"], stdin=-1, stdout=-1
        )
        assert child.stdout is not None and child.stdin is not None
        child.stdout.readline()
        for number in (signal.SIGUSR1, signal.SIGTERM):
            child.send_signal(number)
        time.sleep(0.2)
        assert child.poll() is None
        child.stdin.write(b"\n")
        child.stdin.close()
        assert child.wait(30) == 0
        child.stdout.close()
