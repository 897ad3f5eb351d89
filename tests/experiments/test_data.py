"""The commands that check, show and fetch a data set."""

import base64
import dataclasses
import hashlib
import io
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from rich.console import Console

from datamodules import dataset_info, open_data
from datamodules.dataset import DatasetInfo, Download
from datamodules.datasets.camvid import CAMVID
from datamodules.labels import DataError
from datamodules.loading.cache import DecodedCopy, open_cached
from datamodules.validation.image_checks import Finding
from experiments import data
from experiments.reporting import progress_bar
from experiments.reporting.check_tables import print_findings
from experiments.reporting.contact_sheet import choose, paint, sample
from tests.commands import ROOT, run
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
    assert data.main(command) == 2
    out, err = capsys.readouterr()
    assert says in err and len(err.splitlines()) == 1
    assert not out


def _printed(findings: list[Finding], *, terminal: bool) -> list[str]:
    text = io.StringIO()
    console = Console(
        file=text,
        force_terminal=terminal,
        width=80,
        color_system=None,
        markup=False,
        emoji=False,
    )
    print_findings("errors", findings, console)
    assert console.width == 80
    return text.getvalue().splitlines()


def test_names_of_files_are_whole_in_a_log_and_fold_on_a_terminal() -> None:
    long = "gtFine/train/monchengladbach/monchengladbach_000000_001294_gtFine_labelTrainIds.png"
    other = long.replace("gtFine", "other")
    found = [
        Finding("error", "missing", "a.png", "is missing: [bold] :car: and a text of more words"),
        Finding("error", "size", long, f"is 64x48 but its label {other} is 56x48"),
    ]
    log = "\n".join(_printed(found, terminal=False))
    assert long in log and other in log and "[bold] :car:" in log
    lines = _printed(found, terminal=True)
    assert max(map(len, lines)) <= 80
    (head,) = (line for line in lines if "file" in line)
    file, what = head.index("file"), head.index("what")
    assert long in "".join(line[file:what].strip() for line in lines)  # no character is lost
    assert other in "".join(line[what:].strip() for line in lines)
    assert max(map(len, _printed(found[:1], terminal=False))) <= 80


def test_progress_is_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    now = iter([0.0, 1.0, 6.0, 6.0, 7.0, 12.0, 12.0])
    monkeypatch.setattr(
        "experiments.reporting.progress_bar.time", SimpleNamespace(monotonic=lambda: next(now))
    )
    with progress_bar.shown_progress("images") as progress:
        for done in range(1, 5):
            progress(done, 9)
    assert capsys.readouterr().err.splitlines() == ["2 of 9 images", "4 of 9 images"]


class _Page(HTMLParser):
    """What a page refers to, and its pictures with what they show."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.pictures: list[tuple[str, Image.Image]] = []
        self.refers: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.refers += [value or "" for key, value in attrs if key in ("src", "href")]
        if tag == "img":
            _, content = (values["src"] or "").split(",")
            picture = Image.open(io.BytesIO(base64.b64decode(content)))
            self.pictures.append((values["alt"] or "", picture))


def test_a_sheet_shows_images_with_their_labels(root: Path, tmp_path: Path) -> None:
    output = tmp_path / "new" / "sheet"
    command = ["show", "camvid", "--data-root", str(root), "--num", "3", "--output", str(output)]
    assert data.main(command) == 0
    with Image.open(f"{output}.png") as sheet:
        colours = {colour for _, colour in sheet.convert("RGB").getcolors(2**24) or ()}
    assert {label.colour for label in CAMVID.classes} <= colours
    text = Path(f"{output}.html").read_text()
    page = _Page(text)
    assert len(page.pictures) == 9
    assert all(value.startswith("data:image/") for value in page.refers)
    assert "http" not in text
    assert "prefers-color-scheme: dark" in text and "width=device-width" in text
    split = open_data("camvid", "train", root)
    for (alt, photo), (_, shown) in zip(page.pictures[::3], page.pictures[2::3], strict=True):
        place = split.ids.index(alt.removeprefix("Photo "))
        away = [
            np.abs(np.asarray(photo).astype(int) - split[index][0]).mean()
            for index in range(len(split.ids))
        ]
        assert np.argmin(away) == place  # a JPEG of random pixels is far from any, but not as far
        assert np.array_equal(np.asarray(shown), paint(split.mask(place), CAMVID))
    for label in CAMVID.classes:
        assert label.name in text


def test_a_sheet_of_a_split_without_labels(tmp_path: Path) -> None:
    cityscapes.build(tmp_path, placeholders=False)
    command = ["show", "cityscapes", "--data-root", str(tmp_path), "--split", "test"]
    assert data.main([*command, "--output", str(tmp_path / "sheet")]) == 0
    assert "nothing that is scored" in (tmp_path / "sheet.html").read_text()


def test_colours_and_hatching_by_hand() -> None:
    mask = np.array([[0, 10, 255, 255]] * 8, np.uint8)
    painted = paint(mask, CAMVID)
    assert (painted[:, 0] == CAMVID.classes[0].colour).all()
    assert (painted[:, 1] == CAMVID.classes[10].colour).all()
    assert {tuple(pixel) for pixel in painted[:, 2:].reshape(-1, 3)} == {(160,) * 3, (255,) * 3}


@given(st.lists(st.sets(st.integers(0, 5), max_size=4), min_size=1, max_size=9), st.integers(1, 9))
def test_every_class_is_shown_if_there_is_room(present: list[set[int]], num: int) -> None:
    groups = [str(index // 2) for index in range(len(present))]
    chosen = choose(dict(enumerate(present)), groups, num)
    assert chosen == sorted(set(chosen)) and len(chosen) == min(num, len(present))
    everything = set().union(*present)
    if num >= len(everything):
        assert set().union(*(present[index] for index in chosen)) == everything


def test_images_come_from_all_groups() -> None:
    groups = ["a"] * 100 + ["b"] * 3 + ["c"] * 50
    chosen = choose({index: {0} for index in range(153)}, groups, 6)
    assert sorted(groups[index] for index in chosen) == ["a", "a", "b", "b", "c", "c"]
    assert sample(groups, 200) == list(range(153))
    assert sample(["b", "a", "b"], 2) == [1, 2]


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

    def stop() -> None:
        if once.acquire(blocking=False):
            os.kill(os.getpid(), signal.SIGINT)
        time.sleep(1)  # the rest of all files would come, had nobody stopped

    server.halfway = stop
    command = _fetch(server, tmp_path / "new")
    try:
        assert data.main(command) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert "the same command goes on from here" in capsys.readouterr().err
    parts = {path: path.stat().st_size for path in (tmp_path / "new").rglob("*.part")}
    assert any(parts.values())
    server.halfway = lambda: None
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
