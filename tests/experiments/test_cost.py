"""The cost command: what it prints, writes and refuses."""

import csv
import io
import json
import time
from pathlib import Path

import pytest
import torch
from rich.console import Console

from experiments import cost
from experiments.costs import benchmark, flops
from experiments.costs.tables import measured_table
from experiments.trials.atomic_io import write_json
from experiments.trials.reference import ALIASES
from models.registry import MODELS


def test_the_papers_table_beside_ours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`=` marks both figures of HRNetV2-W48; U-Net has no published row, an alias no row at all."""
    assert cost.main(["--models", "hrnet,hrnetv2_w48,unet", "--out", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines()[:-1])) <= 80
    (w48,) = (line.split() for line in text.splitlines() if "hrnetv2_w48" in line)
    assert w48[1:] == ["65.86", "65.33", "747.5", "696.2", "32,", "4"]
    (published,) = (line.split() for line in text.splitlines() if " published " in line)
    assert published[1:] == ["65.9", "=", "696.2", "="]
    (unet,) = (line.split() for line in text.splitlines() if " unet" in line)
    assert unet[1:] == ["31.04", "18.85", "1543.8", "1437.8", "16,", "1"]
    assert "unet: its paper prints neither" in text
    with (tmp_path / "cost.csv").open() as file:
        assert [row["model"] for row in csv.DictReader(file)] == ["hrnetv2_w48", "unet"]


def test_layers_add_up_and_show_where_the_work_is(tmp_path: Path) -> None:
    """U-Net of width 2 by hand: at 64x64 its first layer multiplies 64 * 64 * 9 * 3 * 2 times."""
    assert cost.main(
        ["--models", "unet:width=2", "--size", "64x64", "--classes", "5", "--out", str(tmp_path)]
    ) == 0  # fmt: skip
    (profile,) = json.loads((tmp_path / "cost.json").read_text())
    layers = profile["layers"]
    assert layers[0] == {"stride": 1, "channels": 2, "macs": 64 * 64 * 9 * 3 * 2}
    assert layers[-1] == {"stride": 1, "channels": 5, "macs": 64 * 64 * 2 * 5}
    down, up = [1, 1, 2, 2, 4, 4, 8, 8, 16, 16], [8, 8, 8, 4, 4, 4, 2, 2, 2, 1, 1, 1]
    assert [layer["stride"] for layer in layers] == [*down, *up, 1]
    assert sum(layer["macs"] for layer in layers) == round(profile["gmacs"] * 1e9)
    assert profile["params"] == profile["params_active"]
    # Two 3x3 convolutions and two norms a level.
    pairs = [(3, 2), (2, 4), (4, 8), (8, 16), (16, 32)]
    assert profile["params_trunk"] == sum(9 * (i * o + o * o) + 4 * o for i, o in pairs)
    assert profile["published"] == profile["difference_percent"] == {}


def test_published_figures_are_for_their_size_alone() -> None:
    small = flops.profile("hrnetv2_w18_small_v1", 19, (360, 480))
    assert (small["published"], small["why"]) == ({}, None)
    assert (small["deepest_stride"], small["classifier_stride"]) == (32, 4)


@pytest.mark.parametrize(
    ("model", "deepest"),
    [("deeplabv3p:trunk=mobilenetv2_100", 16), ("pspnet:trunk=resnet18:width=8", 8)],
)
def test_image_pooling_and_bins_are_no_stage(model: str, deepest: int) -> None:
    profile = flops.profile(model, 11, (360, 480))
    assert profile["deepest_stride"] == deepest
    assert max(layer["stride"] for layer in profile["layers"]) > flops.DEEPEST


@pytest.mark.slow
def test_measuring(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """DeepLabv3+ trains on two images at least, whatever the batch that is asked for."""
    request = ["--models", "unet:width=2,deeplabv3p:trunk=mobilenetv2_050", "--size", "64x64"]
    assert cost.main([*request, "--measure", "--threads", "1", "--out", str(tmp_path)]) == 0
    unet, deeplab = json.loads((tmp_path / "measured.json").read_text())
    assert (unet["train_batch"], deeplab["train_batch"]) == (1, 2)
    for measured in (unet, deeplab):
        assert 0 < measured["latency_ms_p10"] <= measured["latency_ms"] < measured["train_step_ms"]
        assert 0.1 < measured["inference_memory_gb"] <= measured["train_memory_gb"] < 4
        assert measured["threads"] == 1
    assert "Measured here" in capsys.readouterr().out


@pytest.mark.slow
def test_a_network_that_cannot_be_measured_says_why() -> None:
    row = benchmark.measure_apart(benchmark.Request("unet:width=-1", 5, (64, 64), "32-true"), 1)
    assert row["model"] == "unet:width=-1"
    assert "negative dimension" in row["failed"]
    Console(file=(text := io.StringIO()), width=80).print(measured_table([row]))
    assert "failed" in text.getvalue()


def test_measuring_keeps_what_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Ctrl-C at the second network leaves the first one's figures in the file."""
    asked: list[str] = []

    def answer(request: benchmark.Request, threads: int) -> dict[str, object]:
        asked.append(request.model)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return {"model": request.model, "failed": "[/x] is no markup"}

    monkeypatch.setattr(cost, "measure_apart", answer)
    request = ["--models", "unet:width=2,unet:width=3", "--size", "64x64", "--measure"]
    assert cost.main([*request, "--out", str(tmp_path)]) == 130
    (kept,) = json.loads((tmp_path / "measured.json").read_text())
    assert kept["model"] == asked[0]


def test_percentiles_lie_within_what_was_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Six passes of 1 s are all that five seconds hold: three to warm up, three that count."""
    spans = [(float(i), i + 1.0 + i / 10) for i in range(6)]
    ticks = iter([0.0, *(t for span in spans for t in span), 7.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(ticks))
    found = benchmark._timed(lambda: None, torch.device("cpu"), "ms", 20)
    assert 1300 <= found["ms_p10"] <= found["ms"] <= found["ms_p90"] <= 1500


@pytest.mark.slow
def test_again_renews_latency_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = {
        "schema": 1, "status": "done", "model": "unet:width=2", "seed": 0,
        "data": {"classes": ["a", "b"]}, "metrics": {"miou": 0.5},
        "cost": {"device": benchmark.this_device().type, "size": [40, 40], "precision": "32-true",
                 "latency_ms": 1e6, "gmacs": 7.0, "threads": 9},
    }  # fmt: skip
    path = tmp_path / "m" / "seed0" / "result.json"
    write_json(path, record)
    assert cost.main(["--again", str(tmp_path), "--threads", "1"]) == 0
    assert "unet:width=2 seed 0: 1000000.0 ms before" in capsys.readouterr().out
    renewed = json.loads(path.read_text())
    assert 0 < renewed["cost"]["latency_ms"] < 1e4
    assert (renewed["cost"]["gmacs"], renewed["cost"]["threads"]) == (7.0, 1)
    assert renewed["metrics"] == record["metrics"]


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("--models", "hrnt"), "unknown model 'hrnt'; did you mean 'hrnet'?"),
        (("--size", "1024"), "--size is '1024': give height x width of at least 33, as 360x480"),
        (("--size", "32x64"), "of at least 33"),
        (("--batch", "0"), "--classes, --batch and --threads are at least 1"),
        (("--models", "unet:width=-1"), "no such network: "),
        (("--models", "segnet:width=0"), "width is at least 1, got 0"),
        (("--again", "nowhere"), "no results folder at "),
        (("--again", "tests"), "no finished trial in tests: run a comparison first"),
    ],
)
def test_wrong_requests(
    args: tuple[str, str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cost.main([*args, "--out", str(tmp_path / "cost")]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert says in shown.err
    assert not (tmp_path / "cost").exists()


def test_every_network_has_the_published_digits_or_a_reason() -> None:
    """The digits themselves are held in `test_models`."""
    agree = {"hrnetv2_w48", "hrnetv2_w18_small_v1", "hrnetv2_w18_small_v2"}
    agree |= {"dilated_resnet", "deeplabv3"}
    assert agree | set(flops.WHY) == set(MODELS) - set(ALIASES)
    assert not agree & set(flops.WHY)
