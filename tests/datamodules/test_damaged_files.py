"""Every file that is kept of a data set, in every damaged form: made again, and never taken."""

import gzip
import importlib
import json
import os
import zlib
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datamodules import open_data
from datamodules.image_files import ImageFileDataset, Sample
from datamodules.labels import DataError, RawLabels
from datamodules.loading.cache import DamagedCopyError, open_decoded
from datamodules.loading.cache_writer import build
from datamodules.validation.check import check, checked
from datamodules.validation.image_checks import inspect_all
from tests.datamodules import damage
from tests.trees import folder

REBUILD = "make it again"


class Inline(Executor):
    """Runs what a pool of processes would, here, so that a case takes a hundredth of a second."""

    def __init__(self, jobs: object, context: object, start: Callable[..., None], told: Any):
        start(*told)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as error:
            future.set_exception(error)
        return future


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEGMENTATION_LAB_CACHE", str(tmp_path / "home"))
    monkeypatch.setattr("datamodules.loading.cache_writer.ProcessPoolExecutor", Inline)
    monkeypatch.setattr("signal.signal", lambda *args: None)
    return tmp_path / "home"


@pytest.fixture
def data(tmp_path: Path) -> ImageFileDataset:
    folder.build(tmp_path / "mine")
    data = open_data("folder", "train", tmp_path / "mine")
    assert isinstance(data, ImageFileDataset)
    return data


def _build(data: ImageFileDataset, where: Path) -> None:
    build(data, [(48, 64)] * len(data), data.fingerprint(), where, jobs=1)


def _equal(data: ImageFileDataset, where: Path) -> bool:
    copy = open_decoded(data.labels, where, data.fingerprint(), REBUILD, deep=True)
    if copy is None or (copy.ids, copy.groups) != (data.ids, data.groups):
        return False
    pairs = [(copy[i], data[i]) for i in range(len(data))]
    return all(np.array_equal(a, b) for two in pairs for a, b in zip(*two, strict=True))


def _damages(path: Path) -> dict[str, damage.Damage]:
    """Those of any file, and those of the JSON that it holds, if any."""
    damages = dict(damage.OF_BYTES)
    if path.suffix == ".json":
        for name, value in damage.of_json(json.loads(path.read_bytes())):
            damages[name] = damage.replaced(damage.dumped(value))
    return damages


@pytest.mark.parametrize("name", ["index.json", "images.bin", "masks.bin"])
def test_a_damaged_copy_is_never_read_and_made_again(
    data: ImageFileDataset, tmp_path: Path, name: str
) -> None:
    whole, copy = tmp_path / "whole", tmp_path / "copy"
    _build(data, whole)
    outcomes: Counter[str] = Counter()
    for what, do in _damages(whole / name).items():
        damage.put_back(whole, copy)
        assert _equal(data, copy)
        before = (copy / name).read_bytes()
        do(copy / name)
        if (copy / name).is_file() and (copy / name).read_bytes() == before:
            outcomes["unchanged"] += 1
            continue
        try:
            opened = open_decoded(data.labels, copy, data.fingerprint(), REBUILD)
        except DamagedCopyError as error:
            text = str(error)
            assert str(copy) in text and REBUILD in text and "\n" not in text, what
            outcomes["refused"] += 1
        else:  # bytes behind the last pixel
            assert opened and what == "twice" and _equal(data, copy), what
            outcomes["taken"] += 1
        if outcomes["refused"] % 20 == 1:  # `data cache` builds it anew
            _build(data, copy)
            assert _equal(data, copy), what
    expected = {"index.json": {"refused": 120}}
    assert outcomes == expected.get(name, {"refused": 25, "taken": 1})


@pytest.mark.parametrize("name", ["plan.json", "done", "images.bin", "masks.bin"])
def test_a_damaged_draft_is_gone_on_with_or_begun_again(
    data: ImageFileDataset, tmp_path: Path, name: str
) -> None:
    copy = tmp_path / "copy"

    def stop(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(data, [(48, 64)] * 6, data.fingerprint(), copy, jobs=1, progress=stop)
    draft, whole = copy.with_name("copy.building"), tmp_path / "stopped"
    draft.rename(whole)
    right = 0
    for what, do in _damages(whole / name).items():
        damage.put_back(whole, draft)
        do(draft / name)
        _build(data, copy)
        assert _equal(data, copy), what
        assert sorted(os.listdir(copy)) == ["images.bin", "index.json", "masks.bin"], what
        assert not draft.exists(), what
        right += 1
    assert right == {"plan.json": 108}.get(name, 26)


def _within_gzip(change: damage.Damage) -> damage.Damage:
    def do(path: Path) -> None:
        inner = path.with_name("inner")
        inner.write_bytes(gzip.decompress(path.read_bytes()))
        change(inner)
        path.write_bytes(gzip.compress(inner.read_bytes()))
        inner.unlink()

    return do


def test_a_damaged_check_is_made_again_and_said(
    data: ImageFileDataset, tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "mine"
    expected = check("folder", root)
    assert checked("folder", root) == expected
    (kept,) = (home / "checks").iterdir()
    content = kept.read_bytes()
    plain = json.loads(gzip.decompress(content))
    files = {"missing", "a folder", "a loop of links"}
    damages, same = dict(damage.OF_BYTES), []
    for what, do in damage.OF_BYTES.items():
        if what not in files:
            damages[f"in gzip: {what}"] = _within_gzip(do)
    for what, value in damage.of_json(plain):
        same += [f"in gzip: {what}"] * (damage.dumped(value) == damage.dumped(plain))
        damages[f"in gzip: {what}"] = damage.replaced(gzip.compress(damage.dumped(value)))
    damages["a folder"] = damages.pop("a folder")  # last: it stays in the way, so memory serves
    capsys.readouterr()
    right = 0
    for what, do in damages.items():
        do(kept)
        assert checked("folder", root) == expected, what
        said = capsys.readouterr().err.splitlines()
        assert len(said) <= (2 if what == "a folder" else 1), (what, said)
        assert said or what in ("missing", *same), what
        if kept.is_dir():
            (kept / "inner").unlink()
            kept.rmdir()
        kept.unlink(missing_ok=True)
        kept.write_bytes(content)
        right += 1
    assert right == len(damages) == 110


def test_bits_that_change_without_a_change_of_times_are_found_when_looked_for(
    data: ImageFileDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a disk fails; here the times are held still, which no program can do."""
    root = tmp_path / "mine"
    module = importlib.import_module("datamodules.image_files")
    uncached = module._file_hash.__wrapped__  # as in a process of another day
    monkeypatch.setattr(module, "_file_hash", uncached)
    still = {path: path.stat() for path in root.rglob("*")}
    real = os.stat
    monkeypatch.setattr("os.stat", lambda path, **how: still.get(Path(path)) or real(path, **how))
    before = checked("folder", root)
    path = data.samples[2].image
    content = path.read_bytes()
    # A chunk of text before the end: of pixels, another reader might say that they are damaged.
    chunk = b"tEXta\0b"
    chunk = b"\0\0\0\3" + chunk + zlib.crc32(chunk).to_bytes(4)
    path.write_bytes(content[:-12] + chunk + content[-12:])
    assert checked("folder", root) == before
    for deep in (True, False, True):
        report = checked("folder", root, deep=deep)
        (error,) = report.errors
        assert error.file == "images/c.png" and "other bytes than when it was read" in error.text
    monkeypatch.undo()
    monkeypatch.setenv("SEGMENTATION_LAB_CACHE", str(tmp_path / "home"))
    path.write_bytes(content)
    assert not checked("folder", root).refused


def test_a_full_disk_leaves_no_draft_and_names_the_bytes(
    data: ImageFileDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = tmp_path / "new/copy"

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    for name in ("posix_fallocate", "pwrite", "fsync"):
        with monkeypatch.context() as patch:
            patch.setattr(f"os.{name}", full)
            with pytest.raises(DataError, match=r"building \(No space.*73728 bytes.*LAB_CACHE"):
                _build(data, where)
        assert [path.name for path in where.parent.iterdir()] in ([], [".copy.lock"]), name
    _build(data, where)
    assert _equal(data, where)


def killed(sample: Sample) -> RawLabels:
    """As the system ends a process that takes too much memory."""
    os.kill(os.getpid(), 9)
    raise AssertionError


def test_a_process_that_is_ended_from_outside_is_said(
    data: ImageFileDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    doomed = ImageFileDataset(data.labels, data.samples, killed)
    with pytest.raises(DataError, match="was killed.*fewer --jobs"):
        _build(doomed, tmp_path / "copy")
    many = ImageFileDataset(data.labels, data.samples * 12, killed)
    places = [(0, index) for index in range(len(many))]
    with pytest.raises(DataError, match="was killed.*fewer --jobs"):
        list(inspect_all([many], places, jobs=2))
