"""Fetching, from a server on this machine that behaves as badly as servers do."""

import hashlib
import io
import shutil
import tarfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import datamodules.http_download
from datamodules.dataset import Download
from datamodules.download import fetch, manifest
from datamodules.labels import DataError
from datamodules.validation.check import check
from tests.server import Server, serving
from tests.trees import camvid


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(datamodules.http_download, "RETRY_WAITS", (0.01, 0.02, 0.03))
    monkeypatch.setattr(datamodules.http_download, "CHUNK_BYTES", 1000)
    with serving() as server:
        yield server


BYTES = np.random.default_rng(0).bytes(50_000)


def _download(server: Server, target: str = "a.bin", content: bytes = BYTES) -> Download:
    """Of a file that the server has."""
    name = Path(target).name
    server.files[name] = content
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    return Download(server.url(name), target, len(content), digest)


def test_files_come_whole_and_only_once(server: Server, tmp_path: Path) -> None:
    contents = {f"some folder/{i}.bin": BYTES[: 100 * i] for i in range(30)}
    files = [_download(server, name, content) for name, content in contents.items()]
    seen: list[tuple[int, int]] = []
    fetch(files, tmp_path / "new", progress=lambda *at: seen.append(at))
    assert {name: (tmp_path / "new" / name).read_bytes() for name in contents} == contents
    total = sum(map(len, contents.values()))
    assert seen[-1] == (total, total)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert not list(tmp_path.rglob("*.part"))
    server.asked.clear()
    fetch(files, tmp_path / "new")
    assert server.asked == []
    changed = tmp_path / "new" / "some folder/20.bin"
    changed.write_bytes(b"x" * 2000)  # the right size
    fetch(files, tmp_path / "new")
    assert server.asked == [("20.bin", None)]
    assert changed.read_bytes() == contents["some folder/20.bin"]


@pytest.mark.parametrize("ranges", [True, False], ids=["resumes", "starts again"])
def test_what_was_stopped_goes_on(server: Server, tmp_path: Path, ranges: bool) -> None:
    file, server.ranges = _download(server), ranges
    (tmp_path / "a.bin.part").write_bytes(BYTES[:30_000])
    seen: list[int] = []
    fetch([file], tmp_path, progress=lambda done, total: seen.append(done))
    assert (tmp_path / "a.bin").read_bytes() == BYTES
    assert server.asked == [("a.bin", "bytes=30000-")]
    assert server.sent == (20_000 if ranges else 50_000)
    assert seen[0] == 30_000 and seen[-1] == 50_000
    assert list(tmp_path.iterdir()) == [tmp_path / "a.bin"]


def test_a_part_that_is_whole_or_too_long(server: Server, tmp_path: Path) -> None:
    file = _download(server)
    (tmp_path / "a.bin.part").write_bytes(BYTES)
    fetch([file], tmp_path)
    assert server.asked == []
    (tmp_path / "a.bin").rename(tmp_path / "a.bin.part")
    with (tmp_path / "a.bin.part").open("ab") as part:
        part.write(b"more")
    fetch([file], tmp_path)
    assert server.asked == [("a.bin", None)]
    assert (tmp_path / "a.bin").read_bytes() == BYTES


@pytest.mark.parametrize("ranges", [True, False])
def test_dropped_connections(server: Server, tmp_path: Path, ranges: bool) -> None:
    file, server.ranges = _download(server), ranges
    server.breaks, server.answers = [7_000, 0, 5_000], [503, 429]
    fetch([file], tmp_path)
    assert (tmp_path / "a.bin").read_bytes() == BYTES
    assert len(server.asked) == 6


def test_a_server_that_stays_away(server: Server, tmp_path: Path) -> None:
    file = _download(server)
    server.breaks = [20_000] + [0] * 9
    with pytest.raises(DataError, match="broke off at 20000 of 50000 bytes") as raised:
        fetch([file], tmp_path)
    assert file.url in str(raised.value) and "--mirror" in str(raised.value)
    assert (tmp_path / "a.bin.part").read_bytes() == BYTES[:20_000]
    assert len(server.asked) == 4  # the first that brings something, and a retry for each wait
    with pytest.raises(DataError, match="refused"):
        fetch([file._replace(url="http://127.0.0.1:9/a.bin")], tmp_path)


def test_what_is_not_the_published_file(server: Server, tmp_path: Path) -> None:
    file = _download(server)
    server.files["a.bin"] = BYTES[::-1]
    with pytest.raises(DataError, match="has the sha256 .* is published") as raised:
        fetch([file], tmp_path)
    assert file.url in str(raised.value) and file.digest[7:] in str(raised.value)
    server.files["a.bin"] = BYTES[:-1]
    with pytest.raises(DataError, match="has 49999 bytes and 50000 are published"):
        fetch([file], tmp_path)
    del server.files["a.bin"]
    with pytest.raises(DataError, match="404 Not Found"):
        fetch([file], tmp_path)
    assert not (tmp_path / "a.bin").exists()
    assert len(server.asked) == 3  # none of these is worth another try


class _Member(NamedTuple):
    name: str
    content: bytes = b"content"
    link: str = ""


def _tar(members: list[_Member], mode: str = "w") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as tar:  # type: ignore[call-overload]
        for member in members:
            info = tarfile.TarInfo(member.name)
            info.size = len(member.content)
            if member.link:
                info.type, info.linkname, info.size = tarfile.SYMTYPE, member.link, 0
            tar.addfile(info, io.BytesIO(member.content))
    return buffer.getvalue()


def _zip(members: list[_Member]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as zip:
        for member in members:
            zip.writestr(member.name, member.content)
    return buffer.getvalue()


PACKED = [_Member("VOC/a/1.png", b"one"), _Member("VOC/2.txt", b"two"), _Member("readme", b"3")]


@pytest.mark.parametrize(
    ("name", "content"),
    [("v.tar", _tar(PACKED)), ("v.tgz", _tar(PACKED, "w:gz")), ("v.zip", _zip(PACKED))],
)
def test_archives_are_unpacked_once(
    server: Server, tmp_path: Path, name: str, content: bytes
) -> None:
    file = _download(server, name, content)._replace(target="below")
    fetch([file], tmp_path)
    below = tmp_path / "below"
    assert (below / "VOC/a/1.png").read_bytes() == b"one"
    assert {path.name for path in below.iterdir()} == {"VOC", "readme", f".{name}.unpacked"}
    server.asked.clear()
    fetch([file], tmp_path)
    assert server.asked == []
    shutil.rmtree(below / "VOC")
    fetch([file], tmp_path)
    assert (below / "VOC/2.txt").read_bytes() == b"two"
    fetch([_download(server, name, content + b"\0" * 9)._replace(target="below")], tmp_path)
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("v.tar", _tar([_Member("../out")])),
        ("v.tar", _tar([_Member("a/../../out")])),
        ("v.tar", _tar([_Member("/out")])),
        ("v.tgz", _tar([_Member("a", link="../"), _Member("a/out")], "w:gz")),
        ("v.zip", _zip([_Member("../out")])),
        ("v.zip", _zip([_Member("/out")])),
        ("v.zip", b"<html>404</html>"),
    ],
    ids=["up", "down and up", "absolute", "link", "zip up", "zip absolute", "no archive"],
)
def test_archives_that_reach_outside(
    server: Server, tmp_path: Path, name: str, content: bytes
) -> None:
    root = tmp_path / "root"
    with pytest.raises(DataError, match=f"{name}.*do not use this archive"):
        fetch([_download(server, name, content)._replace(target=".")], root)
    assert [path.name for path in tmp_path.rglob("*")] == ["root", f"{name}.part"]


def test_a_mirror_has_the_same_files_elsewhere(server: Server, tmp_path: Path) -> None:
    packed = _zip(PACKED)
    files = [
        _download(server, "train/a 1.bin")._replace(url="https://nowhere.invalid/x/a%201.bin"),
        _download(server, "v.zip", packed)._replace(
            url="https://nowhere.invalid/y/v.zip", target="."
        ),
    ]
    server.files = {"copy/train/a 1.bin": BYTES, "copy/v.zip": packed}
    fetch(files, tmp_path, mirror=server.url("copy/"))
    assert (tmp_path / "train/a 1.bin").read_bytes() == BYTES
    assert (tmp_path / "readme").read_bytes() == b"3"
    (tmp_path / "copy/train").mkdir(parents=True)
    (tmp_path / "copy/train/a 1.bin").write_bytes(BYTES)
    fetch(files[:1], tmp_path / "b", mirror=(tmp_path / "copy").as_uri())
    assert (tmp_path / "b/train/a 1.bin").read_bytes() == BYTES


def test_room_is_made_sure_of_first(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=80_000))
    files = [_download(server), _download(server, "b.bin")]
    with pytest.raises(DataError, match="make room"):
        fetch(files, tmp_path / "not" / "yet")
    assert server.asked == [] and list(tmp_path.iterdir()) == []
    (tmp_path / "b.bin.part").write_bytes(BYTES[:20_000])
    fetch(files, tmp_path)
    packed = _download(server, "v.tar", _tar(PACKED) + bytes(40_000))._replace(target=".")
    with pytest.raises(DataError, match="needs 0.00 GB more and 0.00 GB are free"):
        fetch([packed], tmp_path)  # fits, but not beside what it holds


def test_the_list_of_camvid_is_complete() -> None:
    files = manifest("camvid.sha256", "https://some.where/CamVid")
    folders = Counter(str(Path(file.target).parent) for file in files)
    sizes = {"train": 367, "val": 101, "test": 233}
    assert folders == {".": 3, **sizes, **{f"{split}annot": n for split, n in sizes.items()}}
    assert len({file.target for file in files}) == len({file.digest for file in files}) == 1405
    assert all(len(file.digest) == len("sha256:") + 64 for file in files)
    assert 182e6 < sum(file.size for file in files) < 187e6
    assert files[0].url == f"https://some.where/CamVid/{files[0].target}"


def test_a_fetched_tree_is_sound(server: Server, tmp_path: Path) -> None:
    camvid.build(tmp_path / "there")
    files = []
    for path in sorted((tmp_path / "there").rglob("*.*")):
        target = path.relative_to(tmp_path / "there").as_posix()
        files.append(_download(server, target, path.read_bytes()))
        server.files[target] = path.read_bytes()
    server.breaks = [500, 0, 9]
    fetch(files, tmp_path / "here", mirror=server.url())
    assert not check("camvid", tmp_path / "here").refused
