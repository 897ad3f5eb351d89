"""Processes that read or count end with the one that started them, however that ends."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

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


# Its readers, by their pool's own start, over more images than they read while the test lasts.
CHECK = """
import multiprocessing, sys, time
from pathlib import Path
from datamodules import open_data
from datamodules.loading import cache_writer
from datamodules.validation.image_checks import inspect_all
from experiments.scoring.counts import in_order

if __name__ == '__main__':
    data = open_data('camvid', 'train', Path(sys.argv[1]))
    def said(done, total):
        print(*(child.pid for child in multiprocessing.active_children()), flush=True)
        time.sleep(600)
    if sys.argv[2] == 'check':
        for _ in inspect_all([data], [(0, 0)] * 100_000, jobs=3):
            said(1, 1)
    elif sys.argv[2] == 'score':
        for _ in in_order(time.sleep, 10_000, 3):
            said(1, 1)
    else:
        more = type(data)(data.labels, data.samples * 1000)
        folder = Path(sys.argv[1], 'copy')
        progress = lambda done, total: done and said(done, total)
        cache_writer.build(more, [(48, 64)] * len(more), 'x', folder, jobs=3, progress=progress)
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_they_end_with_a_starter_that_is_killed(tmp_path: Path, method: str) -> None:
    _end_with_starter(tmp_path, SCRIPT, method, "1")


@pytest.mark.parametrize("work", ["check", "score", "cache"])
def test_those_of_every_command_do(tmp_path: Path, camvid: Path, work: str) -> None:
    _end_with_starter(tmp_path, CHECK, str(camvid), work)


def _end_with_starter(tmp_path: Path, text: str, *arguments: str) -> None:
    script = tmp_path / "starter.py"
    script.write_text(text)
    starter = subprocess.Popen(
        [sys.executable, str(script), *arguments],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert starter.stdout is not None
    pids = [int(text) for text in starter.stdout.readline().split()]
    others = [process.pid for process in psutil.Process(starter.pid).children(recursive=True)]
    assert len(pids) == 3 and _alive(pids) == pids
    starter.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 20
    while _alive([*pids, *others]) and time.monotonic() < deadline:
        time.sleep(0.05)
    left = _alive([*pids, *others])  # also the fork server and the tracker
    for pid in left:
        psutil.Process(pid).kill()
    starter.stdout.close()
    starter.wait()
    assert not left
