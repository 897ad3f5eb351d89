"""Processes that read or count end with the one that started them, however that ends."""

import contextlib
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from tests.commands import ROOT

# Three processes that wait for ever, of which the starter says the ids; it is not waited for, so
# that it stays as a zombie, as behind an init that reaps nobody.
SCRIPT = """
import multiprocessing, sys, time
from datamodules.parent_process import end_with_parent

def work(ready, watched):
    if watched:
        end_with_parent()
    ready.put(multiprocessing.current_process().pid)
    time.sleep(600)

if __name__ == '__main__':
    context = multiprocessing.get_context(sys.argv[1])
    ready = context.Queue()
    started = [context.Process(target=work, args=(ready, int(sys.argv[2]))) for _ in range(3)]
    for process in started:
        process.start()
    print(*(ready.get() for _ in started), flush=True)
    time.sleep(600)
"""


def _alive(pids: list[int]) -> list[int]:
    def lives(pid: int) -> bool:
        with contextlib.suppress(psutil.NoSuchProcess):
            return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
        return False

    return [pid for pid in pids if lives(pid)]


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_they_end_with_a_starter_that_is_killed(
    tmp_path_factory: pytest.TempPathFactory, method: str, number: signal.Signals
) -> None:
    script = tmp_path_factory.mktemp("script") / "starter.py"
    script.write_text(SCRIPT)
    starter = subprocess.Popen(
        [sys.executable, str(script), method, "1"],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert starter.stdout is not None
    pids = [int(text) for text in starter.stdout.readline().split()]
    others = [process.pid for process in psutil.Process(starter.pid).children(recursive=True)]
    assert len(pids) == 3 and _alive(pids) == pids
    starter.send_signal(number)
    deadline = time.monotonic() + 20
    while _alive([*pids, *others]) and time.monotonic() < deadline:
        time.sleep(0.05)
    left = _alive([*pids, *others])  # also the fork server and the tracker
    for pid in left:
        psutil.Process(pid).kill()
    starter.stdout.close()
    starter.wait()
    assert not left
