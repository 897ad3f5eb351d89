"""What a comparison shows in the end, also where something cannot be written."""

from pathlib import Path

import pytest

from experiments.trials.results import PRIOR
from tests.experiments import stage

COMPARE = ["--recipe", "smoke", "--wandb", "off", "--models", "unet:width=4,unet:width=5"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("made") / "root"
    stage.build(root)
    return root


def test_a_report_that_cannot_be_written_hides_no_table(made: Path, tmp_path: Path) -> None:
    """A folder in its place stands for a full disk, which a superuser meets as well."""
    root = stage.copy(made, tmp_path / "root")
    (root / "runs/smoke/report.html").mkdir()
    done = stage.call("compare", COMPARE, root)
    assert done.status == 1 and done.err == ""
    assert "IoU % per class" in done.out and "unet:width=5" in done.out
    (line,) = [line for line in done.out.splitlines() if "no report" in line]
    assert "report.html" in line and "report: " not in done.out.replace("no report: ", "")


def test_a_prior_that_cannot_be_kept_hides_no_table(made: Path, tmp_path: Path) -> None:
    root = stage.copy(made, tmp_path / "root")
    prior = root / "runs/smoke" / PRIOR
    prior.unlink()
    prior.mkdir()
    done = stage.call("compare", COMPARE, root)
    assert done.status == 0 and done.err == ""
    assert "the position prior is made again" in done.out and "IoU % per class" in done.out
    assert "position prior (no image needed): mIoU" in done.out
    assert (root / "runs/smoke/report.html").is_file()


def test_damage_is_found_before_anything_trains(made: Path, tmp_path: Path) -> None:
    """Though it is of a network that has nothing left to do."""
    root = stage.copy(made, tmp_path / "root")
    counts = root / "runs/smoke/unet-width=4/seed0/per_image.npz"
    counts.write_bytes(counts.read_bytes()[:100])
    args = [*COMPARE[:-1], "unet:width=4,unet:width=9"]
    done = stage.call("compare", args, root)
    assert (done.status, done.trained) == (2, ())
    assert "unet-width=4/seed0/per_image.npz" in done.err
    done = stage.call("compare", [*args, "--rerun", "all"], root)  # which keeps nothing of it
    assert (done.status, done.trained) == (0, ("unet:width=4", "unet:width=9")), done.err


def test_names_of_other_folders_are_refused(made: Path, tmp_path: Path) -> None:
    """Label maps from elsewhere: `a b` and `a:b` become one folder, and `..` leaves it."""
    root = stage.copy(made, tmp_path / "pen" / "root")
    spec = "streets:height=48:width=64:train=24:val=4:test=6"
    score = ["theirs", "--data", spec, "--jobs", "1", "--add", "runs/smoke", "--name"]
    assert stage.call("score", [*score, "a b"], root).status == 0
    done = stage.call("score", [*score, "a:b"], root)
    assert done.status == 2 and "holds the result of a b, which becomes the same" in done.err
    assert stage.call("score", [*score, "a b"], root).status == 0  # its own is renewed
    for name in ("..", ".", "", "a\nb", "\0"):
        assert stage.call("score", [*score, name], root).status == 2
    assert [path.name for path in (tmp_path / "pen").iterdir()] == ["root"]
    assert [path.name for path in (root / "runs/smoke/scored").iterdir()] == ["a-b"]
