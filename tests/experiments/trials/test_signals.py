"""A process that is asked to end says one sentence and ends with the status of the signal."""

import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

from experiments.trials.signals import Stopped, stopped_by_signals
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


@pytest.mark.parametrize("module", ["experiments.compare", "experiments.run"])
@pytest.mark.parametrize("number", SIGNALS)
def test_commands_end_so(module: str, number: signal.Signals) -> None:
    """However often they are asked."""
    work, arguments = ("request_of", []) if "compare" in module else ("_run", ["--model", "unet"])
    script = f"""
import os, sys
import {module} as command

def asked(*_):
    try:
        os.kill(os.getpid(), {int(number)})
    finally:
        for again in {[int(one) for one in SIGNALS]}:
            os.kill(os.getpid(), again)

command.{work} = asked
sys.exit(command.main({arguments}))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 128 + number, done.stderr
    (said,) = done.stderr.strip().splitlines()
    assert said.startswith("stopped; ") and "the same command goes on" in said
