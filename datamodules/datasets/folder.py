"""Your own images and masks in a folder, with a table that names the labels (`label_table`).

Splits are lists in `splits/`, or folders below `images/`, or dealt out. Images of a group depend on
each other, so a group is never divided. It is named by `groups.csv`, or is the first folder below
`images/`, or below the folder of its split, or the image alone.
"""

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path, PurePosixPath

from datamodules.dataset import DatasetInfo
from datamodules.datasets.label_table import (
    Value,
    check_once,
    draft_rows,
    read_csv,
    read_mask,
    read_table,
    values_of,
)
from datamodules.image_files import ImageFileDataset, Sample, check_root, check_split, listed
from datamodules.labels import IGNORE, MAX_CLASSES, DataError

SPLITS = ("train", "val", "test")
_SHARES = {"train": 0.7, "val": 0.1, "test": 0.2}
_LOSSY = frozenset({".jpg", ".jpeg"})
_IMAGES = frozenset({".png", ".tif", ".tiff", ".webp"}) | _LOSSY
_MASKS = _IMAGES | {".bmp"}
_FOLDERS = {  # names that people give to the folders of splits
    "train": "train",
    "training": "train",
    "test": "test",
    "testing": "test",
    "val": "val",
    "valid": "val",
    "validation": "val",
}
_CLUTTER = frozenset({"thumbs.db", "desktop.ini"})


def splits(root: Path) -> list[str]:
    """The splits that have images of their own.

    Raises:
        DataError: a `splits/` that lacks the list for training.
    """
    lists = root / "splits"
    if not lists.is_dir():
        return list(_split_folders(root) or SPLITS)
    if not (lists / "train.txt").is_file():
        raise DataError(f"{lists} has no train.txt: list there the images to train on, one a line")
    return [split for split in SPLITS if (lists / f"{split}.txt").is_file()]


def _split_folders(root: Path) -> dict[str, str]:
    """The folders of images/ that are splits, by the split; empty where none is named like one.

    Raises:
        DataError: some are and others are not, two are one split, or none is for training.
    """
    images = root / "images"
    paths = sorted(images.iterdir()) if images.is_dir() else []
    below = [path.name for path in paths if not _is_clutter(path.name)]
    named = {name: _FOLDERS[name.casefold()] for name in below if name.casefold() in _FOLDERS}
    if not named:
        return {}
    found = {split: name for name, split in named.items()}
    if len(found) < len(below) or len(found) < 2 or "train" not in found:
        raise DataError(
            f"{images} has folders named as splits ({', '.join(named)}) and cannot be divided by "
            f"them, as it holds {', '.join(below[:5])}: have train, val and test alone there, or "
            "list the images in splits/"
        )
    return {split: found[split] for split in SPLITS if split in found}


INFO = DatasetInfo(
    title="your own folder",
    source="yourself",
    licence="yours",
    tree="""
images/a/01.jpg  PNG, JPEG, TIFF or WebP of any sizes, in folders or not
masks/a/01.png   of the same names: PNG, TIFF, lossless WebP or BMP
labels.csv       id,name and, if wanted, colour and ignore
splits/          if wanted: train.txt, val.txt and test.txt, an image a line (a/01);
                 or images/train/, images/val/ and images/test/
groups.csv       if wanted: id,group of images that depend on each other (a/01,monday)
""",
    counts={},
    block=None,
    steps=(
        "put the images into images/, masks of the same names into masks/ and a table of the "
        "labels into labels.csv, and name the folder that holds these with --data-root"
    ),
    splits=splits,
)


def folder(split: str, root: Path | None = None) -> ImageFileDataset:
    """A split, as `splits/` lists it or as whole groups are dealt out; images are opened later.

    Raises:
        DataError: no root, images, masks or labels, or a table or list that cannot be used.
    """
    check_split("folder", split, SPLITS)
    root = check_root("folder", root, INFO.steps)
    images, others = _walk(root, "images", _IMAGES)
    masks = _masks(root)
    if not any(_name(image) in masks for image in images):
        raise DataError(
            f"{root.absolute()} has no mask for any image (one is images/{images[0]}, a mask is "
            f"masks/{min(masks.values())}): give both the same name, up to the suffix"
        )
    labels, painted = read_table(root / "labels.csv")
    if (root / "splits").is_dir():
        source, notes = _source(root, split)
        samples = _samples(root, _listed(root, source, images), masks)
    elif folders := _split_folders(root):
        source, notes = _source(root, split)
        chosen = [image for image in images if image.startswith(f"{folders[source]}/")]
        samples = _samples(root, chosen, masks)
    else:
        samples, notes = _dealt(root, split, _samples(root, images, masks))
    orphans = len(masks.keys() - {_name(image) for image in images})
    if orphans:
        notes.append(f"{orphans} files in masks/ are left out: they have no image")
    if others:
        notes.append(f"{others} files in images/ are left out: no PNG, JPEG, TIFF or WebP")
    return ImageFileDataset(labels, samples, partial(read_mask, painted=painted), notes=notes)


def _walk(root: Path, name: str, suffixes: frozenset[str]) -> tuple[list[str], int]:
    """Sorted paths below a folder, and the number of its files that have other suffixes."""
    top = root / name
    if not top.is_dir():
        raise DataError(f"no {name}/ at {root.absolute()}: {INFO.steps}")
    found: list[str] = []
    others, seen = 0, {os.path.realpath(top)}
    for at, below, files in os.walk(top, followlinks=True):
        # Links come last, so that a folder goes by its own name. Going nowhere twice ends loops.
        paths = sorted(Path(at, f) for f in below if not f.startswith("."))
        below.clear()
        for path in sorted(paths, key=Path.is_symlink):
            if (real := os.path.realpath(path)) not in seen:
                seen.add(real)
                below.append(path.name)
        for f in files:
            if Path(f).suffix.lower() in suffixes and not f.startswith("."):
                found.append(Path(at, f).relative_to(top).as_posix())
            elif not _is_clutter(f):
                others += 1
    if not found:
        raise DataError(f"{top.absolute()} holds nothing that is read, as PNG: {INFO.steps}")
    return sorted(found), others


def _is_clutter(name: str) -> bool:
    """What systems leave in folders."""
    return name.startswith(".") or name.lower() in _CLUTTER


def _masks(root: Path) -> dict[str, str]:
    """Mask files below masks/ by their names without suffix."""
    masks: dict[str, str] = {}
    for file in _walk(root, "masks", _MASKS)[0]:
        if Path(file).suffix.lower() in _LOSSY:
            raise DataError(
                f"{root / 'masks' / file} is a JPEG, which is lossy and so changes labels: save "
                "the mask as PNG, from where it was drawn"
            )
        other = masks.setdefault(_name(file), file)
        if other != file:
            raise DataError(f"{root / 'masks'} has both {other} and {file}: keep one of them")
    return masks


def _name(path: str) -> str:
    """A path, of a file or in a list, without the suffix of an image."""
    known = PurePosixPath(path).suffix.lower() in _MASKS
    return path.rpartition(".")[0] if known else path


def _line(text: str) -> str:
    """A path in a list, as the walk writes it."""
    return str(PurePosixPath(text.replace("\\", "/")))


def _samples(root: Path, images: Sequence[str], masks: dict[str, str]) -> list[Sample]:
    names = [_name(image) for image in images]
    groups = _groups(root / "groups.csv", names)
    return [
        Sample(
            name.replace("/", "-"),
            groups[name],
            root / "images" / image,
            root / "masks" / masks.get(name, f"{name}.png"),
        )
        for name, image in zip(names, images, strict=True)
    ]


def _groups(path: Path, names: Sequence[str]) -> dict[str, str]:
    if not path.is_file():
        prefix = 1 if _split_folders(path.parent) and not (path.parent / "splits").is_dir() else 0
        parts = {name: name.split("/") for name in names}
        return {n: p[prefix] if len(p) > prefix + 1 else n for n, p in parts.items()}
    rows = [(_name(_line(row["id"])), row["group"]) for row in read_csv(path, ["id", "group"])]
    check_once(path, "id", [name for name, _ in rows])
    groups = dict(rows)
    lacking = [name for name in names if name not in groups]
    if lacking:
        raise DataError(
            f"{path} lacks {lacking[0]} ({len(lacking)} of {len(names)} images): add a row for "
            "each image, of its path below images/ and its group"
        )
    return groups


def _source(root: Path, split: str) -> tuple[str, list[str]]:
    """The split whose images serve, and a note where the other of val and test does."""
    there = splits(root)
    if split in there:
        return split, []
    source = "test" if split == "val" else "val"
    if source not in there:
        raise DataError(f"{root.absolute()} has neither the split val nor test: add one of them")
    return source, [f"there is no split {split}: the images of {source} serve as {split}"]


def _listed(root: Path, split: str, images: Sequence[str]) -> list[str]:
    """The images of a list, there or not."""
    path = root / "splits" / f"{split}.txt"
    lines = [line.strip() for line in listed(path, "list of a split", INFO.steps)]
    wanted = [_line(line) for line in lines if line and not line.startswith("#")]
    if not wanted:
        raise DataError(f"{path} lists no images: list one a line")
    by_name: dict[str, list[str]] = {}
    for image in images:
        by_name.setdefault(_name(image), []).append(image)
    chosen = []
    for line in wanted:
        bare = line == _name(line)
        chosen += by_name.get(line, [f"{line}.png"]) if bare else [line]
    return chosen


def _dealt(root: Path, split: str, samples: Sequence[Sample]) -> tuple[list[Sample], list[str]]:
    """Whole groups in the order of a hash, the same on any machine and wherever the root lies.

    Each goes to the split that is farthest below its share.
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


def draft_labels(root: Path) -> Path:
    """Write `labels.csv` with a row for each value, or colour, that the masks hold.

    255 is ignored, unless 0 is the only other value: black and white masks have two classes.

    Raises:
        DataError: a table that is there already, or masks that hold no labels.
    """
    path = root / "labels.csv"
    if path.exists():
        raise DataError(f"{path} is there already: move it away if a draft is wanted")
    values: set[Value] = set()
    for file in _masks(root).values():
        values |= values_of(root / "masks" / file)
        if len(values - {(IGNORE,)}) > MAX_CLASSES:
            raise DataError(
                f"{root / 'masks'} has more than {MAX_CLASSES} values up to {file}: these are no "
                "labels (were they resized, or saved as JPEG?), so save masks anew"
            )
    if len({len(value) for value in values}) > 1:
        raise DataError(f"{root / 'masks'} has ids and colours: save all masks alike")
    ignored = {(IGNORE,)} if values != {(0,), (IGNORE,)} else set()
    lines = draft_rows(sorted(values - ignored))
    lines += [f"{IGNORE},ignore,#000000,yes"] if ignored & values else []
    draft = path.with_name(".labels.csv.draft")
    draft.write_text("\n".join(lines) + "\n", encoding="utf-8")
    os.replace(draft, path)
    return path
