"""The notebooks run, on committed results and on a comparison made here, and are kept without
outputs."""

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from experiments.claims.assessment import assess
from experiments.claims.registration import CLAIMS
from experiments.claims.study import read_study
from experiments.lecture_report.sentences import sentence
from tests.commands import SETTINGS
from tests.experiments import here

FOLDER = Path(__file__).parents[1] / "notebooks"
NAMES = sorted(path.stem for path in FOLDER.glob("*.ipynb"))


def read(name: str) -> Any:
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)  # type: ignore[no-untyped-call]


def execute(name: str, patch: pytest.MonkeyPatch, **environment: object) -> list[Any]:
    """Every output of a notebook that runs in its own folder, where a warning is an error."""
    for key, value in (SETTINGS | environment).items():
        patch.setenv(key, str(value))
    notebook = read(name)
    strict = nbformat.v4.new_code_cell("import warnings; warnings.simplefilter('error')")  # type: ignore[no-untyped-call]
    notebook.cells.insert(0, strict)
    resources = {"metadata": {"path": str(FOLDER)}}
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources=resources).execute()
    return [out for cell in notebook.cells for out in cell.get("outputs", ())]


def text_of(outputs: list[Any]) -> str:
    parts = [out.get("text", "") + out.get("data", {}).get("text/html", "") for out in outputs]
    return "\n".join(parts)


def pictures(outputs: list[Any]) -> int:
    return sum("image/png" in out.get("data", {}) for out in outputs)


def test_there_are_three() -> None:
    assert NAMES == ["lecture", "predictions", "results"]


@pytest.mark.parametrize("name", NAMES)
def test_nothing_that_was_run_is_kept(name: str) -> None:
    for cell in read(name).cells:
        assert not cell.get("outputs") and cell.get("execution_count") is None
        assert len(cell.source.splitlines()) <= 25


def test_results_run_on_the_committed_results(monkeypatch: pytest.MonkeyPatch) -> None:
    outputs = execute("results", monkeypatch)
    assert not [out for out in outputs if out.get("name") == "stderr"]
    text = text_of(outputs)
    first = "so far hrnetv2_w18_small_v1 has the highest mIoU"
    for part in (first, "0.522", "0.500", "thin things in Seq05VD"):
        assert part in text, part
    assert pictures(outputs) == 3


def test_the_lecture_runs_on_the_kept_results(monkeypatch: pytest.MonkeyPatch) -> None:
    outputs = execute("lecture", monkeypatch)
    assert not [out for out in outputs if out.get("name") == "stderr"]
    text = text_of(outputs)
    folders = [FOLDER.parent / "experiments/results/lecture"]
    for verdict in assess(CLAIMS, read_study(folders), folders):
        assert verdict.claim.says in text
        assert sentence(verdict, "en") in text
    assert pictures(outputs) == 4


@pytest.mark.slow  # most of it for the imports of a kernel
def test_predictions_run_on_a_comparison(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, printed = here.compare(
        "--recipe", "smoke", "--models", "unet:width=4,segnet:width=4",
        "--set", "steps=2", "--wandb", "off", "--out", tmp_path,
    )  # fmt: skip
    assert code == 0, printed
    outputs = execute("predictions", monkeypatch, SEGLAB_TRIALS=tmp_path)
    assert not [out for out in outputs if out.get("name") == "stderr"]
    assert pictures(outputs) == 1


def test_predictions_without_networks_say_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CellExecutionError, match=r"no trained networks below .*: run `make comp"):
        execute("predictions", monkeypatch, SEGLAB_TRIALS=tmp_path)
