"""The report command: what it writes, what it refuses, how long it takes."""

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from experiments import report
from experiments.analysis.evidence import evidence
from experiments.analysis.evidence_types import Evidence
from experiments.reporting.readme_figures import pareto_figure
from experiments.trials.result_types import TrialResult
from experiments.trials.results import COUNTS
from tests.experiments.large_results import write_large
from tests.experiments.street_trials import MODELS, edit


def test_figure(results: Sequence[TrialResult], tmp_path: Path) -> None:
    pareto_figure(results, tmp_path / "figure.png")
    with Image.open(tmp_path / "figure.png") as image:
        assert image.width == 1200
        assert np.asarray(image.convert("L")).std() > 5


def test_main_writes_beside_the_results(folder: Path, data: None, tmp_path: Path) -> None:
    assert report.main([str(folder), "--figure", str(tmp_path / "figure.png")]) == 0
    assert (folder / "report.html").is_file() and (tmp_path / "figure.png").is_file()


def test_main_refuses_in_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert report.main([str(tmp_path / "none")]) == 2
    assert re.fullmatch(r"no results folder at .*\n", capsys.readouterr().err)
    assert report.main([str(tmp_path)]) == 2
    assert re.fullmatch(r"no results .*\n", capsys.readouterr().err)


def test_evidence_is_computed_once(
    folder: Path, data: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[object] = []

    def counting(results: Sequence[TrialResult], **options: Any) -> Evidence:
        calls.append(results)
        return evidence(results, **options)

    monkeypatch.setattr("experiments.reporting.comparison_files.evidence", counting)
    readme = tmp_path / "README.md"
    readme.write_text(f"<!-- {folder.name} -->\n<!-- end -->\n")
    files = {"latex": "t.tex", "figures": "f", "csv": "t.csv", "figure": "f.png"}
    flags = [text for flag, name in files.items() for text in (f"--{flag}", str(tmp_path / name))]
    assert report.main([str(folder), "--readme", str(readme), *flags]) == 0
    assert len(calls) == 1
    assert all((tmp_path / name).exists() for name in files.values())


@pytest.mark.parametrize("part", ["recipe", "data", "protocol"])
def test_a_mix_is_refused_or_written_apart(
    folder: Path, data: None, part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where the counts are of fewer images, which no picture can show beside the others."""
    path = folder / "2" / "result.json"
    record = json.loads(path.read_text())
    change, differs = {
        "recipe": ({"recipe": record["recipe"] | {"lr": 0.1}}, "lr: 0.05 against 0.1"),
        "data": (
            {"data": record["data"] | {"fingerprints": {"test": "exchanged"}}},
            "fingerprints.test: nothing against 'exchanged'",
        ),
        "protocol": ({"protocol": {"split": "test", "passes": {"flip": True}}}, "no flip' against"),
    }[part]
    hashes = {"hashes": record["hashes"] | {part: "another"}}
    path.write_text(json.dumps(record | change | hashes))
    assert report.main([str(folder)]) == 2
    shown = capsys.readouterr()
    assert shown.out == "" and len(shown.err.strip().splitlines()) == 1
    assert f"differ in {part} (" in shown.err and differs in shown.err
    assert "--allow-mixed" in shown.err
    assert not (folder / "report.html").exists()

    assert report.main([str(folder), "--allow-mixed"]) == 0
    pages = [(folder / name).read_text() for name in ("report.html", "report-2.html")]
    assert [MODELS[2] in text for text in pages] == [False, True]


def test_a_mix_is_refused_before_pictures_are_chosen(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Which reads the counts of all, here damaged."""
    edit(folder / "2" / "result.json", hashes={"recipe": "another"}, recipe={"lr": 0.1})
    (folder / "2" / COUNTS).write_bytes(b"")
    assert report.main([str(folder)]) == 2
    assert "differ in recipe (" in capsys.readouterr().err


def test_counts_of_another_scoring_are_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "1" / COUNTS).write_bytes((folder / "2" / COUNTS).read_bytes())
    assert report.main([str(folder)]) == 2
    assert re.fullmatch(r".*1/per_image.npz is not of the scoring .*\n", capsys.readouterr().err)


@pytest.mark.parametrize(
    ("imports", "heavy"),
    [
        ("import experiments.report", "torch lightning jinja2 matplotlib pandas wandb scipy"),
        # scipy is analysis's, which every file of the room that knows evidence imports.
        ("import experiments.reporting as room, pkgutil, importlib; [importlib.import_module("
         "f'{room.__name__}.{file.name}') for file in pkgutil.iter_modules(room.__path__)]",
         "torch lightning jinja2 matplotlib pandas wandb"),
    ],
)  # fmt: skip
def test_imports_are_light(imports: str, heavy: str) -> None:
    """Of the command, and of every file of the room."""
    code = f"{imports}; import sys; print(*({set(heavy.split())} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.slow
def test_thirty_large_trials(tmp_path: Path) -> None:
    """10 models, 3 seeds, 500 images and 19 classes: 20 s of one core and 1 GB at most."""
    write_large(tmp_path / "runs")
    script = f"""
import resource
from experiments.report import main
assert main([{str(tmp_path / "runs")!r}]) == 0
used = resource.getrusage(resource.RUSAGE_SELF)
# Not ru_maxrss, which begins with the memory of the process that started this one.
(peak,) = [line for line in open("/proc/self/status") if line.startswith("VmHWM")]
print(used.ru_utime + used.ru_stime, int(peak.split()[1]) / 1e6)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    seconds, gigabytes = map(float, done.stdout.split()[-2:])
    assert seconds < 20 and gigabytes < 1
    assert (tmp_path / "runs" / "report.html").stat().st_size < 8e6


def test_published_results_make_the_same_table(folder: Path, data: None, tmp_path: Path) -> None:
    """What is kept is enough for the README, which is renewed between its marks alone."""
    readme, kept = tmp_path / "README.md", tmp_path / "kept"
    readme.write_text(f"before\n<!-- {folder.name} -->\nold\n<!-- end -->\nafter\n")
    assert report.main([str(folder), "--publish", str(kept), "--readme", str(readme)]) == 0
    text = readme.read_text()
    assert text.startswith("before\n")
    assert text.endswith("<!-- end -->\nafter\n")
    assert "old" not in text
    for model in MODELS:
        assert f"| `{model}` |" in text
    readme.write_text("no marks")
    assert report.main([str(folder), "--readme", str(readme)]) == 2
    assert readme.read_text() == "no marks"
