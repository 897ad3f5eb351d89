"""Checking data sets: a finding for each fault, leaks between splits, and nothing read twice."""

import gzip
import json
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import datamodules.validation.image_checks
from datamodules import open_data
from datamodules.dataset import Dataset
from datamodules.datasets.camvid import CAMVID
from datamodules.image_files import ImageFileDataset, Sample
from datamodules.labels import DataError, UInt8
from datamodules.registry import DATASETS
from datamodules.validation.check import check, checked
from datamodules.validation.check_report import CheckReport
from datamodules.validation.image_checks import ImageCheck
from tests.trees import camvid, cityscapes, faults, folder, voc2012


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEGMENTATION_LAB_CACHE", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    camvid.build(tmp_path / "CamVid")
    return tmp_path / "CamVid"


def _pixels(path: Path) -> UInt8:
    with Image.open(path) as file:
        return np.array(file)


def _texts(report: CheckReport, kind: str) -> list[str]:
    return [str(finding) for finding in report.findings if finding.kind == kind]


def test_twelve_faults_are_twelve_errors(root: Path) -> None:
    expected = faults.plant(root)
    report = check("camvid", root)
    errors = [finding for finding in report.findings if finding.level == "error"]
    assert report.refused
    assert len(errors) == len(expected) == 12
    for finding in errors:
        assert expected.pop(finding.file) in finding.text
    assert report.findings[:12] == errors  # before any warning
    assert not any(str(root) in str(finding) for finding in report.findings)
    whole = {name: bool(split.fingerprint) for name, split in report.splits.items()}
    assert whole == {"train": False, "val": False, "test": True}  # its files can all be read


def test_both_files_of_a_pair_may_be_broken(root: Path) -> None:
    sample = open_data("camvid", "val", root).samples[0]  # type: ignore[attr-defined]
    sample.image.write_bytes(b"")
    sample.mask.unlink()
    assert [f.kind for f in check("camvid", root).findings if f.level == "error"] == [
        "image",
        "missing",
    ]


def test_a_png_without_its_end_is_found(root: Path) -> None:
    """Pillow decodes it without complaint, as all its pixels are there."""
    path = root / "train" / f"{camvid.NAMES['train'][0]}.png"
    path.write_bytes(path.read_bytes()[:-12])
    assert _pixels(path).shape == (48, 64, 3)
    assert check("camvid", root).refused


def test_the_numbers_are_those_of_the_files(root: Path) -> None:
    report = check("camvid", root)
    assert not report.refused
    assert report.classes == list(CAMVID.names)
    for name, split in report.splits.items():
        names = camvid.NAMES[name]
        ids = np.stack([_pixels(root / f"{name}annot" / f"{n}.png") for n in names])
        counts = [int((ids == value).sum()) for value in range(12)]
        assert [*split.pixels, split.ignored] == counts
        assert split.images == split.labelled == split.views == len(names)
        assert split.sizes == [(48, 64)] * len(names)
        assert split.decoded_bytes == len(names) * 48 * 64 * 4
        assert split.fingerprint == open_data("camvid", name, root).fingerprint()
    assert report.splits["train"].groups == {"0001TP": 2, "0006R0": 2, "0016E5": 3}
    assert report.splits["train"].published == 367
    count = "train has 7 images, published are 367: incomplete, or a part on purpose"
    assert count in _texts(report, "count")


def test_an_outcome_survives_json(root: Path) -> None:
    faults.plant(root)
    report = check("camvid", root)
    assert CheckReport.from_json(json.loads(json.dumps(report.to_json()))) == report


def test_processes_find_the_same(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    samples = []
    for i in range(70):
        image, mask = tmp_path / f"{i}.png", tmp_path / f"{i}_ids.png"
        Image.fromarray(rng.integers(256, size=(8, 8, 3), dtype=np.uint8)).save(image)
        Image.fromarray(rng.integers(13, size=(8, 8), dtype=np.uint8)).save(mask)  # 12 is unknown
        samples.append(Sample(str(i), str(i), image, mask))
    data, places = ImageFileDataset(CAMVID, samples), [(0, i) for i in range(70)]
    alone = list(datamodules.validation.image_checks.inspect_all([data], places, jobs=1))
    assert list(datamodules.validation.image_checks.inspect_all([data], places, jobs=2)) == alone
    assert len(alone) == 70
    assert any(record.findings for record in alone)


def _no_reading(*args: object) -> ImageCheck:
    raise AssertionError("a file was opened")


def test_a_kept_check_opens_no_file(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = checked("camvid", root)
    assert first == check("camvid", root)
    monkeypatch.setattr(datamodules.validation.image_checks, "inspect", _no_reading)
    monkeypatch.setattr(Image, "open", _no_reading)
    assert checked("camvid", root) == first
    monkeypatch.chdir(root.parent)
    assert checked("camvid", Path("CamVid")) == first
    with pytest.raises(AssertionError, match="a file was opened"):
        checked("camvid", root, again=True)
    with pytest.raises(AssertionError, match="a file was opened"):
        checked("camvid", root, ["train"])


def test_each_call_looks_at_each_file_once(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Callers hand a report on, so that a phase of a command costs one look at thousands."""
    checked("camvid", root)
    looks: Counter[str] = Counter()
    stat = os.stat

    def spy(path: os.PathLike[str] | str, **options: bool) -> os.stat_result:
        looks[os.fspath(path)] += 1
        return stat(path, **options)

    monkeypatch.setattr(os, "stat", spy)
    for times in (1, 2):
        checked("camvid", root)
        counts = [looks[str(path)] for path in root.rglob("*.png")]
        assert counts == [times] * 2 * sum(len(names) for names in camvid.NAMES.values())


def test_one_changed_byte_is_noticed_and_nothing_else_read(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = checked("camvid", root)
    path = root / "train" / f"{camvid.NAMES['train'][3]}.png"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    read: list[int] = []
    inspect = datamodules.validation.image_checks.inspect

    def spy(data: Dataset, index: int) -> ImageCheck:
        read.append(index)
        return inspect(data, index)

    monkeypatch.setattr(datamodules.validation.image_checks, "inspect", spy)
    after = checked("camvid", root)
    assert read == [3]
    assert not before.refused and after.refused
    assert after.findings[0].file == f"train/{path.name}"
    assert after == checked("camvid", root) == check("camvid", root)


def test_a_changed_list_or_table_is_noticed(tmp_path: Path) -> None:
    root = tmp_path / "mine"
    folder.build(root)
    before = checked("folder", root)
    table = (root / "labels.csv").read_text()
    (root / "labels.csv").write_text(table + "99,nothing\n")
    after = checked("folder", root)
    assert after.classes == [*before.classes, "nothing"]
    lines = (root / "splits/train.txt").read_text().splitlines()
    (root / "splits/train.txt").write_text("\n".join(lines[1:]))
    assert checked("folder", root).splits["train"].images == len(lines) - 1


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", gzip.compress(b'{"version": -1}'), gzip.compress(b"{}")[:9]],
    ids=["empty", "plain", "older", "cut"],
)
def test_a_kept_check_that_cannot_be_read_is_made_again(
    root: Path, home: Path, content: bytes
) -> None:
    report = checked("camvid", root)
    (kept,) = (home / "checks").iterdir()
    whole = kept.read_bytes()
    kept.write_bytes(content)
    assert checked("camvid", root) == report
    assert kept.read_bytes() == whole


def test_a_home_that_cannot_be_written_costs_a_line(
    root: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home.write_text("a file where the folder should be")
    assert checked("camvid", root) == check("camvid", root)
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_splits_that_are_not_there(root: Path) -> None:
    (root / "test.txt").unlink()
    report = check("camvid", root)
    assert not report.refused
    assert list(report.splits) == ["train", "val"]
    (text,) = _texts(report, "no split")
    assert text.startswith("test cannot be opened: no CamVid")
    with pytest.raises(DataError, match="no CamVid"):
        check("camvid", root, ["train", "test"])
    with pytest.raises(DataError, match=r"looked for train\.txt"):
        check("camvid", root / "train")
    with pytest.raises(DataError, match="needs a folder"):
        checked("camvid", None)


def test_splits_that_are_parts_of_others_share_images(tmp_path: Path) -> None:
    voc2012.build(tmp_path)
    report = check("voc2012", tmp_path)
    assert list(report.splits) == ["train", "val", "trainval", "trainaug"]
    assert not report.refused
    assert not _texts(report, "same group")


def test_a_check_that_is_stopped_goes_on(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(done: int, total: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        checked("camvid", root, progress=stop)
    seen: list[tuple[int, int]] = []
    report = checked("camvid", root, progress=lambda *at: seen.append(at))
    total = sum(len(names) for names in camvid.NAMES.values())
    assert seen == [(i + 1, total - 4) for i in range(total - 4)]
    assert report == check("camvid", root)


def test_a_change_that_sets_its_time_back_is_seen(root: Path) -> None:
    before = checked("camvid", root).splits["train"].fingerprint
    path = next((root / "trainannot").glob("*.png"))
    stat, content = path.stat(), bytearray(path.read_bytes())
    content[-13] ^= 1  # of the checksum of the last block of pixels: as long as before
    path.write_bytes(content)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    report = checked("camvid", root)
    assert report.refused or report.splits["train"].fingerprint != before


def test_a_list_that_cannot_be_used_is_no_absent_split(root: Path) -> None:
    with (root / "val.txt").open("a") as list:
        list.write("only.png\n")
    report = check("camvid", root)
    assert [f.text for f in report.errors] == [
        f"val cannot be opened: {root / 'val.txt'} has the line 'only.png': an image and its label "
        "are needed"
    ]


def test_a_list_that_serves_as_two_splits(tmp_path: Path) -> None:
    root = tmp_path / "mine"
    folder.build(root)
    (root / "splits/test.txt").unlink()
    report = check("folder", root, ["train", "val", "test"])
    assert not report.refused
    assert any("there is no split test" in note for note in report.splits["test"].notes)


def test_labels_that_are_not_public(tmp_path: Path) -> None:
    """Cityscapes' test images have placeholders that are all ignore, or nothing."""
    cityscapes.build(tmp_path / "a")
    report = check("cityscapes", tmp_path / "a")
    (text,) = _texts(report, "all ignored")
    assert text.startswith("gtFine/test/") and "2 of 2 labels of test have none" in text
    cityscapes.build(tmp_path / "b", placeholders=False)
    report = check("cityscapes", tmp_path / "b")
    assert _texts(report, "no labels") == ["test has no labels: it can be predicted but not scored"]
    assert report.splits["test"].labelled == 0
    assert not report.refused


def test_classes_that_training_never_sees(root: Path) -> None:
    for path in (root / "trainannot").iterdir():
        ids = _pixels(path)
        Image.fromarray(np.where(ids >= 9, 0, ids).astype(np.uint8)).save(path)
    for path in (*(root / "valannot").iterdir(), *(root / "testannot").iterdir()):
        ids = _pixels(path)
        Image.fromarray(np.where(ids == 10, 11, ids).astype(np.uint8)).save(path)
    assert _texts(check("camvid", root), "classes") == [
        "train has no pixel of Pedestrian, Bicyclist",
        "val has pixels of Pedestrian, which train never shows",
        "test has pixels of Pedestrian, which train never shows",
    ]


# Smooth images, which perceptual hashes are made for; of random pixels all are alike.
def _scene(seed: int) -> UInt8:
    coarse = np.random.default_rng(seed).integers(256, size=(6, 8, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((64, 48), Image.Resampling.BICUBIC))


def _save(root: Path, images: dict[str, UInt8]) -> None:
    """Replace images, given as train/0, which is the first of that split."""
    for place, image in images.items():
        split, index = place.split("/")
        Image.fromarray(image).save(root / split / f"{camvid.NAMES[split][int(index)]}.png")


def test_what_resembles_another_image(root: Path) -> None:
    lighter = np.clip(_scene(0).astype(int) + 9, 0, 255).astype(np.uint8)
    _save(root, {"train/4": _scene(0), "test/1": lighter, "val/0": _scene(1)})
    report = check("camvid", root)
    assert not report.refused
    (text,) = _texts(report, "resemblance")
    names = [f"{split}/{camvid.NAMES[split][i]}.png" for split, i in (("test", 1), ("train", 4))]
    assert text.startswith(f"{names[0]} resembles {names[1]}: 1 of the 4 images of test ")


def test_what_a_split_repeats(root: Path) -> None:
    _save(root, {"val/0": _scene(0), "val/2": _scene(0), "val/1": 255 - _scene(1)})
    report = check("camvid", root)
    assert not report.refused
    assert report.splits["val"].views == 2
    (text,) = _texts(report, "repeated image")
    assert text.startswith(f"val/{camvid.NAMES['val'][2]}.png shows what val/")
    assert text.endswith(": val repeats 1 of its 3 images")


def test_images_of_one_colour_are_no_copies(root: Path) -> None:
    grey = np.full((48, 64, 3), 9, np.uint8)
    _save(root, {"train/0": grey, "test/0": grey, "test/1": grey})
    report = check("camvid", root)
    assert not report.refused
    assert not _texts(report, "repeated image") + _texts(report, "resemblance")


def test_what_is_not_files_is_read_only_by_a_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DATASETS, "own", "tests.datamodules.own:Own")
    report = checked("own", None)
    assert not report.inspected and not report.findings
    assert report.splits["test"].fingerprint == "own test0"
    report = check("own", None)
    errors = [finding for finding in report.findings if finding.level == "error"]
    assert [f"{e.file} {e.text}" for e in errors] == [
        "val1 has the label 11, which is no class: map it in data[i]"
    ]
    assert report.splits["train"].pixels[2] == 3 * 64


def test_generated_streets_are_sound() -> None:
    report = check("streets:train=3:val=2:test=2:height=48:width=64", None)
    assert not report.refused
    assert [split.images for split in report.splits.values()] == [3, 2, 2]


@camvid.needs_real
def test_what_camvid_shares_and_repeats() -> None:
    report = checked("camvid", camvid.REAL)
    assert not report.refused
    splits = report.splits
    assert {name: split.images for name, split in splits.items()} == {
        "train": 367,
        "val": 101,
        "test": 233,
    }
    assert len(report.classes) + bool(splits["train"].ignored) == 12
    assert all(all(split.pixels) for split in splits.values())
    assert _texts(report, "same group") == [
        "val is 101 frames of one 6.7-second stretch of clip 0016E5, of which train has 204 frames",
        "test has 62 frames of one 61-second stretch of clip 0001TP, of which train has 62 frames",
    ]
    assert splits["val"].stretches == [
        "101 frames of one 6.7-second stretch of clip 0016E5, at 15 Hz"
    ]
    assert splits["test"].stretches[1] == (
        "171 frames of one 170-second stretch of clip Seq05VD, at 1 Hz"
    )
    assert splits["val"].views < 30 and splits["train"].views > 250
    assert "effective size" in _texts(report, "few views")[0]
    assert not _texts(report, "count") + _texts(report, "classes")
