"""COCO's JSON: what it lists, checked, and the label table that its categories make.

Tools write numbers as text or as 48.0, and file names with backslashes; both are read as meant.
"""

import os
from collections import Counter
from collections.abc import Iterable
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
    of_image: dict[Id, list[Annotation]] = {_id(images, row, "id"): [] for row in images.rows}
    if len(of_image) != len(images.rows):
        raise DataError(f"{path} lists images of the same id: number them anew")
    ids = [_whole(categories, row, "id") for row in categories.rows]
    pngs = (_segments if is_panoptic(path) else _objects)(path, content, of_image)
    _check(path, "category", {a.category for each in of_image.values() for a in each}, ids)
    pictures: dict[str, Picture] = {}
    for row in images.rows:
        name, key = _name(images, row, "file_name"), _id(images, row, "id")
        id = file_id(str(name.with_suffix("")))
        if id in pictures:
            raise DataError(f"{path} lists {pictures[id].name} and {name}, both {id}: rename one")
        pictures[id] = Picture(name, _size(images, row), of_image[key], pngs.get(key))
    if not pictures:
        raise DataError(f"{path} lists no images: list those of the split")
    return Listing(*_labels(path, categories, pictures))


class _Table(NamedTuple):
    """A list of the JSON; it is named, with the row and the key, in what is said of a value."""

    path: Path
    name: str
    rows: list[Row]

    def error(self, row: Row, key: str, needed: str) -> DataError:
        number = next(number for number, other in enumerate(self.rows) if other is row)
        value = repr(row[key])
        shown = value if len(value) < 60 else f"{value[:60]}..."
        return DataError(
            f"{self.path} has {shown} for {key} in row {number} of {self.name}: {needed}"
        )


def _rows(path: Path, content: object, name: str, *keys: str, of: str = "") -> _Table:
    """A list of the JSON, whose rows have at least these keys."""
    rows = content.get(name) if isinstance(content, dict) else None
    table = f"{name}{of}"
    if not isinstance(rows, list):
        raise DataError(
            f"{path} has no list {name!r}{of}: add it, if empty where labels are private, or move "
            "the file away if it is of something else"
        )
    needed = {*keys}
    for number, row in enumerate(rows):
        if not isinstance(row, dict) or not needed <= row.keys():
            lacks = [key for key in keys if not isinstance(row, dict) or key not in row]
            raise DataError(f"{path} has no {', '.join(lacks)} in row {number} of {table}: add it")
    return _Table(path, table, rows)


def _id(table: _Table, row: Row, key: str) -> Id:
    """A whole number, also of 48.0 or "48", or a text, as some tools number images."""
    value = row[key]
    if type(value) is int:
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and value:
        number = value.removesuffix(".0")
        plain = len(number) < 20 and number.isdecimal() and str(int(number)) == number
        return int(number) if plain else value
    raise table.error(row, key, "write a whole number")


def _whole(table: _Table, row: Row, key: str) -> int:
    value = row[key]
    value = value if type(value) is int else _id(table, row, key)
    if isinstance(value, str):
        raise table.error(row, key, "write a whole number")
    return value


def _size(table: _Table, row: Row) -> tuple[int, int]:
    height, width = _whole(table, row, "height"), _whole(table, row, "width")
    for key, value in (("height", height), ("width", width)):
        if not 0 < value * max(1, min(height, width)) <= _MOST_PIXELS:
            raise table.error(row, key, "write the image's own, in pixels")
    return height, width


def _name(table: _Table, row: Row, key: str) -> PurePosixPath:
    """The path of a file, without `.` and with slashes."""
    value = row[key]
    path = value.replace("\\", "/") if isinstance(value, str) else ""
    name = PurePosixPath(os.path.normpath(path)) if path else PurePosixPath()
    if not name.name or name.name == ".." or "\0" in path or path.endswith("/"):
        raise table.error(row, key, "write the name of the file")
    return name


def _crowd(table: _Table, row: Row) -> bool:
    value = row.get("iscrowd", 0)
    if type(value) is int and 0 <= value <= 1:  # as nearly always
        return value == 1
    if value in (None, 0, 1, "0", "1"):
        return value in (1, "1")
    raise table.error(row, "iscrowd", "write 0 or 1")


def _objects(
    path: Path, content: object, of_image: dict[Id, list[Annotation]]
) -> dict[Id, PurePosixPath]:
    """Add the objects of each image."""
    keys = ("id", "image_id", "category_id", "segmentation")
    table = _rows(path, content, "annotations", *keys)
    images = [_id(table, row, "image_id") for row in table.rows]
    _check(path, "image", set(images), of_image)
    for image, row in zip(images, table.rows, strict=True):
        shape, category = row["segmentation"], _whole(table, row, "category_id")
        one = Annotation(_id(table, row, "id"), category, shape, _crowd(table, row))
        of_image[image].append(one)
    return {}


def _segments(
    path: Path, content: object, of_image: dict[Id, list[Annotation]]
) -> dict[Id, PurePosixPath]:
    """Add the segments of each image, and return its PNG."""
    table = _rows(path, content, "annotations", "image_id", "file_name", "segments_info")
    pngs = {_id(table, row, "image_id"): _name(table, row, "file_name") for row in table.rows}
    _check(path, "image", set(pngs), of_image)
    if pngs and not len(table.rows) == len(pngs) == len(of_image):
        raise DataError(f"{path} has not one annotation for each image: fetch it again")
    for number, row in enumerate(table.rows):
        of = f" of row {number} of annotations"
        parts = _rows(path, row, "segments_info", "id", "category_id", of=of)
        of_image[_id(table, row, "image_id")] += [
            Annotation(_whole(parts, part, "id"), _whole(parts, part, "category_id"), None, False)
            for part in parts.rows
        ]
    return pngs


def _check(path: Path, what: str, used: set[Any], listed: Iterable[Id]) -> None:
    if unknown := used - set(listed):
        raise DataError(
            f"{path} has annotations of {len(unknown)} unknown {what} ids, such as "
            f"{min(unknown, key=str)}: list them in the file or remove what refers to them"
        )


def _labels(
    path: Path, categories: _Table, pictures: dict[str, Picture]
) -> tuple[LabelSet, dict[str, Picture], list[str]]:
    """The label table; what no category covers has the lowest id that none has, mostly 0."""
    panoptic = is_panoptic(path)
    names, notes = _told_apart(
        [(_whole(categories, row, "id"), _text(categories, row, "name")) for row in categories.rows]
    )
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


def _text(table: _Table, row: Row, key: str) -> str:
    value = row[key]
    if isinstance(value, bool) or not isinstance(value, str | int) or not str(value).strip():
        raise table.error(row, key, "write a name")
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
