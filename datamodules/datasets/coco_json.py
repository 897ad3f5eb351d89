"""COCO's JSON: what it lists, checked, and the label table that its categories make.

Tools write numbers as text or as 48.0, and file names with backslashes; both are read as meant.
"""

import os
from collections import Counter
from collections.abc import Sequence
from functools import cache
from itertools import count
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from datamodules.file_names import file_id, one_form
from datamodules.image_files import check_regular
from datamodules.json_file import DamagedError, read_json
from datamodules.labels import IGNORE, Colour, DataError, Label, LabelSet

Row = dict[str, Any]
Id = int | str

_MOST_PIXELS = 1 << 28  # of an image; beyond it, a size is a slip


class Annotation(NamedTuple):
    """An object, or a panoptic segment, which has no shape of its own."""

    id: Id
    category: int
    shape: object
    """Polygons or run lengths, not looked at yet."""
    crowd: bool


class Picture(NamedTuple):
    """An image that a JSON lists, with its annotations."""

    name: PurePosixPath
    size: tuple[int, int]  # height, width
    annotations: list[Annotation]
    png: PurePosixPath | None  # of its panoptic segments


class Listing(NamedTuple):
    """What is used of a JSON; pictures in its order, by the id of their sample."""

    labels: LabelSet
    pictures: dict[str, Picture]
    notes: list[str]
    """What was found out of it."""


def is_panoptic(path: Path) -> bool:
    return path.name.startswith("panoptic_")


def read_listing(path: Path) -> Listing:
    """What a JSON says, parsed once a process; COCO's training set takes some 15 s and 3 GB."""
    check_regular(path)
    try:
        stat = path.stat()
        return _parse(path, stat.st_size, stat.st_mtime_ns)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}): fetch it again") from None
    except DamagedError as error:
        raise DataError(str(error)) from None


@cache
def _parse(path: Path, size: int, changed: int) -> Listing:
    content = read_json(path, "fetch it again")
    categories = _rows(path, content, "categories", "id", "name")
    images = _rows(path, content, "images", "id", "file_name", "height", "width")
    of_image: dict[Id, list[Annotation]] = {_id(row, "id"): [] for row in images}
    if len(of_image) != len(images):
        raise DataError(f"{path} lists images of the same id: number them anew")
    pngs = (_segments if is_panoptic(path) else _objects)(path, content, of_image)
    _check(path, "category", {a.category for each in of_image.values() for a in each}, categories)
    pictures: dict[str, Picture] = {}
    for row in images:
        name, key = _name(row, "file_name"), _id(row, "id")
        id = file_id(str(name.with_suffix("")))
        if id in pictures:
            raise DataError(f"{path} lists {pictures[id].name} and {name}, both {id}: rename one")
        pictures[id] = Picture(name, _size(row), of_image[key], pngs.get(key))
    if not pictures:
        raise DataError(f"{path} lists no images: list those of the split")
    return Listing(*_labels(path, categories, pictures))


class _Row:
    """A row of a list, which is named in what is said of it."""

    __slots__ = ("number", "path", "table", "values")

    def __init__(self, path: Path, table: str, number: int, values: Row) -> None:
        self.path, self.table, self.number, self.values = path, table, number, values

    def error(self, key: str, needed: str) -> DataError:
        value = repr(self.values[key])
        shown = value if len(value) < 60 else f"{value[:60]}..."
        return DataError(
            f"{self.path} has {shown} for {key} in row {self.number} of {self.table}: {needed}"
        )


def _rows(path: Path, content: object, name: str, *keys: str, of: str = "") -> list[_Row]:
    """A list of the JSON, whose rows have at least these keys."""
    rows = content.get(name) if isinstance(content, dict) else None
    table = f"{name}{of}"
    if not isinstance(rows, list):
        raise DataError(
            f"{path} has no list {name!r}{of}: add it, if empty where labels are private, or move "
            "the file away if it is of something else"
        )
    for number, row in enumerate(rows):
        if lacks := [key for key in keys if not isinstance(row, dict) or key not in row]:
            raise DataError(f"{path} has no {', '.join(lacks)} in row {number} of {table}: add it")
    return [_Row(path, table, number, row) for number, row in enumerate(rows)]


def _id(row: _Row, key: str) -> Id:
    """A whole number, also of 48.0 or "48", or a text, as some tools number images."""
    value = row.values[key]
    if type(value) is int:
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and value:
        number = value.removesuffix(".0")
        plain = len(number) < 20 and number.isdecimal() and str(int(number)) == number
        return int(number) if plain else value
    raise row.error(key, "write a whole number")


def _whole(row: _Row, key: str) -> int:
    value = _id(row, key)
    if isinstance(value, str):
        raise row.error(key, "write a whole number")
    return value


def _size(row: _Row) -> tuple[int, int]:
    height, width = _whole(row, "height"), _whole(row, "width")
    for key, value in (("height", height), ("width", width)):
        if not 0 < value * max(1, min(height, width)) <= _MOST_PIXELS:
            raise row.error(key, "write the image's own, in pixels")
    return height, width


def _name(row: _Row, key: str) -> PurePosixPath:
    """The path of a file, without `.` and with slashes."""
    value = row.values[key]
    path = value.replace("\\", "/") if isinstance(value, str) else ""
    name = PurePosixPath(os.path.normpath(path)) if path else PurePosixPath()
    if not name.name or name.name == ".." or "\0" in path or path.endswith("/"):
        raise row.error(key, "write the name of the file")
    return name


def _crowd(row: _Row) -> bool:
    value = row.values.get("iscrowd")
    if value in (None, 0, 1, "0", "1"):
        return value in (1, "1")
    raise row.error("iscrowd", "write 0 or 1")


def _objects(
    path: Path, content: object, of_image: dict[Id, list[Annotation]]
) -> dict[Id, PurePosixPath]:
    """Add the objects of each image."""
    keys = ("id", "image_id", "category_id", "segmentation")
    rows = _rows(path, content, "annotations", *keys)
    _check(path, "image", {_id(row, "image_id") for row in rows}, of_image)
    for row in rows:
        shape, category = row.values["segmentation"], _whole(row, "category_id")
        one = Annotation(_id(row, "id"), category, shape, _crowd(row))
        of_image[_id(row, "image_id")].append(one)
    return {}


def _segments(
    path: Path, content: object, of_image: dict[Id, list[Annotation]]
) -> dict[Id, PurePosixPath]:
    """Add the segments of each image, and return its PNG."""
    rows = _rows(path, content, "annotations", "image_id", "file_name", "segments_info")
    _check(path, "image", {_id(row, "image_id") for row in rows}, of_image)
    pngs = {_id(row, "image_id"): _name(row, "file_name") for row in rows}
    if rows and not len(rows) == len(pngs) == len(of_image):
        raise DataError(f"{path} has not one annotation for each image: fetch it again")
    for row in rows:
        of = f" of row {row.number} of annotations"
        parts = _rows(path, row.values, "segments_info", "id", "category_id", of=of)
        of_image[_id(row, "image_id")] += [
            Annotation(_whole(part, "id"), _whole(part, "category_id"), None, False)
            for part in parts
        ]
    return pngs


def _check(path: Path, what: str, used: set[Any], listed: Sequence[_Row] | dict[Id, Any]) -> None:
    ids = listed.keys() if isinstance(listed, dict) else {_whole(row, "id") for row in listed}
    if unknown := used - ids:
        raise DataError(
            f"{path} has annotations of {len(unknown)} unknown {what} ids, such as "
            f"{min(unknown, key=str)}: list them in the file or remove what refers to them"
        )


def _labels(
    path: Path, categories: list[_Row], pictures: dict[str, Picture]
) -> tuple[LabelSet, dict[str, Picture], list[str]]:
    """The label table; what no category covers has the lowest id that none has, mostly 0."""
    panoptic = is_panoptic(path)
    names = [(_whole(row, "id"), _text(row, "name")) for row in categories]
    names, notes = _told_apart(names)
    rows = [(name.lower() != "background", id, name) for id, name in names]
    free = next(i for i in count() if i not in {id for _, id, _ in rows})
    if not panoptic and all(foreground for foreground, _, _ in rows):
        rows.append((False, free, "background"))
    try:
        table = [
            Label(id, index, name, _colour(index + panoptic))
            for index, (_, id, name) in enumerate(sorted(rows))
        ]
        labels = LabelSet((*table, *[Label(free, IGNORE, "no segment", (0, 0, 0))] * panoptic))
    except ValueError as error:
        raise DataError(f"{path} has categories that make no label table: {error}") from None
    return labels, pictures, notes


def _text(row: _Row, key: str) -> str:
    value = row.values[key]
    if isinstance(value, bool) or not isinstance(value, str | int) or not str(value).strip():
        raise row.error(key, "write a name")
    return one_form(str(value))


def _told_apart(names: list[tuple[int, str]]) -> tuple[list[tuple[int, str]], list[str]]:
    """Names that are distinct, as Roboflow's first category, which has no objects, may be named
    as another is."""
    times = Counter(name.strip() for _, name in names)
    twice = [name for name, number in times.items() if number > 1]
    told = [(id, f"{name} ({id})" if name.strip() in twice else name) for id, name in names]
    shown = ", ".join(f"{times[name]} {name}" for name in twice)
    note = f"categories of one name ({shown}) are told apart by their ids"
    return told, [note] * bool(twice)


def _colour(index: int) -> Colour:
    """VOC's sequence (its VOClabelcolormap.m): any two of 254 are 32 grey levels apart or more."""
    bits = [index >> place & 1 for place in range(24)]
    red, green, blue = (sum(bits[3 * i + c] << (7 - i) for i in range(8)) for c in range(3))
    return red, green, blue
