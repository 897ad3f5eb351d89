"""`--match` of the cost and compare commands: what they print and leave, and what they refuse."""

import json
from pathlib import Path
from typing import Any

import pytest

from experiments import compare, cost
from experiments.trials.results import read_results
from models.registry import MODELS
from tests.commands import exit_status, run
from tests.experiments import here


def _says(capsys: pytest.CaptureFixture[str], command: Any, *args: object) -> str:
    """What a request says that is refused before any work, in one line."""
    assert exit_status(command.main, *args) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert len(shown.err.strip().splitlines()) == 1
    return shown.err


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
        (("--match", "gmacs=1", "--at", "64"), "--at is 64: give height x width of at least 33"),
        (("--match", "latency=1", "--num-nodes", "2"), "each machine may measure another width"),
        (("--match", "gmacs=1", "--set", "init=imagenet"), "no weights of init=imagenet"),
    ],
)
def test_comparisons_that_cannot_be_matched(
    args: tuple[str, ...],
    says: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in {"NODE_RANK": "0", "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)
    common = ("--models", "dilated_resnet", "--recipe", "smoke", "--out", tmp_path / "runs")
    assert says in _says(capsys, compare, *common, *args)
    assert not (tmp_path / "runs").exists()


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
    status, text = here.compare(*command)
    assert status == 0, text
    models = [result.model for result in read_results(out)]
    assert models == ["resunet:width=10", "unet:width=6"]
    assert compare.main(command) == 0
    assert "2 of 2 trials are done already and kept" in capsys.readouterr().out
