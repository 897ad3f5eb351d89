"""Throughput in a small form on the CPU: whole rows, and a sentence for each that is missing."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from experiments.speed import throughput_process, throughput_ranks, training_ways
from experiments.speed.throughput import (
    LECTURE,
    Roofline,
    Row,
    Throughput,
    ThroughputFailure,
    ThroughputRequest,
    Way,
    measure_network,
    order,
    row_from_json,
    whole_lines,
)
from experiments.speed.throughput_process import measure
from experiments.speed.training_ways import step_of
from experiments.speed.usual_loader import UsualCrops
from models import build_model
from tests.devices import DEVICES, OWN_DEVICE

CPU = torch.device("cpu")
SPEEDS = Roofline(bf16_tflops=1.0, tf32_tflops=0.5, fp32_tflops=0.2, copy_gb_s=10.0)
SMALL = ThroughputRequest(
    "unet:width=4",
    num_classes=5,
    train_size=(40, 48),
    infer_size=(48, 64),
    workers=0,
    seconds=0.0,
)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("way", ["ours", "usual"])
def test_training_is_measured_and_learns(
    device: str, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights: list[torch.Tensor] = []

    def build(name: str, num_classes: int) -> torch.nn.Module:
        network = build_model(name, num_classes)
        weights.append(next(network.parameters()))
        return network

    monkeypatch.setattr(training_ways, "build_model", build)
    with step_of(SMALL, way, "training", torch.device(device)) as step:
        before = weights[-1].detach().clone()
        step()
        assert not torch.equal(weights[-1], before)
        assert weights[-1].grad is not None and weights[-1].dtype == torch.float32
        channels_last = weights[-1].is_contiguous(memory_format=torch.channels_last)
        assert channels_last == (way == "ours")


@pytest.mark.parametrize("device", OWN_DEVICE)
def test_every_figure_of_a_network(device: str) -> None:
    there = torch.device(device)
    rows = [measure(SMALL, SPEEDS, way, task, there) for way, task in SMALL.figures]
    for row, (way, task) in zip(rows, SMALL.figures, strict=True):
        assert isinstance(row, Throughput), row
        assert (row.way, row.task) == (way, task)
        assert row.batch == (2 if task == "training" else 1)
        assert row.images_per_second == pytest.approx(1000 * row.batch / row.step_ms)
        assert 0 < row.of_products <= row.of_roofline and row.peak_gb > 0 and row.first_s > 0
        assert (sum(row.time_use.values()) == pytest.approx(1, abs=0.01)) == (task == "training")
        assert row_from_json(json.loads(json.dumps(row.to_json()))) == row


def test_what_fails_is_a_row_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nGPU 0 has ...")

    monkeypatch.setattr(training_ways, "_our_training", full)
    monkeypatch.setattr(throughput_process, "profiled", full)
    lost = measure(SMALL, SPEEDS, "ours", "training", CPU)
    said = "CUDA out of memory. Tried to allocate 2 GiB."
    assert lost == ThroughputFailure(SMALL.model, "ours", "training", said)
    assert row_from_json(lost.to_json()) == lost
    usual = measure(SMALL, SPEEDS, "usual", "training", CPU)  # whose profile fails
    assert isinstance(usual, Throughput) and usual.time_use == {}
    unknown = replace(SMALL, model="unet:width=0")
    assert isinstance(measure(unknown, SPEEDS, "ours", "inference", CPU), ThroughputFailure)


def test_usual_crops_are_of_the_image() -> None:
    """Shapes and kinds, labels of the table, and pixels of mean 0 as of uniform noise."""
    image, mask = UsualCrops((40, 48), 5)[3]
    assert (image.shape, image.dtype) == ((3, 40, 48), torch.float32)
    assert (mask.shape, mask.dtype) == ((40, 48), torch.int64)
    assert torch.equal(mask.flatten().bincount() > 0, torch.ones(5, dtype=torch.bool))
    again, _ = UsualCrops((40, 48), 5)[3]
    other, _ = UsualCrops((40, 48), 5)[4]
    assert torch.equal(image, again) and not torch.equal(image, other)
    assert image.is_contiguous() and 0.05 < image.mean() < 0.5  # 0.5 less ImageNet's 0.45


@pytest.mark.slow
def test_a_process_measures_and_another_is_ended(tmp_path: Path) -> None:
    rows = measure_network(replace(SMALL, workers=1), SPEEDS, 120, tmp_path)
    assert [(row.way, row.task) for row in rows] == SMALL.figures
    assert all(isinstance(row, Throughput) for row in rows), rows
    cut = measure_network(SMALL, SPEEDS, 0.1, tmp_path)
    assert [row.to_json()["failed"] for row in cut] == ["its time of 0 s was over"] * 4


@pytest.mark.slow
def test_two_processes_train_together(tmp_path: Path) -> None:
    (row,) = measure_network(replace(SMALL, ranks=2), SPEEDS, 120, tmp_path)
    assert isinstance(row, Throughput), row
    assert (row.way, row.task, row.batch) == ("ours, all GPUs", "training", 4)
    assert row.images_per_second == pytest.approx(4000 / row.step_ms)


def test_a_rank_that_fails_is_said_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def spawn(*_: object, **__: object) -> None:
        raise RuntimeError("\n\n-- Process 1 terminated:\nTraceback\n  of a file\nCUDA is full\n")

    monkeypatch.setattr(throughput_ranks, "spawn", spawn)
    lost = measure(replace(SMALL, ranks=2), SPEEDS, "ours, all GPUs", "training", CPU)
    assert lost == ThroughputFailure(SMALL.model, "ours, all GPUs", "training", "CUDA is full")


def test_figures_of_a_process_that_died_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = Throughput(SMALL.model, "ours", "training", 2, 4.0, 500.0, 1.0, 0.1, 0.2, 3.0, {})

    def dies(command: list[str], *_: object, **__: object) -> int:
        Path(command[3]).write_text(json.dumps(known.to_json()) + '\n{"model": "cut')
        return -9

    monkeypatch.setattr("experiments.speed.throughput.run_limited", dies)
    rows: list[Row] = measure_network(SMALL, SPEEDS, 10, tmp_path)
    assert rows[0] == known
    reasons = {row.failed for row in rows[1:] if isinstance(row, ThroughputFailure)}
    assert len(rows) == 4 and reasons == {"ended by SIGKILL (out of memory?)"}


def test_any_first_part_is_of_use() -> None:
    asked = order(LECTURE)
    assert [one.model for one in asked[:3]] == list(LECTURE[:3])
    assert not any(one.compiled for one in asked[:3]) and asked[3].compiled
    assert sorted((one.model, one.compiled) for one in asked) == sorted(
        (model, compiled) for model in LECTURE for compiled in (False, True)
    )
    late = [one.model.startswith("hrnet") for one in asked if one.compiled]
    assert late == sorted(late)
    eager = [one.model for one in asked if not one.compiled]
    assert eager == list(LECTURE)
    assert [one.train_size for one in asked[:1]] == [(512, 1024)]
    several = order(LECTURE, cards=4)
    assert (several[3].model, several[3].ranks) == (LECTURE[0], 4)
    assert [one for one in several if one.ranks == 1] == asked
    restored = ThroughputRequest.from_json(json.loads(json.dumps(asdict(asked[0]))))
    assert restored == asked[0]


def test_a_cut_line_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    assert list(whole_lines(path)) == []
    path.write_text('{"a": 1}\nnone\n{"b": 2}\n{"c": 3}')
    assert list(whole_lines(path)) == [{"a": 1}, {"b": 2}]
