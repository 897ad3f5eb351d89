"""What is measured here: that it is plausible, whole, and says why it failed."""

import io
import json
import time
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from rich.console import Console

from experiments import cost
from experiments.costs import measurement
from experiments.costs.benchmark import time_calls
from experiments.costs.device import hardware, this_device
from experiments.costs.measurement import (
    Measurement,
    MeasurementFailure,
    MeasurementRequest,
    measure_isolated,
    parse_answer,
)
from experiments.costs.tables import measured_table
from experiments.trials.result_types import FinishedTrial
from experiments.trials.results import read_result
from tests.experiments import made

MEASURED = {  # keys in the order of `measured.json`
    "model": "unet:width=2", "num_classes": 19, "size": [64, 96], "precision": "32-true",
    "batch": 1, "train": True, "runtime": "eager", "compared": False,
    "latency_ms": 2.0, "latency_ms_p10": 1.0, "latency_ms_p90": 3.0,
    "inference_memory_gb": 0.5, "train_batch": 2, "train_step_ms": 9.0, "train_step_ms_p10": 8.0,
    "train_step_ms_p90": 10.0, "train_memory_gb": 0.75, "memory_kind": "resident set",
    "threads": 1, "device": "cpu", "hardware": "a processor", "torch": "2.14.1",
    "ran_in": "fp32", "start_up_s": 0.1, "agreement": None,
}  # fmt: skip


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


def test_a_measurement_is_read_as_it_is_written() -> None:
    measured = parse_answer(MEASURED)
    assert isinstance(measured, Measurement)
    assert measured.request == MeasurementRequest("unet:width=2", 19, (64, 96), "32-true")
    assert measured.training is not None
    assert (measured.training.batch, measured.training.time.p90) == (2, 10.0)
    assert json.dumps(measured.to_json()) == json.dumps(MEASURED)
    inference = {key: value for key, value in MEASURED.items() if not key.startswith("train_")}
    inference["train"] = False
    alone = parse_answer(inference)
    assert json.dumps(alone.to_json()) == json.dumps(inference)
    Console(file=(text := io.StringIO()), width=80).print(measured_table([measured, alone]))
    assert "64x96, 32-true, a processor, 1 threads; batch 1" in " ".join(text.getvalue().split())


@pytest.mark.slow
def test_a_network_that_cannot_be_measured_says_why() -> None:
    answer = measure_isolated(MeasurementRequest("unet:width=-1", 5, (64, 64), "32-true"), 1)
    assert isinstance(answer, MeasurementFailure)
    assert answer.model == "unet:width=-1"
    assert "negative dimension" in answer.reason
    Console(file=(text := io.StringIO()), width=80).print(measured_table([answer]))
    assert "failed" in text.getvalue()


def test_measuring_keeps_what_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Ctrl-C at the second network leaves the first one's figures in the file."""
    asked: list[str] = []

    def answer(request: MeasurementRequest, threads: int) -> MeasurementFailure:
        asked.append(request.model)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return MeasurementFailure(request.model, "[/x] is no markup")

    monkeypatch.setattr(measurement, "measure_isolated", answer)
    request = ["--models", "unet:width=2,unet:width=3", "--size", "64x64", "--measure"]
    assert cost.main([*request, "--out", str(tmp_path)]) == 130
    (kept,) = json.loads((tmp_path / "measured.json").read_text())
    assert kept == {"model": asked[0], "runtime": "eager", "failed": "[/x] is no markup"}


def test_runtimes_are_rows_of_a_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One of them trains; what each really computed in is shown, not what was asked for."""
    asked: list[MeasurementRequest] = []

    def answer(request: MeasurementRequest, threads: int) -> Measurement | MeasurementFailure:
        asked.append(request)
        if request.runtime == "compiled":
            return MeasurementFailure(request.model, "no compiler", request.runtime)
        record = {**MEASURED, **asdict(request), "ran_in": "fp32", "agreement": 0.98765}
        return parse_answer(record)

    monkeypatch.setattr(measurement, "measure_isolated", answer)
    monkeypatch.setattr(measurement, "RUNTIMES", dict.fromkeys(measurement.RUNTIMES, ()))
    model = "deeplabv3p:trunk=mobilenetv2_050"
    request = ["--models", f"unet:width=2,{model}", "--size", "64x64", "--measure"]
    runtimes = ("onnxruntime", "compiled", "openvino")
    request += ["--runtime", ",".join(runtimes), "--precision", "bf16-mixed"]
    assert cost.main([*request, "--out", str(tmp_path)]) == 1
    assert all(r.compared and r.train == (r.runtime == "onnxruntime") for r in asked)
    rows = json.loads((tmp_path / "measured.json").read_text())
    places = [(row["model"], row["runtime"]) for row in rows]
    assert places == [(name, runtime) for name in ("unet:width=2", model) for runtime in runtimes]
    assert rows[1] == {"model": "unet:width=2", "runtime": "compiled", "failed": "no compiler"}
    assert (rows[2]["precision"], rows[2]["ran_in"]) == ("bf16-mixed", "fp32")
    text = capsys.readouterr().out
    assert f"{model} (compiled): no compiler" in text
    table = text[text.index("Measured here") :].splitlines()
    assert max(map(len, table)) <= 80
    cells = [line.split() for line in table]
    assert cells.count(["compiled", "failed"]) == 2
    assert (
        cells.count(["onnxruntime,", "fp32", "2", "1-3", "0.1", "98.77", "9", "0.50", "0.75"]) == 2
    )
    assert cells.count(["openvino,", "fp32", "2", "1-3", "0.1", "98.77", "0.50"]) == 2


def test_a_runtime_that_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Said before anything is counted or measured."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    request = ["--models", "all", "--measure", "--runtime", "eager,openvino"]
    assert cost.main([*request, "--out", str(tmp_path / "cost")]) == 2
    said = capsys.readouterr()
    assert said.out == "" and not (tmp_path / "cost").exists()
    assert said.err == (
        "openvino needs openvino, which is not installed: pip install -e '.[runtimes]', or leave "
        "openvino out of --runtime\n"
    )


def test_percentiles_lie_within_what_was_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Six passes of 1 s are all that five seconds hold: three to warm up, three that count."""
    spans = [(float(i), i + 1.0 + i / 10) for i in range(6)]
    ticks = iter([0.0, *(t for span in spans for t in span), 7.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(ticks))
    found = time_calls(lambda: None, torch.device("cpu"), 20)
    assert 1300 <= found.p10 <= found.median <= found.p90 <= 1500


@pytest.mark.slow
def test_again_renews_latency_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    here = {"device": this_device().type, "size": [40, 40], "latency_ms": 1e6, "threads": 9}
    before = made.trial(tmp_path, "unet:width=2", None, cost={**made.COST, **here})
    assert cost.main(["--again", str(tmp_path), "--threads", "1"]) == 0
    assert "unet:width=2 seed 0: 1000000.0 ms before" in capsys.readouterr().out
    renewed = read_result(before.path)
    assert isinstance(renewed, FinishedTrial) and renewed.cost is not None
    assert 0 < renewed.cost.latency_ms < 1e4
    latency = {"latency_ms", "latency_ms_p10", "latency_ms_p90", "threads", "hardware"}
    assert renewed.cost.threads == 1
    assert renewed.cost.hardware == hardware(this_device())
    assert before.cost is not None
    assert renewed.cost.model_dump(exclude=latency) == before.cost.model_dump(exclude=latency)
    assert renewed.model_dump(exclude={"cost"}) == before.model_dump(exclude={"cost"})
