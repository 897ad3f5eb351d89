"""The tests that are marked `gpu`, in a process with a time limit, outcome by outcome."""

import importlib.util
import os
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from experiments.speed.throughput import whole_lines
from experiments.trials.limited_process import run_limited, why_ended

Write = Callable[..., None]  # content, and why it was cut short
Say = Callable[[str], None]

ROOT = Path(__file__).parents[2]
OUTCOMES = "GPU_TEST_OUTCOMES"  # the file to which `tests.outcomes` writes
_MARKED = re.compile(r"\bmark\.gpu\b|\btests\.devices\b")
_PATIENCE = 10  # seconds in which pytest ends what its tests have started
_PROCESSES = 4  # tests at a time: most of their time is start-up


def marked_files(root: Path) -> list[Path]:
    """Test files with a test that is marked `gpu`: to import all of them takes half a minute."""
    paths = sorted((root / "tests").rglob("test_*.py"))
    return [path for path in paths if _MARKED.search(path.read_text(encoding="utf-8"))]


def run_gpu_tests(seconds: float, write: Write, say: Say, root: Path = ROOT) -> bool:
    """Whether every test passed or was skipped, and one did pass; outcomes are written anyway.

    Warnings are no errors here: this machine's versions may be others than the locked ones.
    """
    lacking = _lacking(root)
    if lacking:
        write({"counts": {}, "tests": []}, lacking)
        say(lacking)
        return False
    with tempfile.TemporaryDirectory() as place:
        outcomes, log = Path(place) / "outcomes.jsonl", Path(place) / "log.txt"
        command = [sys.executable, "-m", "pytest", "-m", "gpu", *_options(root)]
        status = run_limited(
            command,
            seconds - _PATIENCE,
            log,
            environment={OUTCOMES: str(outcomes), **_threads()},
            folder=root,
            patience=_PATIENCE,
        )
        lines = list(whole_lines(outcomes))
        ended = why_ended(status, log, seconds - _PATIENCE)
    tests = [line for line in lines if "test" in line]
    collected = max((line["collected"] for line in lines if "collected" in line), default=0)  # type: ignore[type-var]
    counts = Counter(str(test["outcome"]) for test in tests)
    whole = status in (0, 1) and len(tests) == collected
    cut_short = None if whole else f"{ended}, after {len(tests)} of {collected} tests"
    write({"counts": dict(counts), "tests": tests}, cut_short)
    _tell(tests, counts, cut_short, say)
    return status == 0 and whole and counts["passed"] > 0


def _lacking(root: Path) -> str:
    if not marked_files(root):
        return "the tests are not beside the code: run this in a checkout"
    if importlib.util.find_spec("pytest") is None:
        return "pytest is not installed: pip install -e '.[dev]'"
    return ""


def _side_by_side() -> int:
    """Tests at a time."""
    enough = (os.cpu_count() or 1) >= 2 * _PROCESSES
    return _PROCESSES if enough and importlib.util.find_spec("xdist") else 1


def _threads() -> dict[str, str]:
    """Variables by which the tests share the cores, and cuBLAS may be asked for equal bits."""
    threads = max(1, (os.cpu_count() or 1) // _side_by_side())
    return {"OMP_NUM_THREADS": str(threads), "CUBLAS_WORKSPACE_CONFIG": ":4096:8"}


def _options(root: Path) -> list[str]:
    """Those of pyproject.toml name plugins that a machine of one's own need not have."""
    quiet = ["-q", "-p", "no:cacheprovider", "-p", "tests.outcomes", "-W", "default"]
    options = [*quiet, "--rootdir", str(root), "-o", "addopts=--strict-markers"]
    if _side_by_side() > 1:
        options += ["-n", str(_side_by_side())]
    return options + [str(path) for path in marked_files(root)]


def _tell(
    tests: list[dict[str, object]], counts: Mapping[str, int], cut_short: str | None, say: Say
) -> None:
    said = ", ".join(f"{number} {outcome}" for outcome, number in sorted(counts.items()))
    say(said or "no test has ended")
    for test in tests:
        if test["outcome"] == "failed":
            say(f"failed: {test['test']}: {test['said']}")
    if cut_short:
        say(cut_short)
