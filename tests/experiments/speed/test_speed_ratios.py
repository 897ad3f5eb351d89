"""Ratios of one run: their arithmetic, their file, and the process that measures them."""

import json
from pathlib import Path

import pytest
import torch

from experiments import cost
from experiments.speed import plain_loop, speed_ratios
from experiments.speed.plain_loop import (
    alternated,
    inference_against_plain,
    random_batch,
    sgd_step,
    training_against_plain,
)
from experiments.speed.speed_ratios import Benchmark, SpeedRatio, measure_speed
from models import build_model

RATIO = SpeedRatio("a step", "ours", "theirs", (1.0, 3.0, 4.0), (2.0, 2.0, 4.0))
SMALL = ("unet:width=2", 3, (40, 48))


def test_a_ratio_is_the_median_of_pairs() -> None:
    assert RATIO.ratios == [0.5, 1.5, 1.0]
    assert RATIO.median == 1.0  # that of medians would be 1.5


def test_blocks_of_both_follow_each_other() -> None:
    calls: list[str] = []
    pairs = list(
        alternated(lambda: calls.append("a"), lambda: calls.append("b"), blocks=2, block=3)
    )
    warm = plain_loop.WARM_UP
    assert "".join(calls) == "a" * warm + "b" * warm + 2 * "aaabbb"
    assert len(pairs) == 2


@pytest.mark.parametrize("channels_last", [True, False])
def test_a_step_is_that_of_a_network_its_loss_and_sgd(channels_last: bool) -> None:
    """Against the update written out: v = g + wd w, w = w - lr v."""
    torch.manual_seed(0)
    form = torch.channels_last if channels_last else torch.contiguous_format
    model = build_model("unet:width=2", 3).to(memory_format=form).train()
    image, mask = random_batch(2, (40, 48), 3, torch.device("cpu"), channels_last=channels_last)
    assert image.is_contiguous(memory_format=form)
    weight = next(p for p in model.parameters() if p.dim() == 4)
    before = weight.detach().clone()
    sgd_step(model, image, mask, "32-true", lr=0.1)()
    assert weight.grad is not None
    assert torch.allclose(weight, before - 0.1 * (weight.grad + 5e-4 * before), atol=1e-7)


def test_training_and_inference_are_timed_in_pairs() -> None:
    training = training_against_plain(*SMALL, "32-true", batch=2, blocks=2)
    assert len(training.ours_ms) == len(training.other_ms) == 2
    assert training.what == "training step of unet:width=2, 2 images of 40x48"
    inference = inference_against_plain(*SMALL, "32-true", "eager", blocks=2)
    assert (inference.ours, inference.other) == ("eager, fp32", "eager, NCHW, fp32")
    assert all(ms > 0 for ms in (*inference.ours_ms, *training.other_ms))


def fake(folder: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Have `code` be what measures."""
    (folder / "measures.py").write_text(code)
    monkeypatch.setattr(speed_ratios.sys, "executable", str(folder / "python"))  # type: ignore[attr-defined]
    (folder / "python").write_text(f'#!/bin/sh\nexec python3 {folder / "measures.py"} "$@"\n')
    (folder / "python").chmod(0o755)


LINE = {"what": "a step", "ours": "x" * 90, "other": "b", "ours_ms": [1, 2], "other_ms": [2, 2]}
WHERE = {"hardware": "Some CPU (R) 2/3", "threads": 2, "torch": "2", "version": "1"}


def test_the_command_shows_and_keeps_what_its_process_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = "\n".join(json.dumps(line) for line in (LINE, WHERE))
    fake(tmp_path, monkeypatch, f"print({lines!r})")
    monkeypatch.setenv("COLUMNS", "80")
    assert cost.main(["--bench", "--out", str(tmp_path / "out")]) == 0
    out = capsys.readouterr().out
    assert "0.75 of b" in out and "0.50-1.00" in out and "Some CPU (R) 2/3, 2 threads" in out
    shown = out[out.index("Speed, as") :].splitlines()
    assert all(len(line) <= 80 for line in shown if not line.startswith("wrote"))
    kept = json.loads((tmp_path / "out" / "some-cpu-r-2-3.json").read_text())
    assert kept["ratios"][0]["median_ratio"] == 0.75 and kept["threads"] == 2


def test_a_process_that_ends_early_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake(tmp_path, monkeypatch, f"print({json.dumps(LINE)!r}); raise SystemExit(7)")
    assert cost.main(["--bench", "--out", str(tmp_path / "out")]) == 2
    assert "ended early (status 7): run it again" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    found = measure_speed([], 1)
    assert isinstance(next(found), SpeedRatio)
    with pytest.raises(ValueError, match="status 7"):
        next(found)


def test_a_benchmark_is_kept_whole(tmp_path: Path) -> None:
    benchmark = Benchmark((RATIO,), "CPU", 2, "2.14", "0.3")
    kept = json.loads(benchmark.write(tmp_path).read_text())
    assert kept["ratios"][0]["ratios"] == [0.5, 1.5, 1.0]
    assert kept["hardware"] == "CPU"
