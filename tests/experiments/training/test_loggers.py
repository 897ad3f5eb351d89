"""The file of a trial's points: a line of it is whole, whatever came before."""

import json
import math
import resource
from pathlib import Path

import pytest

from experiments.training.loggers import History
from experiments.trials.history import HISTORY, read_points

POINT = {"train/loss": 0.5, "train/lr": 0.1, "epoch": 0.0}
LINE = 48  # bytes of it


@pytest.mark.parametrize("cut", [*range(1, LINE, 5), LINE - 1])
def test_a_line_that_a_kill_cut_short_swallows_no_other(tmp_path: Path, cut: int) -> None:
    """Wherever it was cut, and whatever of it was a whole JSON value."""
    first = History(tmp_path)
    first.log_metrics(POINT, 1)
    first.log_metrics(POINT, 2)
    path = tmp_path / HISTORY
    content = path.read_bytes()
    assert len(content) == 2 * LINE
    path.write_bytes(content[: LINE + cut])
    again = History(tmp_path)
    for step in (2, 3):
        again.log_metrics({"train/loss": 0.25, "train/lr": 0.1}, step)
    points = {int(point["step"]): point["train/loss"] for point in read_points(path)}
    assert points == {1: 0.5, 2: 0.25, 3: 0.25}
    assert b"\n\n" not in path.read_bytes()


def test_lines_end_as_they_should_without_a_kill(tmp_path: Path) -> None:
    for step in (1, 2):  # as of two processes
        History(tmp_path).log_metrics(POINT, step)
    lines = (tmp_path / HISTORY).read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2]


def test_what_is_no_number_is_left_out(tmp_path: Path) -> None:
    """JSON has none; the mIoU of a void split is none."""
    History(tmp_path).log_metrics({"val/miou": math.nan, "val/iou/road": 1.0}, 5)
    assert read_points(tmp_path / HISTORY) == [{"step": 5, "val/iou/road": 1.0}]


def test_a_full_disk_leaves_whole_lines(tmp_path: Path) -> None:
    history = History(tmp_path)
    history.log_metrics(POINT, 1)
    path, before = tmp_path / HISTORY, resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 20, before[1]))
    try:
        with pytest.raises(OSError, match=f"cannot write {path}: it needs {LINE} bytes and"):
            history.log_metrics(POINT, 2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [point["step"] for point in read_points(path)] == [1]
    history.log_metrics(POINT, 2)
    assert [point["step"] for point in read_points(path)] == [1, 2]
