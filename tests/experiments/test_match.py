"""Widths for a budget: the nearest of all, refused where there is none, kept where measured."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from experiments import compare, cost
from experiments.costs import flops, tables, width_search
from experiments.costs.benchmark import Request
from experiments.trials.results import read_results
from models.registry import MODELS
from tests.commands import run

TERMS = width_search.MatchBudget("gmacs", 1.0, (64, 64), 5, "32-true", 2, 1, "any")
ISSUE = TERMS._replace(budget=2.7, size=(360, 480), num_classes=11)


def _says(capsys: pytest.CaptureFixture[str], command: Any, *args: object) -> str:
    """What a request says that is refused before any work, in one line."""
    assert command.main([str(a) for a in args]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert len(shown.err.strip().splitlines()) == 1
    return shown.err


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
def test_networks_against_all_their_widths(family: str) -> None:
    counts = {w: width_search.count(f"{family}:width={w}", TERMS) for w in range(1, 17)}
    for kind in ("gmacs", "params"):
        key = width_search.KINDS[kind][0]
        costs = {w: figures[key] for w, figures in counts.items()}
        assert sorted(costs.values()) == list(costs.values())
        for budget in (costs[1] * 0.95, costs[2] * 1.2, costs[9], costs[14] * 1.07):
            row = width_search.solve(family, TERMS._replace(kind=kind, budget=budget))
            assert row["width"] == min(costs, key=lambda w: abs(costs[w] - budget))
            assert row[key] == costs[row["width"]]
            assert row["off_percent"] == pytest.approx(100 * (row[key] / budget - 1))


@pytest.mark.parametrize(
    "family", ["hrnet", "resunet", "unet", "deeplabv3p", "dilatednet", "segnet"]
)
def test_all_come_within_a_tenth_by_few_counts(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the cost of the README's comparison; no width beside is nearer."""
    counted: list[str] = []
    count = width_search.count

    def counting(model: str, terms: width_search.MatchBudget) -> dict[str, float]:
        counted.append(model)
        return count(model, terms)

    monkeypatch.setattr(width_search, "count", counting)
    row = width_search.solve(family, ISSUE)
    assert abs(row["off_percent"]) < 10
    assert len(counted) <= 8
    for width in (row["width"] - 1, row["width"] + 1):
        beside = count(f"{family}:width={width}", ISSUE)
        assert abs(beside["gmacs"] - 2.7) > abs(row["gmacs"] - 2.7)


def test_counts_are_those_of_the_cost_command() -> None:
    theirs = flops.count("deeplabv3p:trunk=mobilenetv2_100", 5, (64, 64))
    ours = width_search.count("deeplabv3p:trunk=mobilenetv2_100", TERMS)
    assert (ours["params_m"] * 1e6, ours["gmacs"]) == (theirs["params"], theirs["gmacs"])


def test_a_width_that_is_far_off_says_what_the_next_would_be() -> None:
    """U-Net of 1 and of 2 channels: nothing lies between them."""
    one, two = (width_search.count(f"unet:width={w}", TERMS)["gmacs"] for w in (1, 2))
    row = width_search.solve("unet", TERMS._replace(budget=one + 0.4 * (two - one)))
    off = 100 * (two / (one + 0.4 * (two - one)) - 1)
    assert row["width"] == 1
    assert f"channels allow: one channel more is +{off:.0f} %" in row["note"]
    near = width_search.solve("unet", TERMS._replace(budget=two))
    assert (near["width"], near["note"]) == (2, "")


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
    terms = width_search.parse_match(text, (64, 64), 5, "32-true", threads=1)
    assert (terms.kind, terms.budget) == (kind, value)
    assert terms.measured == (kind in ("latency", "train-time"))


@pytest.mark.parametrize("text", ["gmacs", "gmacs=", "gmacs=-1", "gmacs=inf", "gmacs=nan",
                                  "gflops=3", "params=9.6G", "latency=4s", "2.7"])  # fmt: skip
@pytest.mark.parametrize("command", [cost, compare])
def test_other_budgets_are_refused(
    capsys: pytest.CaptureFixture[str], command: Any, text: str
) -> None:
    says = _says(capsys, command, "--models", "unet", "--match", text)
    assert f"--match is {text!r}: give a budget above 0, as gmacs=2.7" in says


@pytest.mark.parametrize(
    ("models", "budget", "says"),
    [
        ("segnet,unet:width=9", "gmacs=2.7", "unet:width=9 has a width, which --match chooses"),
        ("unet,plain", "gmacs=2.7", "plain has no width for --match to choose: leave it out"),
        ("unet", "params=0.0001", "unet at its least width, 1, costs 0.007"),
        ("dilated_resnet", "gmacs=1e-6", "dilated_resnet at its least width, 4, costs 0."),
        ("unet", "params=1e9", "unet at its greatest width, 4096, costs"),
        ("resunet:stride=3", "gmacs=1", "stride is 1 or 4, got 3: choose one of them"),
    ],
)
def test_what_cannot_be_matched_is_refused(
    models: str,
    budget: str,
    says: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "match_plain.py").write_text("def plain(num_classes): ...")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(MODELS, "plain", "match_plain:plain")
    out = tmp_path / "runs"
    common = ("--models", models, "--match", budget, "--at", "64x64", "--out", out)
    assert says in _says(capsys, cost, *common)
    assert says in _says(capsys, compare, *common, "--recipe", "smoke")
    assert not out.exists()


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("--at", "64x64"), "--at is the size for --match: give that too"),
        (("--match", "gmacs=1", "--at", "64"), "--at is '64': give height x width of at least 33"),
        (("--match", "latency=1", "--num-nodes", "2"), "each machine may measure another width"),
        (("--match", "gmacs=1", "--set", "init=imagenet"), "no weights of init=imagenet"),
    ],
)
def test_comparisons_that_cannot_be_matched(
    args: tuple[str, ...], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = ("--models", "dilated_resnet", "--recipe", "smoke", "--out", tmp_path / "runs")
    assert says in _says(capsys, compare, *common, *args)
    assert not (tmp_path / "runs").exists()


def test_measured_widths_are_few_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Milliseconds that are a square of the width and a part that no width changes."""
    asked: list[Request] = []

    def answer(request: Request, threads: int) -> dict[str, float]:
        asked.append(request)
        milliseconds = 5 + 0.01 * int(request.model.split("=")[1]) ** 2
        return {"latency_ms": milliseconds, "train_step_ms": 3 * milliseconds}

    monkeypatch.setattr(width_search, "measure_apart", answer)
    terms, kept = TERMS._replace(kind="latency", budget=60.0), tmp_path / "match.json"
    (row,) = width_search.plan(["unet"], terms, kept)
    assert abs(row["latency_ms"] / 60 - 1) <= width_search.TOLERANCE
    assert len(asked) <= 6
    assert {(r.batch, r.train) for r in asked} == {(1, False)}

    asked.clear()
    rows = width_search.plan(["unet", "segnet"], terms, kept)
    assert rows[0] == {**row, "kept": str(kept)}
    assert {request.model.split(":")[0] for request in asked} == {"segnet"}
    tables.print_match(rows, terms, Console(file=(text := io.StringIO()), width=80))
    assert f"unet: as measured before; to measure anew, delete {kept}" in text.getvalue()

    before = json.loads(kept.read_text())
    kept.write_text(json.dumps([{**row, "code": "of before"} for row in before]))
    assert "kept" not in width_search.plan(["segnet"], terms, kept)[0]  # its code may be slower now
    kept.write_text("{")
    with pytest.raises(ValueError, match=r"match.json is damaged: delete it"):
        width_search.plan(["unet"], terms, kept)
    kept.write_text(json.dumps(before))

    asked.clear()
    (other,) = width_search.plan(["unet"], terms._replace(kind="train-time", budget=0.18), kept)
    assert other["train_s"] == pytest.approx(0.18, rel=width_search.TOLERANCE)
    assert {(r.batch, r.train) for r in asked} == {(2, True)}
    assert len(json.loads(kept.read_text())) == 3


def test_a_width_that_cannot_be_measured_ends_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(width_search, "measure_apart", lambda *_: {"failed": "out of memory"})
    with pytest.raises(ValueError, match=r"unet:width=16 cannot be measured \(out of memory\)"):
        width_search.solve("unet", TERMS._replace(kind="latency"))


def test_the_table_fits_80_columns() -> None:
    row = {
        "family": "hrnet", "model": "deeplabv3p:trunk=mobilenetv2_100:output_stride=8:width=1234",
        "params_m": 1234.5, "gmacs": 0.000123, "latency_ms": 12345.6, "off_percent": -100.0,
        "note": "-15 % is as near as whole channels allow: one channel more is +17 %",
    }  # fmt: skip
    terms = TERMS._replace(kind="train-time", budget=1234.5678, hardware="a processor " * 6)
    console = Console(file=(text := io.StringIO()), width=80)
    tables.print_match([row, {**row, "train_s": 1234.5}], terms, console)
    shown = text.getvalue()
    assert max(map(len, shown.splitlines())) <= 80
    for figure in ("1234 ", "0.000123", "12346", "failed", "-100.0", "hrnet: -15 %"):
        assert figure in shown


@pytest.mark.slow
def test_the_cost_command_times_what_it_matched(tmp_path: Path) -> None:
    status, text = run(
        "experiments.cost", "--match", "params=2", "--at", "64x64", "--models", "unet,resunet",
        "--classes", "5", "--threads", "1", "--out", tmp_path,
    )  # fmt: skip
    assert status == 0, text
    assert "Matched to 2 million parameters: 64x64, 5 classes" in text
    assert max(map(len, text.splitlines()[:-1])) <= 80
    rows = json.loads((tmp_path / "match.json").read_text())
    assert [row["model"] for row in rows] == ["unet:width=16", "resunet:width=15"]
    for row in rows:
        assert abs(row["off_percent"]) < 10
        assert 0 < row["train_s"] < 60
        assert row["model"] in text


@pytest.mark.slow
def test_a_comparison_at_matched_widths(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The plan alone leaves nothing behind; the same command again trains nothing again."""
    out = tmp_path / "runs"
    command = ["--models", "unet,resunet", "--recipe", "smoke", "--match", "gmacs=0.02",
               "--wandb", "off", "--out", str(out)]  # fmt: skip
    assert compare.main([*command, "--dry-run"]) == 0
    text = capsys.readouterr().out
    assert "Matched to 0.02 GMACs: 48x64" in text
    assert "unet:width=6 seed 0" in text
    assert not out.exists()
    status, text = run("experiments.compare", *command, "--jobs", 2)
    assert status == 0, text
    models = [result["model"] for result in read_results(out)]
    assert models == ["resunet:width=10", "unet:width=6"]
    assert compare.main(command) == 0
    assert "2 of 2 trials are done already and kept" in capsys.readouterr().out


def test_a_network_without_any_width_says_why() -> None:
    with pytest.raises(ValueError, match=r"convnext_tiny has no width .* LayerNorm2d, and only"):
        width_search.solve("deeplabv3p:trunk=convnext_tiny", TERMS)
