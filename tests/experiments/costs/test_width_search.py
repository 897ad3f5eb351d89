"""Widths for a budget: the nearest of all, refused where there is none, kept where measured."""

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from experiments.costs import flops, measurement, width_search
from experiments.costs.match_budget import (
    KINDS,
    KindName,
    MatchBudget,
    MatchedNetwork,
    read_matches,
)
from experiments.costs.measurement import (
    Measurement,
    MeasurementFailure,
    MeasurementRequest,
    Timing,
    TrainingStep,
)
from experiments.costs.network_cost import OperationCount
from experiments.costs.tables import print_match
from tests.commands import ROOT

BUDGET = MatchBudget("gmacs", 1.0, (64, 64), 5, "32-true", 2, 1, "any")
OF_README = replace(BUDGET, value=2.7, size=(360, 480), num_classes=11)
COMMITTED = ROOT / "experiments" / "results" / "match" / "gmacs-2.7.json"


def count(model: str, budget: MatchBudget = BUDGET) -> OperationCount:
    return flops.count(model, budget.num_classes, budget.size)


def timed(request: MeasurementRequest, milliseconds: float) -> Measurement:
    """As a machine would answer on which a training step takes three times a forward pass."""
    step = TrainingStep(request.batch, Timing(3 * milliseconds, 0, 0), 1.0)
    latency, training = Timing(milliseconds, 0, 0), step if request.train else None
    return Measurement(request, latency, 1.0, training, "all", 1, "cpu", "any", "2", "fp32", 0.1)


@given(
    steps=st.lists(st.floats(0.01, 100), min_size=20, max_size=60),
    refused=st.sets(st.integers(1, 50), max_size=10),
    budget=st.floats(0.01, 1000),
)
def test_no_other_width_is_nearer(steps: list[float], refused: set[int], budget: float) -> None:
    """Of any growing cost, with widths that make no network; past the steps it is a square."""
    costs = {w: sum(steps[:w]) + max(0, w - len(steps)) ** 2.0 for w in range(1, 200)}
    real = {w: c for w, c in costs.items() if w not in refused}
    seen = width_search.search(lambda w: real.get(w), budget)
    assert seen.items() <= real.items()
    nearest = min(abs(c - budget) for c in real.values())
    assert min(abs(c - budget) for c in seen.values()) == nearest


@pytest.mark.parametrize("family", ["unet", "segnet"])
@pytest.mark.parametrize("kind", ["gmacs", "params"])
def test_networks_against_all_their_widths(family: str, kind: Literal["gmacs", "params"]) -> None:
    counts = {w: count(f"{family}:width={w}") for w in range(1, 17)}
    costs = {w: c.gmacs if kind == "gmacs" else c.params / 1e6 for w, c in counts.items()}
    assert sorted(costs.values()) == list(costs.values())
    for value in (costs[1] * 0.95, costs[2] * 1.2, costs[9], costs[14] * 1.07):
        row = width_search.match_network(family, replace(BUDGET, kind=kind, value=value))
        assert row.width == min(costs, key=lambda w: abs(costs[w] - value))
        assert row.figures[KINDS[kind].figure] == costs[row.width]
        assert row.off_percent == pytest.approx(100 * (costs[row.width] / value - 1))


@pytest.mark.parametrize(
    "family", ["hrnet", "resunet", "unet", "deeplabv3p", "dilatednet", "segnet"]
)
def test_all_come_within_a_tenth_by_few_counts(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the cost of the README's comparison; no width beside is nearer."""
    counted: list[str] = []

    def counting(model: str, num_classes: int, size: tuple[int, int]) -> OperationCount:
        counted.append(model)
        return flops.count(model, num_classes, size)

    monkeypatch.setattr(width_search, "count", counting)
    row = width_search.match_network(family, OF_README)
    assert abs(row.off_percent) < 10
    assert len(counted) <= 8
    for width in (row.width - 1, row.width + 1):
        beside = count(f"{family}:width={width}", OF_README)
        assert abs(beside.gmacs - 2.7) > abs(row.gmacs - 2.7)


def test_a_width_that_is_far_off_says_what_the_next_would_be() -> None:
    """U-Net of 1 and of 2 channels: nothing lies between them."""
    one, two = (count(f"unet:width={w}").gmacs for w in (1, 2))
    value = one + 0.4 * (two - one)
    row = width_search.match_network("unet", replace(BUDGET, value=value))
    off = 100 * (two / value - 1)
    assert row.width == 1
    assert f"channels allow: one channel more is +{off:.0f} %" in row.note
    near = width_search.match_network("unet", replace(BUDGET, value=two))
    assert (near.width, near.note) == (2, "")


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("gmacs=2.7", "gmacs", 2.7),
        ("params=9.6M", "params", 9.6),
        ("params=9.6", "params", 9.6),
        ("latency=40ms", "latency", 40.0),
        ("train-time=0.5s", "train-time", 0.5),
    ],
)
def test_budgets(text: str, kind: str, value: float) -> None:
    budget = width_search.parse_match(text, (64, 64), 5, "32-true", threads=1)
    assert (budget.kind, budget.value) == (kind, value)
    assert budget.measured == (kind in ("latency", "train-time"))


def test_measured_widths_are_few_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Milliseconds that are a square of the width and a part that no width changes."""
    asked: list[MeasurementRequest] = []

    def answer(request: MeasurementRequest, threads: int) -> Measurement:
        asked.append(request)
        return timed(request, 5 + 0.01 * int(request.model.split("=")[1]) ** 2)

    monkeypatch.setattr(width_search, "measure_isolated", answer)
    budget, kept = replace(BUDGET, kind="latency", value=60.0), tmp_path / "match.json"
    (row,) = width_search.match_networks(["unet"], budget, kept)
    assert row.latency_ms == pytest.approx(60, rel=width_search.TOLERANCE)
    assert len(asked) <= 6
    assert {(r.batch, r.train) for r in asked} == {(1, False)}

    asked.clear()
    rows = width_search.match_networks(["unet", "segnet"], budget, kept)
    assert rows[0] == replace(row, kept_in=kept)
    assert {request.model.split(":")[0] for request in asked} == {"segnet"}
    print_match(rows, budget, Console(file=(text := io.StringIO()), width=80))
    assert f"unet: as measured before; to measure anew, delete {kept}" in text.getvalue()

    before = json.loads(kept.read_text())
    kept.write_text(json.dumps([{**row, "code": "of before"} for row in before]))
    (row,) = width_search.match_networks(["segnet"], budget, kept)
    assert row.kept_in is None  # its code may be slower now
    kept.write_text(json.dumps(before))

    asked.clear()
    other = replace(budget, kind="train-time", value=0.18)
    (row,) = width_search.match_networks(["unet"], other, kept)
    assert row.train_s == pytest.approx(0.18, rel=width_search.TOLERANCE)
    assert {(r.batch, r.train) for r in asked} == {(2, True)}
    assert len(json.loads(kept.read_text())) == 3


@pytest.mark.parametrize("text", ["{", "[{}]", "{}x", '[{"family": "unet", "terms": 3}]', "7"])
def test_a_damaged_file_of_widths_is_refused(tmp_path: Path, text: str) -> None:
    kept = tmp_path / "match.json"
    kept.write_text(text)
    with pytest.raises(ValueError, match=r"match\.json.*: delete it, and widths are measured anew"):
        width_search.match_networks(["unet"], replace(BUDGET, kind="latency"), kept)


def test_committed_widths_are_read() -> None:
    """They are older than the hash of the code; what is written again has all that they had."""
    kept, rows = json.loads(COMMITTED.read_text()), read_matches(COMMITTED)
    assert [row.to_json() for row in rows] == kept
    assert {row.code for row in rows} == {None}
    assert rows[2].budget == replace(OF_README, num_classes=19, threads=2, hardware="AMD EPYC")
    assert rows[2].train_s == pytest.approx(0.412, abs=5e-4)


@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        ("gmacs", "params_m gmacs off_percent note train_s"),
        ("latency", "params_m gmacs latency_ms off_percent note train_s"),
        ("train-time", "params_m gmacs train_s off_percent note"),
    ],
)
def test_rows_are_written_with_what_was_matched_first(kind: KindName, keys: str) -> None:
    latency = 4.0 if kind == "latency" else None
    row = MatchedNetwork(
        "unet", replace(BUDGET, kind=kind), "unet:width=9", 9, 0.6, 2.6, -2.4,
        latency_ms=latency, train_s=0.4, code="c",
    )  # fmt: skip
    assert " ".join(row.to_json()) == "family terms code model width " + keys
    assert MatchedNetwork.from_json(json.loads(json.dumps(row.to_json()))) == row


def test_a_width_that_cannot_be_measured_ends_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    failure = MeasurementFailure("unet:width=16", "out of memory")
    monkeypatch.setattr(width_search, "measure_isolated", lambda *_: failure)
    with pytest.raises(ValueError, match=r"unet:width=16 cannot be measured \(out of memory\)"):
        width_search.match_network("unet", replace(BUDGET, kind="latency"))


def test_a_training_step_that_fails_costs_its_cell_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(request: MeasurementRequest, threads: int) -> Measurement | MeasurementFailure:
        assert (request.batch, request.train) == (2, True)
        if request.model.startswith("unet"):
            return MeasurementFailure(request.model, "out of memory")
        return timed(request, 100.0)

    monkeypatch.setattr(measurement, "measure_isolated", answer)
    unet, segnet = width_search.match_and_time(["unet", "segnet"], BUDGET, tmp_path)
    assert (unet.failure, unet.train_s) == ("out of memory", None)
    assert (segnet.failure, segnet.train_s) == (None, 0.3)
    written = json.loads((tmp_path / "match.json").read_text())
    assert [row.get("failed") for row in written] == ["out of memory", None]
    assert len(json.loads((tmp_path / "measured.json").read_text())) == 2


def test_the_table_fits_80_columns() -> None:
    budget = replace(BUDGET, kind="train-time", value=1234.5678, hardware="a processor " * 6)
    row = MatchedNetwork(
        "hrnet", budget, "deeplabv3p:trunk=mobilenetv2_100:output_stride=8:width=1234", 1234,
        params_m=1234.5, gmacs=0.000123, latency_ms=12345.6, off_percent=-100.0,
        note="-15 % is as near as whole channels allow: one channel more is +17 %",
    )  # fmt: skip
    console = Console(file=(text := io.StringIO()), width=80)
    print_match([row, replace(row, train_s=1234.5)], budget, console)
    shown = text.getvalue()
    assert max(map(len, shown.splitlines())) <= 80
    for figure in ("1234 ", "0.000123", "12346", "failed", "-100.0", "hrnet: -15 %"):
        assert figure in shown


def test_a_network_without_any_width_says_why() -> None:
    with pytest.raises(ValueError, match=r"convnext_tiny has no width .* LayerNorm2d, and only"):
        width_search.match_network("deeplabv3p:trunk=convnext_tiny", BUDGET)
