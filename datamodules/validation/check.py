"""Whether a data set can be trained and scored on, before anyone waits for it.

Every image and label is decoded once. What was found is kept, and found again only for files that
have changed since. To know which have, each file is looked at (`os.stat`), which for thousands of
them takes seconds on a network's disk: so a report is made once a phase, as before training and
after it, and handed on within.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import islice
from pathlib import Path

from datamodules import dataset_info, open_data
from datamodules.dataset import Dataset, DatasetInfo, Progress
from datamodules.image_files import ImageFileDataset, check_root
from datamodules.labels import AbsentError, DataError
from datamodules.parts import Part
from datamodules.validation.check_report import CheckReport, judge, unread
from datamodules.validation.image_checks import Finding, ImageCheck, Place, inspect_all
from datamodules.validation.kept_checks import KeptChecks, Key, Stamp, load, path_of, rotten, save


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
    opened = open_splits(spec, root, splits)
    checks: dict[Key, ImageCheck] = {}
    inspect_pairs(opened, checks, jobs, progress)
    return _judge(opened, checks)


def checked(
    spec: str,
    root: Path | None,
    splits: Sequence[str] | None = None,
    *,
    again: bool = False,
    deep: bool = False,
    jobs: int | None = None,
    progress: Progress = lambda done, total: None,
    parts: Sequence[KeptChecks] = (),
) -> CheckReport:
    """What `check` finds, kept: files are read again only if size or time of change are others.

    Each call looks at every file, once, so that it sees what has changed since the last; of data
    that are not files only fingerprints are taken.

    Args:
        again: read every file.
        deep: read every file, and compare with what was read of it before.
        parts: what `check_part` has found, which is not read once more.

    Raises:
        DataError: a named split, or every split, cannot be opened.
    """
    opened = open_splits(spec, root, splits)
    if not all(isinstance(split, ImageFileDataset) for split in opened.data.values()):
        return unread(spec, opened.data)
    path = _kept_at(opened)
    kept = KeptChecks([], {}) if again and not deep else _unkept.get(path) or load(path)
    tables, stamps = tables_of(opened), stamps_of(opened)
    state = _state(opened, tables, stamps)
    if kept.report is not None and kept.state == state and not deep:
        return kept.report
    before = kept.unchanged(tables, stamps)
    checks = {} if deep else before
    for part in parts:
        checks |= part.unchanged(tables, stamps)
    report = None
    try:
        inspect_pairs(opened, checks, jobs, progress)
        if deep:
            checks |= rotten(before, checks)
        report = _judge(opened, checks)
    finally:  # what was read before a stop is kept, too
        stamped = {key: (stamps[key], check) for key, check in checks.items()}
        kept = KeptChecks(tables, stamped, state if report else None, report)
        if not save(path, kept):
            _unkept[path] = kept
    return report


def is_checked(spec: str, root: Path | None, splits: Sequence[str] | None = None) -> bool:
    """Whether `checked` has a report of the files as they are, and reads none; each is looked at.

    Raises:
        DataError: as `checked`.
    """
    opened = open_splits(spec, root, splits)
    if not all(isinstance(split, ImageFileDataset) for split in opened.data.values()):
        return True
    kept = load(_kept_at(opened))
    return kept.report is not None and kept.state == _state(
        opened, tables_of(opened), stamps_of(opened)
    )


_unkept: dict[Path, KeptChecks] = {}  # of this process, where they cannot be written


@dataclass(frozen=True)
class OpenedSplits:
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

    def places(self, part: Part | None = None) -> dict[Key, Place]:
        """Of every pair, once whatever splits it is in, the position of a split and an index.

        Args:
            part: of all pairs, in order.
        """
        places: dict[Key, Place] = {}
        for position, name in enumerate(self.data):
            for index, key in enumerate(self.keys(name)):
                places.setdefault(key, (position, index))
        if part is None:
            return places
        images = part.images(len(places))
        return dict(islice(places.items(), images.start, images.stop))


def open_splits(spec: str, root: Path | None, splits: Sequence[str] | None) -> OpenedSplits:
    info = dataset_info(spec)
    names = list(splits or ("train", "val", "test"))
    if info is not None:
        root = check_root(spec.split(":")[0], root, info.steps).resolve()
        names = list(splits or (info.splits(root) if info.splits else info.counts))
    data: dict[str, Dataset] = {}
    errors: dict[str, DataError] = {}
    for name in names:
        try:
            data[name] = open_data(spec, name, root)
        except DataError as error:
            errors[name] = error
    if errors and (splits or not data):
        raise next(iter(errors.values()))
    absent = [_absent(name, error) for name, error in errors.items()]
    if not splits:
        absent += _not_to_train_on(data, names)
    return OpenedSplits(spec, root, info, data, absent)


def _not_to_train_on(data: Mapping[str, Dataset], names: Sequence[str]) -> Iterator[Finding]:
    """What a data set as a whole lacks, though parts of it may be predicted and scored."""
    alone = "or name with --split what is to be looked at alone"
    if "train" not in names:
        text = f"there is no split train, only {', '.join(names)}: add it, {alone}"
        yield Finding("error", "no split", "", text)
    for name in ("train", "val"):
        split = data.get(name)
        if isinstance(split, ImageFileDataset) and not any(s.mask for s in split.samples):
            text = f"{name} is needed for training and has no labels: add them, {alone}"
            yield Finding("error", "no labels", "", text)


def _absent(name: str, error: DataError) -> Finding:
    """About a split that cannot be opened: of a published set, only some need not be there."""
    text = f"{name} cannot be opened: {error}"
    if isinstance(error, AbsentError) and name not in ("train", "val"):
        return Finding("warning", "no split", "", text)
    if isinstance(error, AbsentError):
        text += "; without it nothing is trained, and --split names what is to be looked at alone"
    return Finding("error", "no split", "", text)


def inspect_pairs(
    opened: OpenedSplits,
    checks: dict[Key, ImageCheck],
    jobs: int | None,
    progress: Progress,
    part: Part | None = None,
) -> None:
    """Add the checks of the pairs that have none, one after the other.

    Args:
        part: to look at its pairs alone.
    """
    todo = {key: place for key, place in opened.places(part).items() if key not in checks}
    made = inspect_all(list(opened.data.values()), list(todo.values()), jobs)
    for done, (key, check) in enumerate(zip(todo, made, strict=True), 1):
        checks[key] = check
        progress(done, len(todo))


def _judge(opened: OpenedSplits, checks: Mapping[Key, ImageCheck]) -> CheckReport:
    ordered = {name: [checks[key] for key in opened.keys(name)] for name in opened.data}
    report = judge(opened.spec, opened.root, opened.info, opened.data, ordered)
    return replace(report, findings=report.findings + opened.absent)


def stamps_of(opened: OpenedSplits, part: Part | None = None) -> dict[Key, Stamp]:
    """Size and times of change of the files of every pair, or of those of a part."""
    stamp = cache(_stamp)  # one label file may serve many images
    return {key: [stamp(path) for path in key] for key in opened.places(part)}


def _stamp(path: str) -> list[int] | None:
    try:
        stat = os.stat(path)
    except OSError:
        return None
    # The last is set by every change, also by those that set the one before back.
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]


def tables_of(opened: OpenedSplits) -> list[str]:
    """What every label of a split depends on."""
    return [
        repr((split.labels, [_stamp(str(path)) for path in split.annotation_files]))
        for split in opened.data.values()
        if isinstance(split, ImageFileDataset)
    ]


def _state(opened: OpenedSplits, tables: list[str], stamps: dict[Key, Stamp]) -> str:
    """A hash of everything that a report depends on."""
    lists = {
        name: [str(sample) for sample in split.samples] + split.notes
        for name, split in opened.data.items()
        if isinstance(split, ImageFileDataset)
    }
    published = (opened.info.counts, sorted(opened.info.nested)) if opened.info else ()
    facts = (published, opened.absent, tables, lists, stamps)
    return hashlib.sha256(repr(facts).encode()).hexdigest()


def _kept_at(opened: OpenedSplits) -> Path:
    request = repr((opened.spec, opened.root, list(opened.data)))
    return path_of(hashlib.sha256(request.encode()).hexdigest()[:16])
