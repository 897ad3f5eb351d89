"""How the images of a folder are found, named, grouped and divided into splits (`folder`).

Splits are lists in `splits/`, or folders below `images/`, or dealt out. Images of a group depend on
each other, so a group is never divided. It is named by `groups.csv`, or is the first folder below
`images/`, or below the folder of its split, or the image alone.
"""

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from datamodules.clutter import is_clutter
from datamodules.datasets.label_table import check_once, read_csv
from datamodules.datasets.split_lists import SPLIT_NAMES, SUFFIXES, name_of, plain_path
from datamodules.file_names import one_form, twins
from datamodules.image_files import Sample
from datamodules.labels import DataError

SPLITS = ("train", "val", "test")
STEPS = (
    "put the images into images/, masks of the same names into masks/ and a table of the "
    "labels into labels.csv, and name the folder that holds these with --data-root"
)
_SHARES = {"train": 0.7, "val": 0.1, "test": 0.2}
LOSSY = frozenset({".jpg", ".jpeg"})
MASKS = SUFFIXES
IMAGES = SUFFIXES - {".bmp"}


def splits(root: Path) -> list[str]:
    """The splits that have images of their own.

    Raises:
        DataError: a `splits/` that lacks the list for training.
    """
    lists = root / "splits"
    if not lists.is_dir():
        return list(split_folders(root) or SPLITS)
    if not (lists / "train.txt").is_file():
        raise DataError(f"{lists} has no train.txt: list there the images to train on, one a line")
    return [split for split in SPLITS if (lists / f"{split}.txt").is_file()]


def split_folders(root: Path) -> dict[str, str]:
    """The folders of images/ that are splits, by the split; empty where none is named like one.

    Raises:
        DataError: some are and others are not, two are one split, or none is for training.
    """
    images = root / "images"
    paths = sorted(images.iterdir()) if images.is_dir() else []
    below = [path.name for path in paths if not is_clutter(path.name)]
    named = {name: SPLIT_NAMES[name.casefold()] for name in below if name.casefold() in SPLIT_NAMES}
    if not named:
        return {}
    folders = {split: name for name, split in named.items()}
    if len(folders) < len(below) or len(folders) < 2 or "train" not in folders:
        raise DataError(
            f"{images} has folders named as splits ({', '.join(named)}) and cannot be divided by "
            f"them, as it holds {', '.join(below[:5])}: have train, val and test alone there, or "
            "list the images in splits/"
        )
    return {split: folders[split] for split in SPLITS if split in folders}


def find_files(root: Path, name: str, suffixes: frozenset[str]) -> tuple[list[str], int]:
    """Sorted paths below a folder, and the number of its files that have other suffixes.

    Raises:
        DataError: no such folder, no file with one of these suffixes, or a name that is not UTF-8
            or is there in both normal forms of Unicode.
    """
    top = root / name
    if not top.is_dir():
        raise DataError(f"no {name}/ at {root.absolute()}: {STEPS}")
    paths_below: list[str] = []
    others, seen = 0, {os.path.realpath(top)}
    for at, below, files in os.walk(top, followlinks=True):
        # Links come last, so that a folder goes by its own name. Going nowhere twice ends loops.
        paths = sorted(Path(at, f) for f in below if not is_clutter(f))
        below.clear()
        for path in sorted(paths, key=Path.is_symlink):
            if (real := os.path.realpath(path)) not in seen:
                seen.add(real)
                below.append(path.name)
        for f in files:
            if is_clutter(f):
                continue
            if Path(f).suffix.lower() in suffixes:
                paths_below.append(Path(at, f).relative_to(top).as_posix())
            else:
                others += 1
    if not paths_below:
        raise DataError(f"{top.absolute()} holds nothing that is read, as PNG: {STEPS}")
    _check_names(top, paths_below)
    return sorted(paths_below), others


def _check_names(top: Path, paths: Sequence[str]) -> None:
    for path in paths:
        if not path.isascii() and any("\udc80" <= sign <= "\udcff" for sign in path):
            raise DataError(f"{top} has a file {path!a}, whose name is not UTF-8: rename it")
    if both := twins(paths):
        raise DataError(
            f"{top} has the file {both[0]} twice, in both normal forms of Unicode "
            f"({both[0]!a} and {both[1]!a}): keep one of them"
        )


def read_groups(path: Path, names: Sequence[str]) -> dict[str, str]:
    """The group of each image: as groups.csv has it, if there is one, else its first folder."""
    if not path.is_file():
        prefix = 1 if split_folders(path.parent) and not (path.parent / "splits").is_dir() else 0
        parts = {name: name.split("/") for name in names}
        return {n: p[prefix] if len(p) > prefix + 1 else n for n, p in parts.items()}
    table = read_csv(path, ["id", "group"])
    known = set(names)
    ids = [name_of(plain_path(row["id"])) for row in table]
    ids = [id if id in known else id.removeprefix("images/") for id in ids]
    rows = [(id, one_form(row["group"])) for id, row in zip(ids, table, strict=True)]
    check_once(path, "id", [name for name, _ in rows])
    groups = dict(rows)
    lacking = [name for name in names if name not in groups]
    if lacking:
        raise DataError(
            f"{path} lacks {lacking[0]} ({len(lacking)} of {len(names)} images): add a row for "
            "each image, of its path below images/ and its group"
        )
    return groups


def serving_split(root: Path, split: str) -> tuple[str, list[str]]:
    """The split whose images serve, and a note where the other of val and test does."""
    there = splits(root)
    if split in there:
        return split, []
    source = "test" if split == "val" else "val"
    if source not in there:
        raise DataError(f"{root.absolute()} has neither the split val nor test: add one of them")
    return source, [f"there is no split {split}: the images of {source} serve as {split}"]


def deal_groups(
    root: Path, split: str, samples: Sequence[Sample]
) -> tuple[list[Sample], list[str]]:
    """Whole groups in the order of a hash, the same on any machine and wherever the root lies.

    Each goes to the split that is farthest below its share; a note says what came of it.

    Raises:
        DataError: fewer groups than splits.
    """
    sizes = Counter(sample.group for sample in samples)
    order = sorted(sizes, key=lambda group: hashlib.sha256(group.encode()).digest())
    if len(order) < 3:
        raise DataError(
            f"{root.absolute()} has no splits/ and its images make {len(order)} groups, which "
            "three splits cannot share: add lists in splits/, or groups.csv with smaller groups"
        )
    chosen: dict[str, set[str]] = {split: set() for split in SPLITS}
    images = dict.fromkeys(SPLITS, 0)
    for place, group in enumerate(order):
        empty = [name for name in SPLITS if not chosen[name]]
        open_ = empty if len(order) - place <= len(empty) else SPLITS
        short = max(open_, key=lambda name: _SHARES[name] - images[name] / len(samples))
        chosen[short].add(group)
        images[short] += sizes[group]
    note = (
        f"no splits/: {len(order)} whole groups are dealt out by a hash of their names, to "
        f"{', '.join(f'{images[s]} images for {s}' for s in SPLITS)}, of 70, 10 and 20 % wanted"
    )
    return [sample for sample in samples if sample.group in chosen[split]], [note]
