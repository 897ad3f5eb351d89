"""The commands that check, show and fetch a data set."""

import dataclasses
import hashlib
import os
import re
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules import dataset_info, open_data
from datamodules.dataset import DatasetInfo, Download
from datamodules.labels import DataError
from datamodules.loading.cache import CACHE_FILES, DecodedCopy, file_stamp, open_cached
from experiments import data
from tests.commands import ROOT, exit_status, run
from tests.server import Server, serving
from tests.trees import camvid, cityscapes, faults, folder

Output = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEGMENTATION_LAB_CACHE", str(tmp_path / "home"))
    monkeypatch.delenv("COLUMNS", raising=False)
    return tmp_path / "home"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    camvid.build(tmp_path / "CamVid")
    return tmp_path / "CamVid"


def test_a_sound_set_is_told_in_80_columns(root: Path, capsys: Output) -> None:
    assert data.main(["check", "camvid", "--data-root", str(root)]) == 0
    out = capsys.readouterr().out
    assert all(len(line) <= 80 for line in out.splitlines())
    assert out.splitlines()[-1] == "camvid is sound: 0 errors, 5 warnings"
    assert "11 of 11 classes occur and pixels that are not scored" in out
    for split, published in (("train", 367), ("val", 101), ("test", 233)):
        shown = next(line.split() for line in out.splitlines() if line.startswith(f" {split} "))
        images = len(camvid.NAMES[split])
        assert shown[1:5] == [str(images), str(published), str(images), "64x48"]
        assert shown[-1] == open_data("camvid", split, root).fingerprint()
    ids = np.stack([np.asarray(Image.open(path)) for path in (root / "trainannot").iterdir()])
    sky = 100 * (ids == 0).sum() / (ids < 11).sum()
    assert re.search(rf"Sky +{sky:.2f} ", out)
    assert re.search(rf"not scored, of all +{100 * (ids == 11).mean():.2f} ", out)


def test_the_real_command_refuses_a_broken_set(root: Path, home: Path) -> None:
    expected = faults.plant(root)
    command = ("check", "camvid", "--data-root", root)
    status, text = run("experiments.data", *command, SEGMENTATION_LAB_CACHE=str(home))
    assert status == 1
    assert text.splitlines()[-1].startswith("camvid is refused: 12 errors, ")
    assert all(file in text for file in expected)
    assert "libpng" not in text and "Traceback" not in text


def test_a_split_alone_and_a_second_look(root: Path, capsys: Output) -> None:
    (root / "valannot" / f"{camvid.NAMES['val'][0]}.png").unlink()
    command = ["check", "camvid", "--data-root", str(root), "--jobs", "1"]
    assert data.main([*command, "--split", "train", "--split", "test"]) == 0
    assert data.main([*command, "--split", "val"]) == 1
    assert data.main([*command, "--split", "val", "--again"]) == 1
    assert "valannot" in capsys.readouterr().out


def test_what_is_not_files_is_read_all_the_same(capsys: Output) -> None:
    assert data.main(["check", "streets:train=3:val=2:test=2:height=48:width=64"]) == 0
    assert "64x48" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["check", "camvidd"], "did you mean 'camvid'"),
        (["check", "camvid"], "needs a folder and none was given"),
        (["check", "camvid", "--data-root", "nowhere"], "no CamVid"),
        (["check", "streets", "--split", "dev"], "'dev'"),
        (["check", "streets", "--jobs", "0"], "--jobs is 0"),
        (["show", "streets", "--num", "0"], "--num is 0"),
        (["show", "camvid", "--split", "dev"], "no split 'dev'"),
        (["fetch", "camvidd"], "did you mean 'camvid'"),
    ],
)
def test_wrong_requests_are_one_sentence(command: list[str], says: str, capsys: Output) -> None:
    assert exit_status(data.main, *command) == 2
    out, err = capsys.readouterr()
    assert says in err and len(err.splitlines()) == 1
    assert not out


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture
def published(root: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> DatasetInfo:
    """CamVid, as if the small one of the tests were what is published."""
    files = []
    for path in sorted(root.rglob("*.*")):
        name, content = path.relative_to(root).as_posix(), path.read_bytes()
        server.files[f"copy/{name}"] = content
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        files.append(Download(f"https://nowhere.invalid/{name}", name, len(content), digest))
    known = dataset_info("camvid")
    assert known is not None
    known = dataclasses.replace(known, downloads=lambda: files)
    monkeypatch.setattr(data, "dataset_info", lambda name: known)
    return known


def _fetch(server: Server, root: Path) -> list[str]:
    return ["fetch", "camvid", "--data-root", str(root), "--mirror", server.url("copy")]


def test_what_is_fetched_is_checked(
    published: DatasetInfo, server: Server, tmp_path: Path, capsys: Output
) -> None:
    command = _fetch(server, tmp_path / "new")
    assert data.main(command) == 0
    assert capsys.readouterr().out.splitlines() == [
        "CamVid, licence: research use",
        "camvid is sound: 0 errors, 5 warnings",
    ]
    number = len(server.asked)
    assert data.main(command) == 0
    assert len(server.asked) == number == len(published.downloads())
    (tmp_path / "new" / "more.png").write_text("no harm")
    val = (tmp_path / "new/val.txt").read_text()
    (tmp_path / "new/val.txt").write_text(val.replace(".png", ".jpg", 1))
    assert data.main(command) == 0  # fetched again, as it is not the published one
    assert (tmp_path / "new/val.txt").read_text() == val
    server.files["copy/train.txt"] = b"x" * len(server.files["copy/train.txt"])
    (tmp_path / "new/train.txt").unlink()
    assert data.main(command) == 2
    assert "copy/train.txt has the sha256" in capsys.readouterr().err


def test_a_fetched_set_may_be_refused(
    root: Path, published: DatasetInfo, server: Server, tmp_path: Path, capsys: Output
) -> None:
    name = camvid.NAMES["val"][0]
    files = [d for d in published.downloads() if d.target != f"valannot/{name}.png"]
    known = dataclasses.replace(published, downloads=lambda: files)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "dataset_info", lambda name: known)
        assert data.main(_fetch(server, tmp_path / "new")) == 1
    out = capsys.readouterr().out
    assert f"valannot/{name}.png" in out and "camvid is refused: 1 errors" in out


def test_a_stopped_fetch_goes_on(
    published: DatasetInfo, server: Server, tmp_path: Path, capsys: Output
) -> None:
    (tmp_path / "new").mkdir()

    once = threading.Lock()
    # A shell that runs the tests in the background has them ignore it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def stop() -> bool:
        # Whoever asks for the rest of a file has kept what came of it.
        if any(wanted for _, wanted in server.asked) and once.acquire(blocking=False):
            os.kill(os.getpid(), signal.SIGINT)
        return False  # no file is ever whole, however late the interrupt is noticed

    server.halfway = stop
    command = _fetch(server, tmp_path / "new")
    try:
        assert data.main(command) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert "the same command goes on from here" in capsys.readouterr().err
    parts = {path: path.stat().st_size for path in (tmp_path / "new").rglob("*.part")}
    assert any(parts.values())
    server.halfway = lambda: True
    server.asked.clear()
    assert data.main(command) == 0
    assert any(wanted for _, wanted in server.asked)
    assert not list((tmp_path / "new").rglob("*.part"))


def test_what_needs_an_account_says_how(capsys: Output) -> None:
    assert data.main(["fetch", "cityscapes", "--data-root", "nowhere"]) == 0
    out = capsys.readouterr().out
    assert "log in at cityscapes-dataset.com" in out and "non-commercial" in out
    assert "  leftImg8bit/train/aachen/" in out
    assert data.main(["fetch", "streets"]) == 0
    assert "nothing to fetch" in capsys.readouterr().out


def test_the_commands_need_no_torch() -> None:
    script = "import sys, experiments.data; print({'torch', 'lightning'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"


def test_a_decoded_copy_is_what_training_reads(root: Path, home: Path, capsys: Output) -> None:
    command = ["cache", "camvid", "--data-root", str(root), "--jobs", "1"]
    assert data.main(command) == 0
    first = capsys.readouterr().out
    for split, names in camvid.NAMES.items():
        assert f"{split}: {len(names)} images, 0.00 GB" in first
    assert data.main(command) == 0
    assert capsys.readouterr().out.count("is decoded already") == 3
    fingerprint = open_data("camvid", "train", root).fingerprint()
    copy = open_cached("camvid", "train", root, fingerprint)
    assert isinstance(copy, DecodedCopy) and copy.folder.is_relative_to(home)

    path = root / "train" / f"{camvid.NAMES['train'][0]}.png"
    with Image.open(path) as file:
        Image.fromarray(255 - np.array(file)).save(path)
    now = open_data("camvid", "train", root).fingerprint()
    with pytest.raises(DataError, match=f"is stale.*data cache camvid --data-root {root}.*rebuild"):
        open_cached("camvid", "train", root, now)
    assert data.main(command) == 2
    assert "is stale" in capsys.readouterr().err
    assert data.main([*command, "--rebuild"]) == 0
    again = open_cached("camvid", "train", root, now)
    assert np.array_equal(again[0][0], open_data("camvid", "train", root)[0][0])


def test_what_is_refused_is_not_decoded(root: Path, home: Path, capsys: Output) -> None:
    faults.plant(root)
    assert data.main(["cache", "camvid", "--data-root", str(root)]) == 1
    assert "12 errors" in capsys.readouterr().out
    assert not (home / "decoded").exists()
    assert data.main(["cache", "streets"]) == 0
    assert "nothing to decode" in capsys.readouterr().out


def test_predictions_are_exported_and_labels_drafted(tmp_path: Path, capsys: Output) -> None:
    cityscapes.build(tmp_path / "cs")
    ids, predictions = cityscapes.IDS["val"], tmp_path / "predictions"
    predictions.mkdir()
    for id in ids:
        Image.fromarray(np.full((48, 96), 13, np.uint8)).save(predictions / f"{id}.png")
    root = ("--data-root", str(tmp_path / "cs"), "--split", "val")
    written = ("--predictions", str(predictions), "--output", str(tmp_path / "new"))
    assert data.main(["export", "cityscapes", *root, *written]) == 0
    with Image.open(next((tmp_path / "new").glob(f"{ids[0]}*.png"))) as file:
        assert np.unique(np.array(file)).tolist() == [26]  # car
    assert data.main(["export", "cityscapes", *root, *written]) == 2
    assert "is not empty" in capsys.readouterr().err
    assert data.main(["export", "streets", "--split", "val", *written]) == 2

    folder.build(tmp_path / "mine")
    (tmp_path / "mine/labels.csv").unlink()
    assert data.main(["labels", "folder", "--data-root", str(tmp_path / "mine")]) == 0
    assert "class 0" in (tmp_path / "mine/labels.csv").read_text()
    assert data.main(["labels", "camvid", "--data-root", str(tmp_path)]) == 2


def _flip(path: Path) -> None:
    """A bit of the first byte, with the size and the time of change as they were."""
    stat, content = path.stat(), path.read_bytes()
    path.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def test_a_deep_check_hashes_decoded_copies(
    root: Path, home: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("camvid", "--data-root", str(root))
    assert data.main(["cache", *command, "--jobs", "1"]) == 0
    assert data.main(["check", *command, "--deep"]) == 0
    assert capsys.readouterr().out.count("is whole") == 3
    copy = next((home / "decoded").glob("camvid-val-*"))
    stamp = [file_stamp(copy / name) for name in CACHE_FILES]
    _flip(copy / "masks.bin")
    # As where a disk fails, which sets no time: here every stamp is as it was written.
    monkeypatch.setattr(
        "datamodules.loading.cache.file_stamp",
        lambda path: stamp[[*CACHE_FILES].index(path.name)],
    )
    assert data.main(["check", *command, "--split", "val"]) == 0
    assert data.main(["check", *command, "--split", "val", "--deep"]) == 1
    out, err = capsys.readouterr()
    first = camvid.NAMES["val"][0]
    assert f"{copy} is damaged, in 1 images, the first {first}: " in err and "--rebuild" in err
    monkeypatch.undo()
    monkeypatch.setenv("SEGMENTATION_LAB_CACHE", str(home))
    assert data.main(["cache", *command, "--jobs", "1"]) == 0  # found by its time of change
    out, err = capsys.readouterr()
    assert f"{copy} is damaged, in 1 images, the first {first}: it is made again" in out
    assert out.count("is decoded already") == 2 and not err
    assert data.main(["check", *command, "--deep"]) == 0


@pytest.mark.parametrize("limit", [0, 2_000])
def test_a_full_disk_costs_a_split_and_not_the_others(
    root: Path, home: Path, capsys: Output, limit: int
) -> None:
    """By a limit on the size of a file, which fails as a full disk does; val alone fits."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    small = 3 * 48 * 64 * len(camvid.NAMES["val"])
    resource.setrlimit(resource.RLIMIT_FSIZE, (small + limit, hard))
    try:
        status = data.main(["cache", "camvid", "--data-root", str(root), "--jobs", "1"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    err = capsys.readouterr().err
    assert status == 2
    large = [
        split for split, names in camvid.NAMES.items() if len(names) > len(camvid.NAMES["val"])
    ]
    lines = err.splitlines()
    assert len(lines) == len(large) >= 1
    for split, line in zip(large, lines, strict=True):
        need = 4 * 48 * 64 * len(camvid.NAMES[split])
        assert f"camvid-{split}-" in line and f"{need} bytes" in line and "LAB_CACHE" in line
    left = sorted(path.name.rsplit("-", 1)[0] for path in (home / "decoded").glob("camvid*"))
    assert left == sorted(f"camvid-{split}" for split in camvid.NAMES if split not in large)


def test_what_cannot_be_written_is_one_sentence_with_the_bytes(
    root: Path, tmp_path: Path, capsys: Output
) -> None:
    folder.build(tmp_path / "mine")
    (tmp_path / "mine/labels.csv").unlink()
    (tmp_path / "there.png").write_text("kept")
    command = ("camvid", "--data-root", str(root))
    lines = [
        ["show", *command, "--output", str(tmp_path / "there")],
        ["labels", "folder", "--data-root", str(tmp_path / "mine")],
    ]
    before = sorted(tmp_path.rglob("*"))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    for line in lines:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20, hard))
        try:
            status = data.main(line)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        out, err = capsys.readouterr()
        assert status == 2 and not out
        assert re.fullmatch(r"\S+ cannot be written \(File too large\): it takes \d+ .*\n", err)
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "there.png").read_text() == "kept"
