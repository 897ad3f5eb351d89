"""Files of data sets that may be fetched without an account: resumed, verified, unpacked.

A file grows as `name.part`, and gets its own name only once its size and digest are right.
"""

import hashlib
import shutil
import tarfile
import threading
import urllib.parse
import zipfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path, PurePosixPath

from datamodules.dataset import Download, Progress
from datamodules.http_download import Meter, StoppedError, grow
from datamodules.labels import DataError

_ARCHIVES = (".zip", ".tar", ".tgz", ".tar.gz")
_THREADS = 8  # for small files, which wait for answers rather than for bytes


def manifest(name: str, base_url: str) -> list[Download]:
    """The files that a list beside this module names, one a line: sha256, bytes, path below a root.

    In the folder of a complete copy, `find * -type f | LC_ALL=C sort | while read -r path; do
    echo "$(sha256sum < "$path" | cut -c -64) $(stat -c %s "$path") $path"; done` prints one.
    """
    rows = (Path(__file__).parent / "datasets" / name).read_text().splitlines()
    return [
        Download(f"{base_url}/{urllib.parse.quote(path)}", path, int(size), f"sha256:{digest}")
        for digest, size, path in (row.split(" ", 2) for row in rows)
    ]


def fetch(
    downloads: Sequence[Download],
    root: Path,
    *,
    mirror: str | None = None,
    progress: Progress = lambda done, total: None,
) -> None:
    """Bring all files that are not yet below the root; after a stop, it goes on where it was.

    Args:
        mirror: the URL of a copy, which has each file under its target, and archives at its top.
        progress: is called with the number of bytes that are there, and of all.

    Raises:
        DataError: too little room, or a file that cannot be had or is another than published.
    """
    missing = [download for download in downloads if not _is_there(download, root)]
    _check_room(missing, root)
    total = sum(download.size for download in downloads)
    meter = Meter(total - sum(download.size for download in missing), total, progress)
    pool = ThreadPoolExecutor(_THREADS)
    try:
        for future in as_completed([pool.submit(_bring, d, root, mirror, meter) for d in missing]):
            future.result()
    finally:
        meter.stop.set()
        pool.shutdown(cancel_futures=True)


def _is_archive(download: Download) -> bool:
    return download.url.endswith(_ARCHIVES)


def _place(download: Download, root: Path) -> Path:
    """The file of a download; that of an archive never gets this name, and goes once unpacked."""
    target = root / download.target
    return target / PurePosixPath(download.url).name if _is_archive(download) else target


def _part(path: Path) -> Path:
    return path.with_name(f"{path.name}.part")


def _mark(archive: Path) -> Path:
    """Says of an archive that was unpacked: its digest, and what lies at its top."""
    return archive.with_name(f".{archive.name}.unpacked")


def _is_there(download: Download, root: Path) -> bool:
    path = _place(download, root)
    if not _is_archive(download):
        return path.is_file() and _fault(path, download) is None
    if not _mark(path).is_file():
        return False
    digest, *names = _mark(path).read_text().splitlines()
    return digest == download.digest and all((path.parent / name).exists() for name in names)


def _fault(path: Path, download: Download) -> str | None:
    """What tells a file from the published one."""
    size = path.stat().st_size
    if size != download.size:
        return f"has {size} bytes and {download.size} are published"
    kind, _, published = download.digest.partition(":")
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, kind).hexdigest()
    return None if digest == published else f"has the {kind} {digest} and {published} is published"


def _check_room(missing: Sequence[Download], root: Path) -> None:
    need = 0
    for download in missing:
        part = _part(_place(download, root))
        # What is packed are JPEGs and PNGs, which take as much room again.
        need += download.size * (2 if _is_archive(download) else 1)
        need -= part.stat().st_size if part.is_file() else 0
    there = next(path for path in (root, *root.absolute().parents) if path.is_dir())
    free = shutil.disk_usage(there).free
    if need > free:
        raise DataError(
            f"{root} needs {need / 1e9:.2f} GB more and {free / 1e9:.2f} GB are free: make room, "
            "or name a folder on another disk with --data-root"
        )


def _bring(download: Download, root: Path, mirror: str | None, meter: Meter) -> None:
    path, url = _place(download, root), download.url
    if mirror is not None:
        name = path.name if _is_archive(download) else download.target
        url = f"{mirror.rstrip('/')}/{urllib.parse.quote(name)}"
    path.parent.mkdir(parents=True, exist_ok=True)
    part = _part(path)
    grow(part, url, download.size, meter)
    fault = _fault(part, download)
    if fault:
        part.unlink()
        raise DataError(f"{url} {fault}: fetch it once more, or name a copy with --mirror")
    if _is_archive(download):
        names = _unpack(part, path, meter.stop)
        _mark(path).write_text("\n".join([download.digest, *names]))
        part.unlink()
    else:
        part.replace(path)


def _unpack(archive: Path, path: Path, stop: threading.Event) -> list[str]:
    """Unpack beside the archive, nowhere else, and return what lies at its top."""
    tops: dict[str, None] = {}

    def check(name: str) -> None:
        parts = PurePosixPath(name).parts
        if ".." in parts or parts[:1] == ("/",):
            raise DataError(f"{path} holds {name!r}, which lies outside: do not use this archive")
        if stop.is_set():
            raise StoppedError
        tops.update(dict.fromkeys(parts[:1]))

    try:
        if path.suffix == ".zip":
            with zipfile.ZipFile(archive) as zip:
                for name in zip.namelist():
                    check(name)
                    zip.extract(name, path.parent)
        else:
            with tarfile.open(archive) as tar:
                for member in tar:
                    check(member.name)
                    tar.extract(member, path.parent, filter="data")
    except (tarfile.TarError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} cannot be unpacked ({error}): do not use this archive") from None
    return list(tops)
