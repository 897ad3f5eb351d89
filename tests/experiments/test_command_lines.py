"""Six hundred command lines over all commands: no traceback, no hang, no silence.

All run with WHOLE=1, a tenth of them without.
"""

import os
import re
from pathlib import Path

import pytest

from tests.experiments import stage
from tests.experiments.command_lines import command_lines

NUMBER = 600
EVERY = 1 if os.environ.get("WHOLE") else 11  # which takes every command in turn
# What Python and its libraries say of their own, which tells nobody what to do.
RAW = re.compile(
    r"Errno|Traceback|object has no attribute|codec can't|list index|embedded null|out of range"
    r"|invalid literal|could not convert|not enough values|unsupported operand|NoneType|KeyError"
)
# Lines that may stand beside the sentence; argparse tells the usage where nothing else does.
BESIDE = re.compile(r"\d+ of \d+ (images|MB|lines)|note: |no installed font|usage: | {10}")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("made") / "root"
    stage.build(root)
    return root


def files(root: Path) -> dict[str, int]:
    paths = [path for path in root.rglob("*") if path.is_file()]
    return {str(path.relative_to(root)): path.stat().st_mtime_ns for path in paths}


def wrong(done: stage.Outcome, changed: bool, strayed: list[str]) -> str:
    """Why an outcome is not right; empty where it is."""
    lines = [line for line in done.err.splitlines() if line and not BESIDE.match(line)]
    if done.hangs:
        return "hangs"
    if done.status is None or "Traceback" in done.err:
        return f"traceback: {lines[-1]}"
    if strayed:
        return f"left its folder: {strayed[:2]}"
    if done.status == 0 and not done.out.strip() and not changed:
        return "silent: 0 and nothing done"
    if done.status in (1, 2, 3) and not lines and not done.out.strip():
        return f"silent: {done.status}"
    if done.status == 2 and len(lines) != 1:
        return f"{len(lines)} lines: {lines}"
    if RAW.search(done.err):
        return f"raw: {lines[-1]}"
    if re.search("[\x00-\x08\x0b-\x1f\x7f\u202e]", done.out + done.err):
        return "obeys a control character"
    return ""


def test_command_lines(made: Path, tmp_path: Path) -> None:
    every = command_lines(NUMBER)
    some, failures, statuses = every[::EVERY], [], dict[object, int]()
    for command, args in some:
        pen = tmp_path / "pen"
        root = stage.copy(made, pen / "root")
        before = files(root)
        done = stage.call(command, args, root)
        after = files(root)
        strayed = [path.name for path in pen.iterdir() if path != root]
        statuses[done.status] = statuses.get(done.status, 0) + 1
        reason = wrong(done, before != after, strayed)
        if reason:
            failures.append(f"{command} {args}: {reason[:400]}")
    print(f"{len(some)} of {len(every)} lines, by status {statuses}, {len(failures)} wrong")
    assert not failures, "\n".join([f"{len(failures)} of {len(some)} are wrong", *failures])
