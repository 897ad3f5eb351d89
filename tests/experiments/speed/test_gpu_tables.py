"""What GPUs have shown: read as it is written, and shown whole."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from experiments.comparison.gpu_run import PartFile
from experiments.speed.gpu_machine import GpuMachine, NoGpuError, find_gpus
from experiments.speed.gpu_tables import NOTHING, gpu_summary, kept
from experiments.speed.throughput import Roofline, Throughput, ThroughputFailure

MACHINE = GpuMachine("NVIDIA B-2", 4, 141.0, "9.0", None, "13.0", "2.14.1", "3.12.1")
SPEEDS = Roofline(712.3, 401.0, 55.5, 3456.7)
TIME_USE = {"convolution and matrix products": 0.41, "idle": 0.59}
ROWS = [
    Throughput("unet", "ours", "training", 2, 12.34, 162.1, 9.87, 0.415, 0.52, 3.0, TIME_USE),
    Throughput("unet", "ours", "inference", 1, 45.67, 21.9, 1.23, 0.333, 0.44, 1.0, {}),
    ThroughputFailure("segnet", "usual", "training", "CUDA out of memory | 80 GB " + 80 * "x"),
]


def write(folder: Path, rows: list[Any], cut_short: str | None = None) -> Path:
    path = folder / MACHINE.slug / "throughput.json"
    content = {"roofline": asdict(SPEEDS), "rows": [row.to_json() for row in rows]}
    PartFile(path, MACHINE, 180).write(content, cut_short)
    return path


def test_a_card_is_shown_as_it_was_kept(tmp_path: Path) -> None:
    path = write(tmp_path, ROWS, "no time was left for hrnet")
    PartFile(path.with_name("tests.json"), MACHINE, 9).write({"counts": {"passed": 80}}, None)
    (card,) = kept(tmp_path)
    assert card.machine == MACHINE and list(card.rows) == ROWS and card.roofline == SPEEDS
    text = gpu_summary([card])
    head, speeds, time_use = text.split("\n\n")
    assert head.startswith("**NVIDIA B-2** (4 in the machine, 141 GB, driver unknown, torch 2.14.1")
    assert "bf16 712, TF32 401 and fp32 55.5 TFLOP/s, copies 3457 GB/s" in head
    assert head.endswith("Its tests: 80 passed. Cut short: no time was left for hrnet.")
    assert "| `unet` | ours | 12.3 | 9.9 | 42 | 52 | 45.7 | 1.2 | 33 | 44 |" in speeds
    assert "| `segnet` | usual | CUDA out of memory / 80 GB xxx" in speeds
    assert {line.count("|") for line in speeds.splitlines()} == {11}
    assert time_use.splitlines()[-1] == "| `unet` | ours | 41 | 59 |"


def test_without_results_it_says_so(tmp_path: Path) -> None:
    assert gpu_summary(kept(tmp_path)) == NOTHING
    path = write(tmp_path, ROWS)
    path.write_text(json.dumps({**json.loads(path.read_text()), "roofline": None}))
    assert kept(tmp_path) == []  # of a card that could not be measured


@pytest.mark.parametrize("damage", ["", "[]", '{"roofline": {}}', "{}"])
def test_a_damaged_file_is_named(tmp_path: Path, damage: str) -> None:
    path = write(tmp_path, ROWS)
    path.write_text(damage)
    with pytest.raises(ValueError, match="delete it, or run make gpu again") as caught:
        kept(tmp_path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ('{"failed": "CUDA initialization: the driver is too old"}', "the driver is too old"),
        ("", "the process that looks for one failed: libcuda is missing"),
        ('{"card": "NVIDIA B-2"}', "the process that looks for one failed"),
    ],
)
def test_why_no_gpu_can_be_used(monkeypatch: pytest.MonkeyPatch, answer: str, said: str) -> None:
    class Done:
        returncode, stdout, stderr = 1, answer, "trace\nlibcuda is missing\n"

    monkeypatch.setattr("experiments.speed.gpu_machine.subprocess.run", lambda *_, **__: Done())
    with pytest.raises(NoGpuError, match=said):
        find_gpus()


def test_gpus_that_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    class Done:
        returncode, stderr = 0, ""
        stdout = f"a word of a library\n{json.dumps(MACHINE.to_json())}\n"

    monkeypatch.setattr("experiments.speed.gpu_machine.subprocess.run", lambda *_, **__: Done())
    assert find_gpus() == MACHINE
    assert MACHINE.slug == "nvidia-b-2"
