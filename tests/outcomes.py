"""A plugin of pytest that writes each outcome as it comes, for whoever may end pytest early.

`-p tests.outcomes` with the file's name in GPU_TEST_OUTCOMES.
"""

import json
import os
from collections.abc import Sequence
from typing import Any

import pytest

from experiments.comparison.gpu_tests import OUTCOMES


def _write(record: dict[str, object]) -> None:
    if "PYTEST_XDIST_WORKER" in os.environ:  # the process that started it hears of all
        return
    with open(os.environ[OUTCOMES], "a", encoding="utf-8") as lines:
        lines.write(json.dumps(record) + "\n")


def pytest_collection_finish(session: pytest.Session) -> None:
    _write({"collected": len(session.items)})


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node: Any, ids: Sequence[str]) -> None:
    _write({"collected": len(ids)})


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """One line a test: of its call, or of what kept it from being called."""
    if report.when == "call" or report.outcome != "passed":
        said = "" if report.outcome == "passed" else _last_line(report)
        _write(
            {
                "test": report.nodeid,
                "outcome": report.outcome,
                "seconds": round(report.duration, 2),
                "said": said,
            }
        )


def _last_line(report: pytest.TestReport) -> str:
    if isinstance(report.longrepr, tuple):  # file, line and reason of a skipped one
        return str(report.longrepr[2])[:300]
    crash = getattr(report.longrepr, "reprcrash", None)
    text = crash.message if crash else str(report.longrepr)
    return (text.strip().splitlines() or [""])[0][:300]
