"""Parts on a real SLURM of two nodes: the bits of one machine, also where a part is sent back."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules import open_data
from experiments import data, score
from tests.commands import exit_status
from tests.slurm import Slurm, cluster, lacking
from tests.trees import camvid

pytestmark = pytest.mark.skipif(
    bool(lacking()), reason=f"SLURM is not installed here: {', '.join(lacking())} lacking"
)
ENGINE = ("--engine", "slurm", "--engine-set", "time=00:05:00,patience=5", "--parts", 3)


@pytest.fixture(scope="module")
def slurm() -> Iterator[Slurm]:
    with cluster() as started:
        yield started


@pytest.fixture
def root(slurm: Slurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A CamVid of which nothing is checked."""
    for name, value in slurm.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SEGMENTATION_LAB_CACHE", str(tmp_path / "home"))
    camvid.build(tmp_path / "CamVid")
    return tmp_path / "CamVid"


def _kept(folder: Path) -> dict[str, str]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
        if path.name != "report.html"
    }


def test_predictions_are_scored_by_two_nodes(root: Path, tmp_path: Path) -> None:
    """In two rounds: the last file alone says that the values are label ids."""
    split = open_data("camvid", "test", root)
    (tmp_path / "p").mkdir()
    for i, name in enumerate(split.ids):
        ids = np.where(split.mask(i) == 255, 3, split.mask(i))
        ids[0, 0] = 11 if i == len(split.ids) - 1 else ids[0, 0]
        Image.fromarray(ids).save(tmp_path / "p" / f"{name}.png")
    command = [tmp_path / "p", "--data", "camvid", "--data-root", root, "--jobs", 1, "--output"]
    assert exit_status(score.main, *command, tmp_path / "one") == 0
    assert exit_status(score.main, *command, tmp_path / "two", *ENGINE) == 0
    assert _kept(tmp_path / "two") == _kept(tmp_path / "one")


def test_a_data_set_is_checked_and_decoded_by_two_nodes(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["camvid", "--data-root", root, "--split", "train", "--jobs", 1]
    assert exit_status(data.main, "cache", *command, *ENGINE) == 0
    out = capsys.readouterr().out
    assert "camvid check 3/3: done" in out and "camvid train copy 3/3: done" in out
    assert exit_status(data.main, "check", *command, "--deep") == 0
    assert "is whole" in capsys.readouterr().out
    left = {path.name.partition("-")[0] for path in (tmp_path / "home").glob("*/*")}
    assert not [name for name in left if name.endswith((".parts", ".building"))]
