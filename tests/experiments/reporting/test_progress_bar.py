"""Progress where there is no terminal."""

from types import SimpleNamespace

import pytest

from experiments.reporting.progress_bar import shown_progress


def test_progress_is_a_line_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = iter([0.0, 1.0, 6.0, 6.0, 7.0, 12.0, 12.0])
    monkeypatch.setattr(
        "experiments.reporting.progress_bar.time", SimpleNamespace(monotonic=lambda: next(now))
    )
    with shown_progress("images") as progress:
        for done in range(1, 5):
            progress(done, 9)
    assert capsys.readouterr().err.splitlines() == ["2 of 9 images", "4 of 9 images"]
