"""Fixtures that several packages share."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

# Tests compare bits, which hang on the number of threads; torch, imported after this, reads it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

_TRACKER = "multiprocessing.resource_tracker"


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Checks and decoded copies of tests are kept apart from the user's, and are gone after."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEGMENTATION_LAB_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True, scope="session")
def interrupts_come() -> None:
    """Shells start what runs in their background with SIGINT ignored, and nohup with SIGHUP, and so
    would their children."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(autouse=True, scope="session")
def no_process_is_left() -> Iterator[None]:
    """Whatever the tests of this process have started has ended when they have.

    What they start inherits the environment, and with it the mark; ended are only those that bear
    it, after a while for those that end by themselves.
    """
    mark = f"{os.getpid()}-{time.time_ns()}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEGMENTATION_LAB_TESTS", mark)
        yield
    deadline = time.monotonic() + 10
    while (left := list(_marked(mark))) and time.monotonic() < deadline:
        time.sleep(0.2)
    lines = [" ".join(process.cmdline())[:200] for process in left]
    for process in left:
        process.kill()
    assert not lines, f"the tests left {len(lines)} processes behind: {lines}"


def _marked(mark: str) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            bears = process.environ().get("SEGMENTATION_LAB_TESTS") == mark
            # What multiprocessing starts beside its first process ends with this one.
            own = process.pid == os.getpid() or _TRACKER in " ".join(process.cmdline())
            if bears and not own and process.status() != psutil.STATUS_ZOMBIE:
                yield process


@pytest.fixture
def camvid(tmp_path: Path) -> Path:
    """A small CamVid of random images in the SegNet tutorial's layout."""
    root, rng = tmp_path / "CamVid", np.random.default_rng(0)
    for split, count in {"train": 6, "val": 2, "test": 2}.items():
        lines = []
        for kind in (split, f"{split}annot"):
            (root / kind).mkdir(parents=True)
        for i in range(count):
            name = f"0001TP_{split}{i}.png"
            image = rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)
            Image.fromarray(image).save(root / split / name)
            mask = rng.integers(0, 12, (48, 64), dtype=np.uint8)
            Image.fromarray(mask).save(root / f"{split}annot" / name)
            lines.append(f"/SegNet/CamVid/{split}/{name} /SegNet/CamVid/{split}annot/{name}")
        (root / f"{split}.txt").write_text("\n".join(lines) + "\n")
    return root
