"""What a trial logs, over kills and resumes."""

from pathlib import Path

import pytest

from experiments.trials.history import FIRST_LOSS, curve_of, points_of, read_points


def test_points_are_merged_by_step_and_the_last_word_counts(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    lines = ['{"step": 2, "a": 1}', '{"step": 4, "a": 2, "b": 3}', '{"step": 2, "b": 5}']
    path.write_text("\n".join([*lines, '{"step": 4, "a": 7}', '{"step": 6, "a']))
    assert read_points(path) == [{"step": 2, "a": 1, "b": 5}, {"step": 4, "a": 7, "b": 3}]
    assert read_points(tmp_path / "none") == []


def test_a_damaged_line_is_left_out_and_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "metrics.jsonl"
    bad = [
        *(b"[1]", b"3", b"null", b'"x"', b'{"a": 1}', b'{"step": "1"}', b'{"step": true}'),
        *(b'{"step": 1.5}', b'{"step": 1, "a": NaN}', b'{"step": 1, "a": "x"}', b"\xff\xfe"),
        *(b"[" * 100_000, b'{"step": 1, "a"', b'{"step": ' + b"9" * 5000 + b"}", bytes(40)),
    ]
    good = [b'{"step": 1, "a": 1}', b'{"step": 2, "a": 2}\r']
    path.write_bytes(b"\n".join([good[0], *bad, good[1], b"", b""]))
    assert read_points(path) == [{"step": 1, "a": 1}, {"step": 2, "a": 2}]
    assert capsys.readouterr().err == (
        f"{path}: {len(bad)} of {len(bad) + 2} lines are cut or damaged, and are left out\n"
    )


def test_first_losses_end_where_one_is_not_known() -> None:
    """Their places tell their steps: a loss of step 4 must never stand for that of step 3."""
    points = [{"step": step, FIRST_LOSS: float(step)} for step in (1, 2, 4, 5)]
    assert curve_of(points).first_losses == (1.0, 2.0)
    assert curve_of(points[1:]).first_losses == ()


def test_a_curve_and_the_first_losses_are_told_apart() -> None:
    """The curve has a point every other step here, its points have every loss of three."""
    first = [{"step": step, FIRST_LOSS: 1 / step} for step in (1, 2, 3)]
    first[1] |= {"train/loss": 0.5, "train/lr": 0.1}
    curve = curve_of([*first, {"step": 4, "train/loss": 0.25, "val/miou": 0.1}])
    assert curve.train == ((2, 0.5), (4, 0.25))
    assert curve.val == ((4, 0.1),)
    assert curve.first_losses == (1.0, 0.5, 1 / 3)
    assert points_of(curve) == [
        {"step": 2, "train/loss": 0.5},
        {"step": 4, "train/loss": 0.25, "val/miou": 0.1},
    ]
