"""Whether a data set can be trained and scored on, before anyone waits for it.

Every image and label is decoded once. What was found is kept, and found again only for files that
have changed since.
"""

import gzip
import hashlib
import json
import os
import sys
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from datamodules import dataset_info, open_data
from datamodules.dataset import Dataset, DatasetInfo, Progress
from datamodules.image_files import ImageFileDataset, cache_home, check_root
from datamodules.labels import AbsentError, DataError
from datamodules.validation.check_report import CheckReport, judge, unread
from datamodules.validation.image_checks import Finding, Record, inspect_all

_VERSION = 2  # of what is kept; raise it whenever the same files lead to other findings

Key = tuple[str, str]  # an image and its labels, whatever splits they are in
Stamp = list[list[int] | None]  # size and times of change of both; None for a file not there


def check(
    spec: str,
    root: Path | None,
    splits: Sequence[str] | None = None,
    *,
    jobs: int | None = None,
    progress: Progress = lambda done, total: None,
) -> CheckReport:
    """Read everything of some splits, by default of all that are there.

    Args:
        jobs: processes that read.
        progress: is called with the number of pairs read and to read.

    Raises:
        DataError: a named split, or every split, cannot be opened.
    """
    opened = _open(spec, root, splits)
    records: dict[Key, Record] = {}
    _inspect(opened, records, jobs, progress)
    return _judge(opened, records)


def checked(
    spec: str,
    root: Path | None,
    splits: Sequence[str] | None = None,
    *,
    again: bool = False,
    jobs: int | None = None,
    progress: Progress = lambda done, total: None,
) -> CheckReport:
    """What `check` finds, kept: files are read again only if size or time of change are others.

    Of data that are not files only fingerprints are taken.

    Args:
        again: read every file.

    Raises:
        DataError: a named split, or every split, cannot be opened.
    """
    opened = _open(spec, root, splits)
    if not all(isinstance(split, ImageFileDataset) for split in opened.data.values()):
        return unread(spec, opened.data)
    path = _kept_at(opened)
    kept = {} if again else _load(path)
    tables, stamps = _tables(opened), _stamps(opened)
    state = _state(opened, tables, stamps)
    if not again and _outcomes.get(path, ("", None))[0] == state:
        return _outcomes[path][1]
    if kept.get("state") == state:
        return CheckReport.from_json(kept["outcome"])
    old = kept["records"] if kept.get("tables") == tables else []
    records = {
        (image, mask): Record.from_json(record)
        for image, mask, stamp, record in old
        if stamps.get((image, mask)) == stamp
    }
    outcome = None
    try:
        _inspect(opened, records, jobs, progress)
        outcome = _judge(opened, records)
    finally:  # what was read before a stop is kept, too
        rows = [(*key, stamps[key], asdict(record)) for key, record in records.items()]
        value = {"version": _VERSION, "tables": tables, "records": rows}
        if outcome is not None:
            value |= {"state": state, "outcome": outcome.to_json()}
        if not _keep(path, value) and outcome is not None:
            _outcomes[path] = state, outcome
    return outcome


# Of this process, for checks that cannot be kept.
_outcomes: dict[Path, tuple[str, CheckReport]] = {}


@dataclass(frozen=True)
class _Opened:
    """Splits of which no image has been read yet."""

    spec: str
    root: Path | None
    info: DatasetInfo | None
    data: dict[str, Dataset]
    absent: list[Finding]

    def keys(self, name: str) -> list[Key]:
        split = self.data[name]
        if isinstance(split, ImageFileDataset):
            return [(str(sample.image), str(sample.mask)) for sample in split.samples]
        return [(name, id) for id in split.ids]


def _open(spec: str, root: Path | None, splits: Sequence[str] | None) -> _Opened:
    known = dataset_info(spec)
    names = list(splits or ("train", "val", "test"))
    if known is not None:
        root = check_root(spec.split(":")[0], root, known.steps).resolve()
        names = list(splits or (known.splits(root) if known.splits else known.counts))
    data: dict[str, Dataset] = {}
    errors: dict[str, DataError] = {}
    for name in names:
        try:
            data[name] = open_data(spec, name, root)
        except DataError as error:
            errors[name] = error
    if errors and (splits or not data):
        raise next(iter(errors.values()))
    absent = [
        Finding(
            "warning" if isinstance(error, AbsentError) else "error",
            "no split",
            "",
            f"{name} cannot be opened: {error}",
        )
        for name, error in errors.items()
    ]
    return _Opened(spec, root, known, data, absent)


def _inspect(
    opened: _Opened, records: dict[Key, Record], jobs: int | None, progress: Progress
) -> None:
    """Add the records of the pairs that have none, one after the other."""
    todo: dict[Key, tuple[int, int]] = {}
    for position, name in enumerate(opened.data):
        for index, key in enumerate(opened.keys(name)):
            if key not in records:
                todo.setdefault(key, (position, index))
    found = inspect_all(list(opened.data.values()), list(todo.values()), jobs)
    for done, (key, record) in enumerate(zip(todo, found, strict=True), 1):
        records[key] = record
        progress(done, len(todo))


def _judge(opened: _Opened, records: Mapping[Key, Record]) -> CheckReport:
    ordered = {name: [records[key] for key in opened.keys(name)] for name in opened.data}
    outcome = judge(opened.spec, opened.root, opened.info, opened.data, ordered)
    return replace(outcome, findings=outcome.findings + opened.absent)


def _stamps(opened: _Opened) -> dict[Key, Stamp]:
    stamp = cache(_stamp)  # one label file may serve many images
    return {key: [stamp(path) for path in key] for name in opened.data for key in opened.keys(name)}


def _stamp(path: str) -> list[int] | None:
    try:
        stat = os.stat(path)
    except OSError:
        return None
    # The last is set by every change, also by those that set the one before back.
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]


def _tables(opened: _Opened) -> list[str]:
    """What every label of a split depends on."""
    return [
        repr((split.labels, [_stamp(str(path)) for path in split.also]))
        for split in opened.data.values()
        if isinstance(split, ImageFileDataset)
    ]


def _state(opened: _Opened, tables: list[str], stamps: dict[Key, Stamp]) -> str:
    """A hash of everything that an outcome depends on."""
    lists = {
        name: [str(sample) for sample in split.samples] + split.notes
        for name, split in opened.data.items()
        if isinstance(split, ImageFileDataset)
    }
    known = (opened.info.counts, sorted(opened.info.nested)) if opened.info else ()
    facts = (known, opened.absent, tables, lists, stamps)
    return hashlib.sha256(repr(facts).encode()).hexdigest()


def _kept_at(opened: _Opened) -> Path:
    name = hashlib.sha256(repr((opened.spec, opened.root, list(opened.data))).encode())
    return cache_home() / "checks" / f"{name.hexdigest()[:16]}.json.gz"


def _load(path: Path) -> dict[str, Any]:
    """What is kept; empty where nothing is, or nothing that this code can read."""
    try:
        value: dict[str, Any] = json.loads(gzip.decompress(path.read_bytes()))
    except (OSError, EOFError, ValueError, zlib.error):
        return {}
    return value if value.get("version") == _VERSION else {}


def _keep(path: Path, value: dict[str, Any]) -> bool:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(gzip.compress(json.dumps(value).encode(), 1, mtime=0))
        draft.replace(path)
    except OSError as error:
        print(f"the check is not kept and has to be made again ({error})", file=sys.stderr)
        return False
    return True
