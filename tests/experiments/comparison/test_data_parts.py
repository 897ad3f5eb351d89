"""Data sets checked and decoded in parts against one machine."""

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from datamodules.image_files import cache_home
from datamodules.loading.cache import CACHE_FILES, folder_of
from datamodules.parts import all_parts
from datamodules.validation.check_parts import CheckParts
from experiments import data, score
from experiments.comparison import data_parts, part_runs
from tests.commands import exit_status
from tests.experiments.worker_engines import Inline, Workers
from tests.trees import camvid, faults

Output = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEGMENTATION_LAB_CACHE", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    camvid.build(tmp_path / "CamVid")
    return tmp_path / "CamVid"


@pytest.fixture
def inline(monkeypatch: pytest.MonkeyPatch) -> Inline:
    engine = Inline()
    monkeypatch.setattr(part_runs, "open_engine", lambda *_: engine)
    return engine


def _one_machine(command: list[str], home: Path, capsys: Output) -> tuple[int, str]:
    """What the local command prints, without anything that was kept."""
    shutil.rmtree(home, ignore_errors=True)
    status = exit_status(data.main, *command)
    shutil.rmtree(home, ignore_errors=True)
    return status, capsys.readouterr().out


@pytest.mark.parametrize("planted", [False, True])
@pytest.mark.parametrize("parts", [1, 5, 1000])
def test_the_report_is_that_of_one_machine(
    root: Path, home: Path, inline: Inline, capsys: Output, planted: bool, parts: int
) -> None:
    """With faults, leaks and all that only a look at all images shows."""
    if planted:
        faults.plant(root)
    command = ["check", "camvid", "--data-root", str(root), "--jobs", "1"]
    expected = _one_machine(command, home, capsys)
    by_engine = ["--engine", "slurm", "--parts", str(parts)]
    assert exit_status(data.main, *command, *by_engine) == expected[0] == int(planted)
    lines = capsys.readouterr().out.splitlines()
    ours = [line for line in lines if not re.match("wrote /|camvid check .* done", line)]
    assert ours == expected[1].splitlines()
    assert len(inline.names) == min(parts, len(CheckParts("camvid", root, None)))
    assert not list(home.rglob("*.parts"))
    assert exit_status(data.main, *command, *by_engine) == expected[0]
    assert capsys.readouterr().out == expected[1]  # which was kept
    inline.names.clear()
    assert exit_status(data.main, *command, *by_engine, "--deep") == expected[0]
    assert inline.names


def test_a_deep_check_in_parts_finds_bits_that_changed_without_a_word(
    root: Path, inline: Inline, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a disk fails: neither size nor times are others."""
    known: dict[Path, os.stat_result] = {}

    def before(path: Path) -> os.stat_result:
        return known.setdefault(Path(path), os.stat(path))

    monkeypatch.setattr("datamodules.validation.check.os", SimpleNamespace(stat=before))
    command = ["check", "camvid", "--data-root", str(root), "--jobs", "1"]
    assert exit_status(data.main, *command) == 0
    path = root / "train" / f"{camvid.NAMES['train'][0]}.png"
    with Image.open(path) as file:
        Image.fromarray(255 - np.array(file)).save(path)
    by_engine = ["--engine", "slurm", "--parts", "3", "--deep"]
    capsys.readouterr()
    assert exit_status(data.main, *command, *by_engine) == 1
    assert "has other bytes than when it was read" in " ".join(capsys.readouterr().out.split())
    assert len(inline.names) == 3


def test_the_copy_is_that_of_one_machine(
    root: Path, home: Path, inline: Inline, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    command = ["cache", "camvid", "--data-root", str(root), "--jobs", "1"]
    monkeypatch.setenv("SEGMENTATION_LAB_CACHE", str(tmp_path / "other"))
    assert exit_status(data.main, *command) == 0
    expected = {name: _content(folder_of("camvid", name, root)) for name in camvid.NAMES}
    monkeypatch.setenv("SEGMENTATION_LAB_CACHE", str(home))
    assert exit_status(data.main, *command, "--engine", "ray", "--parts", "2") == 0
    assert [name for name in inline.names if "copy" in name] == [
        f"camvid {split} copy {k}/2" for split in ("train", "val", "test") for k in (1, 2)
    ]
    assert {name: _content(folder_of("camvid", name, root)) for name in camvid.NAMES} == expected
    left = {path.name for path in (home / "decoded").iterdir() if not path.name.startswith(".")}
    assert left == {folder_of("camvid", name, root).name for name in camvid.NAMES}


def _content(folder: Path) -> tuple[list[bytes], dict[str, object]]:
    index = json.loads((folder / "index.json").read_text())
    kept = {name: value for name, value in index.items() if name not in ("seal", "stamps")}
    return [(folder / name).read_bytes() for name in CACHE_FILES], kept


def test_a_part_that_died_is_done_by_the_next_call(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    first = Workers(3, lambda job, process: process.kill() if job.name.endswith("2/3") else None)
    monkeypatch.setattr(part_runs, "open_engine", lambda *_: first)
    command = ["check", "camvid", "--data-root", str(root), "--jobs", "1"]
    by_engine = ["--engine", "slurm", "--parts", "3"]
    assert exit_status(data.main, *command, *by_engine) == 2
    assert (
        "1 of 3 parts are not done, the first: camvid check 2/3 failed" in capsys.readouterr().err
    )
    second = Workers(3)
    monkeypatch.setattr(part_runs, "open_engine", lambda *_: second)
    assert exit_status(data.main, *command, *by_engine) == 0
    assert second.names == ["camvid check 2/3"]


def test_parts_by_hand(root: Path, tmp_path: Path, capsys: Output) -> None:
    checks, command = str(tmp_path / "checks"), ["camvid", "--data-root", str(root), "--jobs", "1"]
    for part in all_parts(3):
        with_part = ["--part", str(part), "--checks", checks]
        assert exit_status(data.main, "check", *command, *with_part) == 0
    shutil.move(f"{checks}/part-3-of-3", tmp_path)
    assert exit_status(data.main, "check", *command, "--checks", checks) == 2
    assert f"{checks} lacks 1 of 3 parts, the first 3/3" in capsys.readouterr().err
    shutil.move(tmp_path / "part-3-of-3", checks)
    assert exit_status(data.main, "check", *command, "--checks", checks) == 0
    one = [*command, "--split", "train"]
    assert exit_status(data.main, "cache", *one, "--part", "1/2") == 2
    assert "no decoded copy is laid out" in capsys.readouterr().err
    assert exit_status(data.main, "cache", *one, "--lay-out") == 0
    for part in all_parts(2):
        assert exit_status(data.main, "cache", *one, "--part", str(part)) == 0
    folder = folder_of("camvid", "train", root)
    journals = sorted(folder.with_name(f"{folder.name}.building").glob("done*"))
    assert sum(len(path.read_text().splitlines()) for path in journals) == len(
        camvid.NAMES["train"]
    )
    capsys.readouterr()
    assert exit_status(data.main, "cache", *one) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"wrote {folder}"
    assert exit_status(data.main, "cache", *one) == 0
    assert "decoded already" in capsys.readouterr().out
    assert not list(cache_home().rglob("*.parts"))


def _touch(path: Path) -> None:
    Image.fromarray(np.array(Image.open(path))).save(path, compress_level=0)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda file, image: _touch(image), "is of other files than part 1/1, or they have chang"),
        (lambda file, image: file.write_bytes(file.read_bytes()[:-9]), "is damaged ("),
        (lambda file, image: file.write_bytes(b""), "is empty"),
    ],
)
def test_checks_of_something_else_are_refused(
    root: Path,
    tmp_path: Path,
    capsys: Output,
    damage: Callable[[Path, Path], object],
    said: str,
) -> None:
    checks, command = str(tmp_path / "checks"), ["check", "camvid", "--data-root", str(root)]
    assert exit_status(data.main, *command, "--part", "1/1", "--checks", checks) == 0
    damage(
        tmp_path / "checks/part-1-of-1/checks.json.gz",
        root / "train" / f"{camvid.NAMES['train'][0]}.png",
    )
    capsys.readouterr()
    assert exit_status(data.main, *command, "--checks", checks) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line and line.endswith("delete it and check this part again")


def test_scoring_by_an_engine_has_it_check_a_large_set_first(
    root: Path, tmp_path: Path, inline: Inline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_parts, "_FEW", 1)
    command = [root / "testannot", "--data", "camvid", "--data-root", root, "--ids", "label"]
    more = ["--output", tmp_path / "out", "--engine", "slurm", "--parts", 2, "--jobs", 1]
    assert exit_status(score.main, *command, *more) == 0
    checks = [f"camvid check {k}/2" for k in (1, 2)]
    assert inline.names == [*checks, "testannot 1/2", "testannot 2/2"]


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["check", "--part", "1/2"], "--part leaves what it has found in a folder: name it with"),
        (["check", "--parts", "2"], "--parts is for --engine slurm or ray: by hand each is done"),
        (["check", "--part", "1/2", "--engine", "ray"], "--part does one part here: leave --engin"),
        (["check", "--part", "7/2"], "--part is '7/2': give the number of a part and of all"),
        (["check", "--detach"], "--detach is for jobs of a cluster"),
        (["cache", "--part", "1/2"], "--part is of the copy of one split: name it with --split"),
        (["cache", "--lay-out", "--part", "1/2"], "--part does one part here: leave --engine, "),
        (["cache", "--lay-out", "--engine", "ray"], "--lay-out is for parts by hand: --engine ra"),
        (["cache", "--copies", "."], "--copies is of a --part: whole copies lie where they are"),
    ],
)
def test_wrong_requests_are_one_sentence(
    root: Path, capsys: Output, command: list[str], said: str
) -> None:
    what, *more = command
    assert exit_status(data.main, what, "camvid", "--data-root", root, *more) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(said)


def test_what_is_made_is_not_checked_in_parts(tmp_path: Path, capsys: Output) -> None:
    command = ["check", "streets:train=2:val=2:test=2", "--part", "1/2", "--checks"]
    assert exit_status(data.main, *command, tmp_path / "nowhere") == 2
    assert "is made, not read: it is checked here, in one part" in capsys.readouterr().err
