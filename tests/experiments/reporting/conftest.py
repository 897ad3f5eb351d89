"""Three networks on small streets, each better than the one before, and one that failed."""

import shutil
from pathlib import Path

import pytest

from datamodules.labels import DataError
from experiments.trials.result_types import FailedTrial, FinishedTrial
from experiments.trials.results import read_results
from tests.experiments.street_trials import COST, MODELS, Streets, write, write_failed


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Never changed."""
    folder = tmp_path_factory.mktemp("made") / "results"
    for i, model in enumerate(MODELS):
        write(folder / str(i), model, wrong=0.4 - 0.15 * i, cost={**COST, "gmacs": 2.62 * (i + 1)})
    write_failed(folder / "3", "hrnet", "out of memory at step 3")
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy to change."""
    return Path(shutil.copytree(made, tmp_path / "results"))


@pytest.fixture
def results(folder: Path) -> list[FinishedTrial | FailedTrial]:
    return read_results(folder)


@pytest.fixture
def data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "experiments.reporting.image_panel.open_data", lambda spec, split, root: Streets()
    )


@pytest.fixture
def no_data(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(spec: str, split: str, root: Path | None) -> None:
        raise DataError("camvid needs a folder and none was given")

    monkeypatch.setattr("experiments.reporting.image_panel.open_data", refuse)
