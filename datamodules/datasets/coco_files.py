"""Where the JSONs of a tree in COCO's form lie, and the images that they name."""

import os
import re
import unicodedata
from itertools import filterfalse
from pathlib import Path, PurePosixPath

from datamodules.clutter import find
from datamodules.datasets.split_lists import SPLIT_NAMES
from datamodules.labels import DataError


def find_listings(root: Path, how: str) -> tuple[dict[str, list[Path]], list[Path]]:
    """The JSONs of each split, train, val and test first; and those that are of something else.

    Args:
        how: to get the data, where there are none.

    Raises:
        DataError: none of a split.
    """
    found: list[tuple[str, Path]] = []
    strays = []
    for path in filterfalse(os.path.isdir, find(root, "*.json")):
        if path.stem.lower() in SPLIT_NAMES or _looks_like_one(path):
            found.append((path.stem, path))
        else:
            strays.append(path)
    for path in find(root / "annotations", "*.json"):
        if match := re.fullmatch(r"(?:instances|panoptic)_(.+?)(?:\d{4})?", path.stem):
            found.append((match[1], path))
        elif path.stem.lower() in SPLIT_NAMES:
            found.append((path.stem, path))
    found += [(path.parent.name, path) for path in find(root, "*/_annotations.coco.json")]
    listings: dict[str, list[Path]] = {}
    for name, path in found:
        listings.setdefault(split_of(name), []).append(path)
    if not listings:
        raise DataError(
            f"no COCO annotations at {root.absolute()} (looked for <split>.json, "
            "annotations/instances_<split>*.json, annotations/panoptic_<split>*.json and "
            f"<split>/_annotations.coco.json): {how}"
        )
    first = ["train", "val", "test"]
    order = sorted(listings, key=lambda name: ([*first, name].index(name), name))
    return {name: listings[name] for name in order}, strays


def split_of(name: str) -> str:
    """`val` of valid or Validation, and so on; other names are their own."""
    return SPLIT_NAMES.get(name.lower(), name)


def _looks_like_one(path: Path) -> bool:
    """Whether a JSON of any name has the lists of COCO's form; it may be damaged all the same."""
    if not os.path.isfile(path):  # which is said where it is opened
        return True
    content = path.read_bytes()
    return b'"images"' in content and b'"categories"' in content


def find_images(root: Path, split: str, path: Path, first: PurePosixPath) -> Path:
    """The folder that the names of images start from, decided by the first image."""
    year = path.stem.split("_", 1)[-1]  # train2014 of instances_train2014
    names = dict.fromkeys(("", split, year, f"{split}2017", "images", f"images/{split}"))
    places = dict.fromkeys([*(root / name for name in names), path.parent, path.parent / "images"])
    for place in places:
        if os.path.isfile(_as_there(place, first)):
            return place
    raise DataError(
        f"{path} lists the image {first}, which is in none of "
        f"{', '.join(str(place) for place in places)}: unpack the images into one of them"
    )


def below(root: Path, listing: Path, folder: Path, name: PurePosixPath) -> Path:
    """A file that a JSON names.

    Raises:
        DataError: a name that leads out of the root.
    """
    path = _as_there(folder, name)
    if name.is_absolute() or ".." in name.parts:
        path = Path(os.path.normpath(path))
        if not any(path.is_relative_to(top) for top in (root, root.absolute(), root.resolve())):
            raise DataError(
                f"{listing} lists {str(name)!r}, which is not below {root}: write names from that "
                "folder on, as images/0001.jpg"
            )
    return path


def _as_there(folder: Path, name: PurePosixPath) -> Path:
    """The file by its name in the normal form of Unicode in which it is there, if in any."""
    text = str(name)
    if text.isascii() or os.path.isfile(folder / name):
        return folder / name
    forms = [folder / unicodedata.normalize(form, text) for form in ("NFC", "NFD")]
    return next((form for form in forms if os.path.isfile(form)), folder / name)
