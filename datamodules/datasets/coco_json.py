"""COCO's JSON: what it lists, checked, and the label table that its categories make."""

import json
import operator
from functools import cache
from itertools import count
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from datamodules.labels import IGNORE, Colour, DataError, Label, LabelSet

Row = dict[str, Any]


class Picture(NamedTuple):
    """An image that a JSON lists, with its annotations: one of each object, or a panoptic one."""

    name: PurePosixPath
    size: tuple[int, int]  # height, width
    annotations: list[Row]


class Listing(NamedTuple):
    """What is used of a JSON; pictures in its order, by the id of their sample."""

    labels: LabelSet
    pictures: dict[str, Picture]


def is_panoptic(path: Path) -> bool:
    return path.name.startswith("panoptic_")


def read_listing(path: Path) -> Listing:
    """What a JSON says, parsed once a process; COCO's training set takes some 15 s and 3 GB."""
    try:
        stat = path.stat()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}): fetch it again") from None
    return _parse(path, stat.st_size, stat.st_mtime_ns)


@cache
def _parse(path: Path, size: int, changed: int) -> Listing:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is no JSON ({error}): fetch it again") from None
    categories = _rows(path, content, "categories", "id", "name")
    images = _rows(path, content, "images", "id", "file_name", "height", "width")
    if is_panoptic(path):
        rows = _rows(path, content, "annotations", "image_id", "file_name", "segments_info")
        lists = [_rows(path, row, "segments_info", "id", "category_id") for row in rows]
        objects = [segment for segments in lists for segment in segments]
    else:
        keys = ("id", "image_id", "category_id", "segmentation")
        rows = objects = _rows(path, content, "annotations", *keys)
    of_image: dict[Any, list[Row]] = {row["id"]: [] for row in images}
    if len(of_image) != len(images):
        raise DataError(f"{path} lists images of the same id: number them anew")
    _check(path, "category", {row["category_id"] for row in objects}, {r["id"] for r in categories})
    _check(path, "image", {row["image_id"] for row in rows}, set(of_image))
    for row in rows:
        of_image[row["image_id"]].append(row)
    if is_panoptic(path) and rows and {len(each) for each in of_image.values()} != {1}:
        raise DataError(f"{path} has not one annotation for each image: fetch it again")
    pictures: dict[str, Picture] = {}
    for row in images:
        name = PurePosixPath(row["file_name"])
        id = str(name.with_suffix("")).replace("/", "-")
        if id in pictures:
            raise DataError(f"{path} lists {pictures[id].name} and {name}, both {id}: rename one")
        pictures[id] = Picture(name, (row["height"], row["width"]), of_image[row["id"]])
    if not pictures:
        raise DataError(f"{path} lists no images: list those of the split")
    return Listing(_labels(path, categories), pictures)


def _rows(path: Path, content: object, name: str, *keys: str) -> list[Row]:
    """A list of the JSON, whose rows have at least these keys."""
    rows = content.get(name) if isinstance(content, dict) else None
    if not isinstance(rows, list):
        raise DataError(f"{path} has no list {name!r}: add it, if empty where labels are private")
    for number, row in enumerate(rows):
        if lacks := [key for key in keys if not isinstance(row, dict) or key not in row]:
            raise DataError(f"{path} has no {', '.join(lacks)} in row {number} of {name}: add it")
    return rows


def _check(path: Path, what: str, used: set[Any], listed: set[Any]) -> None:
    if unknown := used - listed:
        raise DataError(
            f"{path} has annotations of {len(unknown)} unknown {what} ids, such as "
            f"{min(unknown, key=str)}: list them in the file or remove what refers to them"
        )


def _labels(path: Path, categories: list[Row]) -> LabelSet:
    """The label table; what no category covers has the lowest id that none has, mostly 0."""
    panoptic = is_panoptic(path)
    rows = [
        (str(row["name"]).lower() != "background", row["id"], str(row["name"]))
        for row in categories
    ]
    free = next(i for i in count() if i not in {id for _, id, _ in rows})
    if not panoptic and all(foreground for foreground, _, _ in rows):
        rows.append((False, free, "background"))
    try:
        table = [
            Label(operator.index(id), index, name, _colour(index + panoptic))
            for index, (_, id, name) in enumerate(sorted(rows))
        ]
        return LabelSet((*table, *[Label(free, IGNORE, "no segment", (0, 0, 0))] * panoptic))
    except (TypeError, ValueError) as error:
        raise DataError(f"{path} has categories that make no label table: {error}") from None


def _colour(index: int) -> Colour:
    """VOC's sequence (its VOClabelcolormap.m): any two of 254 are 32 grey levels apart or more."""
    bits = [index >> place & 1 for place in range(24)]
    red, green, blue = (sum(bits[3 * i + c] << (7 - i) for i in range(8)) for c in range(3))
    return red, green, blue
