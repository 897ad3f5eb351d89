"""The comparison's tables with what the evidence says of it, in 80 columns."""

import re
from pathlib import Path

from rich.console import Console

from experiments.analysis.evidence import evidence
from experiments.reporting.tables import main_table, markdown, tables
from experiments.trials.result_types import FinishedTrial, TrialResult
from experiments.trials.verification import Outcome, Verification
from tests.experiments.made import COST, arrays, failed, judge, spread, trial
from tests.experiments.paper_trials import prior

LONG = "deeplabv3p:trunk=mobilenetv2_100:output_stride=8"


def printed(part: object, colours: bool = False) -> str:
    console = Console(
        width=80, force_terminal=colours, color_system="truecolor" if colours else None
    )
    with console.capture() as capture:
        console.print(part)
    return capture.get()


def three(root: Path) -> list[TrialResult]:
    return [
        trial(root, "far", arrays(spread(0.3, 0.05, 3))),
        trial(root, "best", arrays(spread(0.6, 0.1, 1))),
        trial(root, LONG, arrays(spread(0.59, 0.1, 2))),
    ]


def test_intervals_and_what_cannot_be_told_apart(tmp_path: Path) -> None:
    results = three(tmp_path)
    found = judge(results)
    text = printed(main_table(results, evidence=found))
    assert max(map(len, text.splitlines())) <= 80
    lines = text.splitlines()
    (best,) = (i for i, line in enumerate(lines) if line.strip().startswith("best"))
    interval = found.models[0].miou
    assert interval.low is not None and interval.high is not None
    bounds = f"[{100 * interval.low:.1f}, {100 * interval.high:.1f}]"
    assert lines[best].rstrip().endswith(" 60.0") and lines[best + 1].rstrip().endswith(bounds)
    assert "~59.0" in text and text.count("~") == 2  # the row, and the caption
    assert "cannot be told apart from the best" in text
    assert "95 % interval for these trained networks" in " ".join(text.split())


def test_the_same_rows_are_dim(tmp_path: Path) -> None:
    results = three(tmp_path)
    text = printed(main_table(results, evidence=judge(results)), colours=True)
    dim = [line for line in text.splitlines() if re.search(r"\x1b\[2m", line)]
    assert any("59.0" in line for line in dim)
    assert not any("60.0" in line or "30.0" in line for line in dim)


def test_without_evidence_or_intervals(tmp_path: Path) -> None:
    results = three(tmp_path)
    plain = printed(main_table(results))
    assert "[" not in plain and "~" not in plain and "60.0" in plain
    short = printed(main_table(results, evidence=evidence(results, block=None)))
    assert "[" not in short and "~59.0" in short


def test_rows_that_did_not_train_say_so(tmp_path: Path) -> None:
    results = three(tmp_path)
    results += [
        failed(tmp_path, "a", "the loss is nan at step 3", kind="diverged"),
        failed(tmp_path, "b", "out of memory", seed=1),
    ]
    text = printed(main_table(results, evidence=judge(results, prior=0.295)))
    words = " ".join(text.split())
    assert re.search(r"30\.0\s+random\s+did not train", words)
    assert re.search(r"a( -){5} did not seed 0 train", words)
    assert re.search(r"b( -){5} failed seed 1", words)


def test_ten_networks_fit(tmp_path: Path) -> None:
    init = {"kind": "imagenet", "source": "resnet101.a1h_in1k"}
    results = [
        trial(
            tmp_path,
            f"{LONG}:width={i}",
            arrays(spread(0.5 + i / 50, 0.1, i)),
            seed,
            recipe={"init": "imagenet"},
            init=init,
            cost={
                **COST,
                "params": 65e6,
                "gmacs": 1234.5,
                "size": [1024, 2048],
                "latency_ms": 12345.0,
            }
            | {"peak_memory_gb": 12.3, "peak_memory_kind": "resident set of the training process"}
            | {"threads": 16, "device": "cpu", "precision": "bf16-mixed"},
            timing={"train_seconds": 123456.0, "steps": 4000},
        )
        for i in range(10)
        for seed in (0, 1)
    ]
    found = judge(results)
    for part in tables(results, {results[0].path}, found)[-3:-2]:
        text = printed(part)
        assert max(map(len, text.splitlines())) <= 80
        assert text.count("±") == 10 and text.count("*") == 1
        assert "..." not in text and "…" not in text


def test_markdown_has_a_column_of_intervals(tmp_path: Path) -> None:
    results = three(tmp_path)
    found = judge(results)
    plain, text = markdown(results, prior()), markdown(results, prior(), found)
    assert "95 %" not in plain
    widths = {len(line.split("|")) for line in text.splitlines()}
    assert widths == {len(plain.splitlines()[0].split("|")) + 1}
    best = found.models[0].miou
    assert best.low is not None and best.high is not None
    assert f"| 60.0 | {100 * best.low:.1f} to {100 * best.high:.1f} |" in text
    assert text.splitlines()[-1].endswith("| 17.0 | |")


def verification(outcome: Outcome = "equal") -> Verification:
    return Verification(
        code="now",
        version="0.2.0",
        steps=50,
        num_losses=50,
        outcome=outcome,
        largest=0.0 if outcome == "equal" else 2e-7,
        differs_from=None,
        hardware="cpu",
    )


def test_verified_rows_are_named_below_the_table(tmp_path: Path) -> None:
    """A model of which all seeds hold by its name, else the seeds that do."""
    results = [trial(tmp_path, name, arrays(0.5), seed) for name in ("a", LONG) for seed in (0, 1)]
    assert "verified" not in printed(main_table(results))
    held = {result.path: verification() for result in results[:3]}
    text = printed(main_table(results, {results[3].path}, verified=held))
    assert max(map(len, text.splitlines())) <= 80
    said = " ".join(text.split())
    equal = "equal to the bit (50 losses of the first 50 steps)"
    assert f"verified under the present code: a, {LONG} seed 0 {equal}" in said
    assert text.count("*") == 1
    held |= {result.path: verification("within noise") for result in results[2:]}
    said = " ".join(printed(main_table(results, verified=held)).split())
    assert f"a {equal}; {LONG} equal within the hardware's noise" in said


def test_other_runs_of_a_failed_trial_are_told_apart(tmp_path: Path) -> None:
    results = [failed(tmp_path, "a", "out of memory", repeat=n) for n in (0, 1)]
    lines = [line.strip() for line in printed(main_table(results)).splitlines()]
    assert "seed 0" in lines and "seed 0, run 2" in lines


def test_seconds_of_different_hardware_are_grouped_and_rank_nothing(tmp_path: Path) -> None:
    def on(name: str, miou: float, hardware: str, latency: float, seed: int = 0) -> TrialResult:
        cost, where = {**COST, "latency_ms": latency}, {"hardware": hardware}
        counts = arrays(spread(miou, 0.1, len(name)))
        return trial(tmp_path, name, counts, seed, cost=cost, environment=where)

    alike = [on("best", 0.6, "Fast 9", 10.0), on("cheap", 0.5, "Fast 9", 5.0)]
    text = printed(main_table(alike))
    assert "Fast 9" not in text and "different hardware" not in text
    assert "latency_ms" in judge(alike).models[0].fronts
    results = [*alike, on("other", 0.55, "Slow 1", 90.0)]
    text = printed(main_table(results, evidence=judge(results)))
    assert max(map(len, text.splitlines())) <= 80
    lines = [line.strip() for line in text.splitlines()]
    places = {word: next(i for i, line in enumerate(lines) if line.startswith(word))
              for word in ("on Fast 9", "best", "cheap", "on Slow 1", "other")}  # fmt: skip
    assert list(places) == sorted(places, key=places.__getitem__)
    assert "are of different hardware: compare them within a group alone" in " ".join(lines)
    fronts = judge(results).models[0].fronts
    assert "gmacs" in fronts and not {"latency_ms", "train_s", "memory_gb"} & fronts.keys()
    (row,) = (line for line in markdown(results, None).splitlines() if "`best`" in line)
    assert row == "| `best` | 1.00 | 2.00 | - | - | - | 60.0 |"
    # Seeds of one network on two machines have no common second.
    results = [*alike, on("best", 0.6, "Slow 1", 90.0, seed=1)]
    (row,) = (line for line in printed(main_table(results)).splitlines() if " best" in f" {line}")
    assert row.split()[1:6] == ["1.00", "2.00", "-", "-", "-"]
    # Timed again on one, latency is one; seconds of training stay what they are.
    again = {**COST, "latency_ms": 20.0, "hardware": "Timer 2"}
    timed = [
        result.model_copy(update={"cost": result.cost.model_copy(update=again)})
        for result in results
        if isinstance(result, FinishedTrial) and result.cost
    ]
    (row,) = (line for line in printed(main_table(timed)).splitlines() if " best" in f" {line}")
    assert row.split()[1:6] == ["1.00", "2.00", "20", "-", "-"]
    fronts = judge(timed).models[0].fronts
    assert "latency_ms" in fronts and "train_s" not in fronts
