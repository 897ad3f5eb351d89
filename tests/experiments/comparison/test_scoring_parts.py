"""Scoring in parts against scoring on one machine: to the bit, whatever happens in between."""

import contextlib
import hashlib
import io
import json
import os
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from datamodules.datasets.camvid import CAMVID
from datamodules.json_file import DamagedError
from datamodules.parts import all_parts
from experiments import score
from experiments.comparison import part_runs, scored_predictions, scored_presentation
from experiments.engines.job import Job
from experiments.engines.request import EngineRequest, JobSize
from experiments.reporting import image_panel
from experiments.scoring import counts as image_counts
from experiments.scoring import part_identity
from experiments.scoring.counts import Gathered
from experiments.scoring.part_files import read_part
from experiments.scoring.part_identity import PartIdentity
from tests.commands import exit_status
from tests.experiments.worker_engines import Inline, Workers
from tests.trees.camvid import REAL, needs_real

ESPNET = REAL.with_name("espnet-camvid")


def _use(monkeypatch: pytest.MonkeyPatch, engine: Inline | Workers) -> None:
    monkeypatch.setattr(part_runs, "open_engine", lambda *_: engine)


def _camvid(root: Path, num: int, rng: np.random.Generator) -> Path:
    """A test split of images of many sizes, void among their labels."""
    (root / "test").mkdir(parents=True)
    (root / "testannot").mkdir()
    lines = []
    for i in range(num):
        name, size = f"{i % 3:04}XX_{i:03}.png", tuple(rng.integers(3, 30, 2))
        Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8)).save(root / "test" / name)
        mask = rng.integers(0, 12, size, dtype=np.uint8)
        Image.fromarray(mask).save(root / "testannot" / name)
        lines.append(f"/SegNet/CamVid/test/{name} /SegNet/CamVid/testannot/{name}")
    (root / "test.txt").write_text("\n".join(lines) + "\n")
    return root


def _predict(
    root: Path, folder: Path, rng: np.random.Generator, void: int | None, odd: int | None = None
) -> Path:
    """Noisy labels as class ids; the file `void` also has 11, which only a label id can be, and
    `odd` a value that is neither."""
    folder.mkdir()
    for i, path in enumerate(sorted((root / "testannot").iterdir())):
        ids = np.array(Image.open(path))
        noise = rng.integers(0, 11, ids.shape, dtype=np.uint8)
        ids = np.where((rng.random(ids.shape) < 0.3) | (ids == 11), noise, ids)
        ids[0, 0] = 11 if i == void else 77 if i == odd else ids[0, 0]
        Image.fromarray(ids).save(folder / path.name)
    return folder


def _paint(folder: Path, rng: np.random.Generator) -> None:
    """The same predictions with a palette in each file that numbers the colours otherwise."""
    colours = np.array([label.colour for label in CAMVID.classes], np.uint8)
    for path in folder.iterdir():
        with Image.open(path) as file:
            ids = np.array(file)
        order = rng.permutation(11)
        painted = Image.fromarray(order.astype(np.uint8)[ids % 11], mode="P")
        painted.putpalette(colours[np.argsort(order)].tobytes())
        painted.save(path)


def _kept(folder: Path) -> dict[str, str]:
    """The bytes of all that lies below a folder, but of the page, which says when it was made."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
        if path.name != "report.html"
    }


def _command(root: Path, folder: Path, *more: object) -> list[object]:
    return [folder, "--data", "camvid", "--data-root", root, "--jobs", 1, *more]


@needs_real
@pytest.mark.skipif(not ESPNET.is_dir(), reason="ESPNet's predictions are not there")
@pytest.mark.slow
def test_three_workers_give_the_bits_of_one_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a published network's predictions of CamVid's test split."""
    engine = Workers(3)
    _use(monkeypatch, engine)
    one, three = tmp_path / "one", tmp_path / "three"
    assert exit_status(score.main, *_command(REAL, ESPNET, "--output", one)) == 0
    parts = _command(REAL, ESPNET, "--output", three, "--engine", "slurm", "--parts", 3)
    assert exit_status(score.main, *parts) == 0
    assert engine.names == [f"espnet-camvid {k}/3" for k in (1, 2, 3)]
    assert _kept(three) == _kept(one)
    assert len(_kept(one)) > 6  # result, counts, pictures


@settings(max_examples=16, deadline=None)
@given(st.data())
def test_any_split_gives_the_bits_of_one_machine(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Parts of other sizes, more parts than images, values that only a late file explains, and
    palettes that differ between files of different parts."""
    tmp_path, rng = (
        tmp_path_factory.mktemp("split"),
        np.random.default_rng(data.draw(st.integers(0))),
    )
    num = data.draw(st.integers(1, 9))
    root = _camvid(tmp_path / "CamVid", num, rng)
    folder = _predict(root, tmp_path / "p", rng, data.draw(st.none() | st.integers(0, num - 1)))
    if data.draw(st.booleans()):
        _paint(folder, rng)
    one, some = tmp_path / "one", tmp_path / "some"
    of = data.draw(st.integers(1, 12))
    with pytest.MonkeyPatch.context() as patch:
        _use(patch, Inline())
        if data.draw(st.booleans()):  # rows on disk
            patch.setattr(image_counts, "_IN_MEMORY", -1)
        split = ["--output", some, "--engine", "ray", "--parts", of]
        found = _said(_command(root, folder, *split))
    assert found == _said(_command(root, folder, "--output", one))  # one palette alone is refused
    assert _kept(some) == _kept(one) if found[0] == 0 else not _kept(one)


def _said(command: list[object]) -> tuple[int, str]:
    with contextlib.redirect_stderr(io.StringIO()) as err:
        status = exit_status(score.main, *command)
    return status, err.getvalue()


@pytest.fixture
def split(tmp_path: Path) -> tuple[Path, Path]:
    """A data set of seven images and predictions of it."""
    rng = np.random.default_rng(1)
    root = _camvid(tmp_path / "CamVid", 7, rng)
    return root, _predict(root, tmp_path / "p", rng, None)


def test_what_a_dead_part_leaves_undone_is_done_by_the_next_call(
    tmp_path: Path,
    split: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """And what the others have done is not done again."""
    engine = Workers(3, lambda job, process: process.kill() if job.name == "p 2/3" else None)
    _use(monkeypatch, engine)
    out = tmp_path / "out"
    command = _command(*split, "--output", out, "--engine", "slurm", "--parts", 3)
    assert exit_status(score.main, *command) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("1 of 3 parts are not done, the first: p 2/3 failed: exit status -9")
    assert not list(out.rglob("result.json"))
    again = Workers(3)
    _use(monkeypatch, again)
    assert exit_status(score.main, *command) == 0
    assert again.names == ["p 2/3"]
    assert exit_status(score.main, *_command(*split, "--output", tmp_path / "one")) == 0
    assert _kept(out) == _kept(tmp_path / "one")


def test_a_part_that_cannot_be_scored_says_why(
    tmp_path: Path,
    split: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _use(monkeypatch, Inline())
    broken = sorted(split[1].iterdir())[4]
    Image.fromarray(np.zeros((2, 2), np.uint8)).save(broken)
    out = tmp_path / "out"
    command = _command(*split, "--output", out, "--engine", "slurm", "--parts", 3)
    assert exit_status(score.main, *command) == 2
    *_, line = capsys.readouterr().err.splitlines()
    assert line.startswith(f"1 of 3 parts are not done, the first: p 3/3 failed: {broken} is 2x2")
    engine = Inline()
    _use(monkeypatch, engine)
    shutil.copy(sorted(split[1].iterdir())[0], broken)
    assert exit_status(score.main, *command) == 2  # of yet another size
    assert engine.names == ["p 3/3"]


def _by_hand(root: Path, folder: Path, counts: Path, of: int, *more: object) -> None:
    for part in all_parts(of):
        command = _command(root, folder, "--part", part, "--counts", counts, *more)
        assert exit_status(score.main, *command) == 0


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-30])


def test_parts_by_hand_are_gathered_and_what_is_missing_is_named(
    tmp_path: Path, split: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    counts, out = tmp_path / "counts", tmp_path / "out"
    collect = _command(*split, "--counts", counts, "--output", out)
    assert exit_status(score.main, *collect) == 2
    assert "holds no parts: count all parts of one number" in capsys.readouterr().err
    _by_hand(*split, counts, 3)
    shutil.move(counts / "p" / "part-2-of-3", tmp_path)
    assert exit_status(score.main, *collect) == 2
    assert capsys.readouterr().err == (
        f"{counts}/p lacks 1 of 3 parts, the first 2/3: count it with --part 2/3 --counts "
        f"{counts}\n"
    )
    shutil.move(tmp_path / "part-2-of-3", counts / "p")
    assert exit_status(score.main, *collect) == 0
    assert exit_status(score.main, *_command(*split, "--output", tmp_path / "one")) == 0
    assert _kept(out) == _kept(tmp_path / "one")
    _by_hand(*split, counts, 2)
    assert exit_status(score.main, *collect) == 2
    assert "holds parts of 2 and of 3: " in capsys.readouterr().err


def test_a_late_file_has_parts_counted_by_hand_once_more(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(2)
    root = _camvid(tmp_path / "CamVid", 5, rng)
    split = root, _predict(root, tmp_path / "p", rng, void=4)
    counts = tmp_path / "counts"
    _by_hand(*split, counts, 2)
    collect = _command(*split, "--counts", counts, "--output", tmp_path / "out")
    assert exit_status(score.main, *collect) == 2
    assert capsys.readouterr().err == (
        f"{counts}/p lacks 2 of 2 parts, read as the data set's label ids, which all its files "
        f"are, the first 1/2: count it with --part 1/2 --counts {counts} --reading label\n"
    )
    _by_hand(*split, counts, 2, "--reading", "label")
    assert exit_status(score.main, *collect) == 0
    assert exit_status(score.main, *_command(*split, "--output", tmp_path / "one")) == 0
    assert _kept(tmp_path / "out") == _kept(tmp_path / "one")


def _touch_prediction(root: Path, folder: Path) -> None:
    path = sorted(folder.iterdir())[3]
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))


def _another_label(root: Path, folder: Path) -> None:
    path = sorted((root / "testannot").iterdir())[3]
    Image.fromarray(np.array(Image.open(path))).save(path, compress_level=0)


def _another_name(root: Path, folder: Path) -> None:
    listing = root / "test.txt"
    listing.write_text(listing.read_text().replace("0000XX_003", "0007XX_003"))
    for path in [*root.rglob("*_003.png"), *folder.glob("*_003.png")]:
        path.rename(path.with_name("0007XX_003.png"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_touch_prediction, "of other predictions, or of files that have changed since"),
        (_another_label, "of other labels"),
        (_another_name, "of other labels"),
    ],
)
def test_counts_of_something_else_are_refused(
    tmp_path: Path,
    split: tuple[Path, Path],
    capsys: pytest.CaptureFixture[str],
    change: Callable[[Path, Path], None],
    said: str,
) -> None:
    counts = tmp_path / "counts"
    _by_hand(*split, counts, 2)
    capsys.readouterr()
    change(*split)
    collect = _command(*split, "--counts", counts, "--output", tmp_path / "out")
    assert exit_status(score.main, *collect) == 2
    found = capsys.readouterr().err
    assert re.fullmatch(
        rf"{counts}/p/part-\d-of-2/train/counts.npz is {said}: delete it and count this part "
        "again\n",
        found,
    )


@pytest.mark.parametrize("damage", [_flip, _cut])
def test_damaged_counts_and_those_of_other_code_are_refused_or_counted_again(
    tmp_path: Path,
    split: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    damage: Callable[[Path], None],
) -> None:
    counts = tmp_path / "counts"
    _by_hand(*split, counts, 2)
    capsys.readouterr()
    collect = _command(*split, "--counts", counts, "--output", tmp_path / "out")
    file = counts / "p/part-2-of-2/train/counts.npz"
    whole = file.read_bytes()
    damage(file)
    assert exit_status(score.main, *collect) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{file} ") and line.endswith(": delete it and count this part again")
    engine = Inline()
    _use(monkeypatch, engine)
    by_engine = [*collect, "--engine", "slurm", "--parts", 2]
    file.write_bytes(whole)
    monkeypatch.setattr(part_identity, "module_hash", lambda module: "another")
    assert exit_status(score.main, *collect) == 2
    assert "counts.npz is of other code: delete it" in capsys.readouterr().err
    (counts / "mine.txt").write_text("of the user's")
    assert exit_status(score.main, *by_engine) == 0
    assert engine.names == ["p 1/2", "p 2/2"]  # neither was taken
    assert [path.name for path in counts.iterdir()] == ["mine.txt"]


def test_no_flipped_bit_of_a_part_passes(tmp_path: Path, split: tuple[Path, Path]) -> None:
    """It is refused, or was of something that nothing is read from."""
    _by_hand(*split, tmp_path / "counts", 1)
    path = tmp_path / "counts/p/part-1-of-1/train/counts.npz"
    with np.load(path) as file:
        about = json.loads(file["about"].tobytes())
    known = PartIdentity(**{field.name: about[field.name] for field in fields(PartIdentity)})
    whole, refused = path.read_bytes(), 0
    expected = _rows(path, known)
    places = range(0, len(whole), max(1, len(whole) // 150))
    for place in places:
        content = bytearray(whole)
        content[place] ^= 1 << place % 8
        path.write_bytes(content)
        try:
            rows = _rows(path, known)
        except DamagedError:
            refused += 1
        else:
            assert all(map(np.array_equal, rows, expected))
    assert refused > 0.8 * len(places)


def _rows(path: Path, known: PartIdentity) -> list[np.ndarray]:
    counts = Gathered(7, 11)
    read_part(path, known).add_to(counts)
    return [counts.matrix, counts.quarter, *counts.rows]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--part", "5/3"], "--part is '5/3': give the number of a part and of all, from 1/1 to "),
        (["--part", "0/3"], "--part is '0/3': give the number of a part and of all, from 1/1 to "),
        (["--part", "two"], "--part is two: give the number of a part and of all, from 1/1 to "),
        (["--part", "1/3"], "--part counts one part here and leaves it in --counts FOLDER: "),
        (["--part", "1/3", "--counts", "c", "--output", "o"], "--part counts one part here and "),
        (["--parts", "3"], "--parts is for --engine slurm or ray: by hand each is counted with "),
        (["--reading", "label"], "--reading is of a --part: for all files say it with --ids"),
        (["--engine", "ray"], "--engine ray needs --output, a folder that all machines share"),
        (["--engine-set", "a=b"], "--engine-set is for jobs of a cluster: name it with --engine"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused_in_a_sentence(
    split: tuple[Path, Path], capsys: pytest.CaptureFixture[str], more: list[str], said: str
) -> None:
    assert exit_status(score.main, *_command(*split, *more)) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(said)


def test_of_many_images_no_table_holds_all(
    tmp_path: Path,
    split: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Nothing reads the counts of all images again; the result is the same."""
    one, many = tmp_path / "one", tmp_path / "many"
    assert exit_status(score.main, *_command(*split, "--output", one)) == 0
    capsys.readouterr()
    monkeypatch.setattr(scored_predictions, "MANY", 6)
    monkeypatch.setattr(scored_presentation, "MANY", 6)
    monkeypatch.setattr(image_panel, "per_image", lambda result: 1 / 0)
    assert exit_status(score.main, *_command(*split, "--output", many)) == 0
    out = capsys.readouterr().out
    assert re.search(r"^p: mIoU [0-9.]+ % of 7 images$", out, re.MULTILINE)
    assert "report.html are left out above 6 images" in out
    assert not (many / "report.html").exists()
    results = [folder / "p/seed0" for folder in (one, many)]
    for name in ("result.json", "per_image.npz"):
        assert len({(folder / name).read_bytes() for folder in results}) == 1
    assert len(list((many / "p/seed0/predictions").iterdir())) == image_panel.PANEL


class Refusing(Inline):
    def submit(self, jobs: Sequence[Job]) -> None:
        raise ValueError("no partition gpu: name another with --engine-set partition=")


def test_an_engine_that_refuses_or_is_not_there_leaves_nothing(
    tmp_path: Path,
    split: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = sorted(tmp_path.rglob("*"))
    command = _command(*split, "--output", tmp_path / "new" / "out", "--engine", "slurm")
    _use(monkeypatch, Refusing())
    assert exit_status(score.main, *command) == 2
    assert capsys.readouterr().err == (
        "no partition gpu: name another with --engine-set partition=\n"
    )
    assert sorted(tmp_path.rglob("*")) == before

    def none(request: EngineRequest, size: JobSize, folder: Path) -> NoReturn:
        folder.mkdir(parents=True)
        (folder / "its.log").touch()
        raise ValueError("--engine slurm needs submitit")

    monkeypatch.setattr(part_runs, "open_engine", none)
    assert exit_status(score.main, *command) == 2
    assert sorted(tmp_path.rglob("*")) == before


def test_detached_parts_are_collected_by_the_same_command(
    tmp_path: Path, split: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which says so, and writes no result before."""
    engine, out = Workers(1), tmp_path / "out"
    _use(monkeypatch, engine)
    command = _command(*split, "--output", out, "--engine", "slurm", "--parts", 2)
    assert exit_status(score.main, *command, "--detach") == 0
    assert engine.names == ["p 1/2"] and not list(out.rglob("result.json"))
    for job, process in engine.running.values():
        process.wait()
        assert job.settle()
    engine = Workers(1)
    _use(monkeypatch, engine)
    assert exit_status(score.main, *command) == 0
    assert engine.names == ["p 2/2"]
    assert exit_status(score.main, *_command(*split, "--output", tmp_path / "one")) == 0
    assert _kept(out) == _kept(tmp_path / "one")
