"""The table of a user's own labels, and masks that hold its ids or are painted in its colours.

Masks hold ids (one channel of 1, 8 or 16 bits; a palette is not applied) or are painted in the
colours of `labels.csv` (three channels, which a WebP always has). Classes are its rows that are
not ignored, in its order. Its columns are `id` (0 to 65535; the number of the row, from 0, if left
out because masks are painted), `name`, `colour` (#80ff00 or 128 255 0) and `ignore` (1, yes or
true). An id 255 that it does not list is ignored.
"""

import csv
from collections import Counter
from collections.abc import Collection, Sequence
from functools import cache
from itertools import count
from pathlib import Path
from typing import NamedTuple

import numpy as np

from datamodules.image_files import Sample, apply_palette, read_labels
from datamodules.labels import (
    IGNORE,
    MAX_CLASSES,
    Colour,
    DataError,
    Ids,
    Label,
    LabelSet,
    RawLabels,
)
from datamodules.palettes import differing, speaks

Value = tuple[int, ...]  # an id, or the three parts of a colour


class LabelTable(NamedTuple):
    """What labels.csv says of masks."""

    labels: LabelSet
    painted: LabelSet | None
    """The part of it that masks may be painted in, if any."""
    by_colour: bool
    """Whether labels have no ids but their colours, which a palette's then name."""


def read_table(path: Path) -> LabelTable:
    """The label table.

    Raises:
        DataError: no table, or one that cannot be used.
    """
    if not path.is_file():
        raise DataError(
            f"no labels.csv at {path.parent.absolute()}, a table of the columns id, name and, if "
            "wanted, colour and ignore: python -m experiments.data labels folder "
            f"--data-root {path.parent} drafts it"
        )
    table = read_csv(path, ["name"], ["id", "colour", "ignore"])
    if not table[0].keys() & {"id", "colour"}:
        raise DataError(f"{path} has neither id nor colour: add the column that masks hold")
    coloured, index, rows = "colour" in table[0], count(), []
    for number, row in enumerate(table):
        train_id = IGNORE if _flag(path, row.get("ignore", "")) else next(index)
        colour = _colour(path, row["colour"]) if coloured else _colours().get(train_id, (0, 0, 0))
        rows.append(Label(_id(path, row.get("id", str(number))), train_id, row["name"], colour))
    num_classes = next(index)
    if not 0 < num_classes <= MAX_CLASSES:
        raise DataError(
            f"{path} has {num_classes} classes that are not ignored: 1 to {MAX_CLASSES} can be "
            "trained, so add rows or leave some out"
        )
    for column in [column for column in table[0] if column != "ignore"]:
        check_once(path, column, [str(getattr(row, column)) for row in rows])
    painted = LabelSet(tuple(rows)) if coloured else None
    if all(row.id != IGNORE for row in rows):
        rows.append(Label(IGNORE, IGNORE, "ignore", (0, 0, 0)))
    labels = LabelSet(tuple(rows), painted.colour_rows if painted else ())
    return LabelTable(labels, painted, by_colour="id" not in table[0])


def read_csv(path: Path, needed: list[str], optional: Sequence[str] = ()) -> list[dict[str, str]]:
    """The rows of a CSV file, separated by , or ; as spreadsheets do, blanks around values cut."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        separator = ";" if ";" in text.partition("\n")[0] else ","
        lines = csv.reader(text.split("\n"), delimiter=separator)
        cells = [[cell.strip() for cell in row] for row in lines]
    except UnicodeDecodeError:
        raise DataError(f"{path} is not UTF-8: save it as 'CSV UTF-8'") from None
    except csv.Error as error:
        raise DataError(f"{path} is no table ({error}): save it as 'CSV UTF-8'") from None
    header, *rows = [row for row in cells if any(row)] or [[""]]
    header = [name.lower().replace("color", "colour") for name in header]
    if not {*needed} <= {*header} <= {*needed, *optional} or len({*header}) < len(header):
        also = f" and may have {', '.join(optional)}" if optional else ""
        raise DataError(
            f"{path} has the columns {', '.join(header)}: it has to have {', '.join(needed)}{also}"
            ", each once, so mend its first line"
        )
    for row in rows:
        row += [""] * (len(header) - len(row))
        if len(row) > len(header) or not all(row[header.index(name)] for name in needed):
            raise DataError(
                f"{path} has {separator.join(row)!r} for the columns {separator.join(header)!r}: "
                f"fill in {', '.join(needed)} and quote a value that holds a {separator!r}"
            )
    if not rows:
        raise DataError(f"{path} has no rows: add one for each {header[0]}")
    return [dict(zip(header, row, strict=True)) for row in rows]


def check_once(path: Path, column: str, values: Sequence[str]) -> None:
    value, times = Counter(values).most_common(1)[0]
    if times > 1:
        raise DataError(f"{path} has the {column} {value} in {times} rows: leave it in one of them")


def _id(path: Path, text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise DataError(f"{path} has the id {text!r}: it has to be a whole number, 0 to 65535")
    return int(text)


def _flag(path: Path, text: str) -> bool:
    if text.lower() not in ("1", "yes", "true", "", "0", "no", "false"):
        raise DataError(f"{path} has {text!r} for ignore: write yes, or nothing where it is scored")
    return text.lower() in ("1", "yes", "true")


def _colour(path: Path, text: str) -> Colour:
    try:
        hexadecimal = text.startswith("#")
        r, g, b = bytes.fromhex(text[1:]) if hexadecimal else bytes(map(int, text.split()))
    except ValueError:
        raise DataError(f"{path} has the colour {text!r}: write #80ff00 or 128 255 0") from None
    return r, g, b


@cache
def _colours() -> dict[int, Colour]:
    """A colour for each class, as far as there is from those before it, black and white."""
    steps = np.arange(7) * 255 // 6
    grid = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(-1, 3)
    weights = np.array([3, 4, 2])  # of red, green, blue: 20 colours lie 28 apart in CIE Lab
    away = np.minimum(grid**2 @ weights, (grid - 255) ** 2 @ weights)
    colours = {}
    for index in range(MAX_CLASSES):
        chosen = grid[away.argmax()]
        colours[index] = (int(chosen[0]), int(chosen[1]), int(chosen[2]))
        away = np.minimum(away, (grid - chosen) ** 2 @ weights)
    return colours


def read_mask(sample: Sample, table: LabelTable) -> RawLabels:
    """The ids (H, W) of a mask, which may be painted, or indexed by the colours of its palette.

    Raises:
        DataError: a mask that cannot be read, is transparent or holds no labels.
    """
    assert sample.mask is not None
    pixels, palette = _pixels(sample.mask)
    painted = table.painted
    if painted and table.by_colour and speaks(palette, painted.colour_rows):
        pixels = apply_palette(pixels, palette)
    if pixels.ndim == 2:
        return RawLabels(pixels, sample.mask, palette)
    if painted is None:
        raise DataError(
            f"{sample.mask} is painted in colours, and labels.csv has none: add a column colour"
        )
    return painted.from_colours(pixels.astype(np.uint8, copy=False), sample.mask)


def _pixels(path: Path) -> tuple[Ids, bytes]:
    """Ids (H, W) or colours (H, W, 3), and the palette of ids."""
    pixels, palette = read_labels(path)
    if pixels.ndim == 3 and pixels.shape[2] in (2, 4):
        if (pixels[..., -1] != 255).any():
            raise DataError(f"{path} is transparent in parts: save the mask without alpha")
        pixels = pixels[..., 0] if pixels.shape[2] == 2 else pixels[..., :3]
    if pixels.dtype.kind != "u":
        raise DataError(f"{path} has values of type {pixels.dtype}: save ids of 8 or 16 bits")
    return pixels, palette


class MaskValues(NamedTuple):
    """The ids or colours that occur in a mask, and the palette of ids, if it says anything."""

    values: frozenset[Value]
    palette: bytes

    def colours(self) -> dict[Value, Value]:
        """What its palette paints each id in."""
        wide = self.palette.ljust(768, b"\0")
        return {id: tuple(wide[3 * id[0] : 3 * id[0] + 3]) for id in self.values}


def values_of(path: Path) -> MaskValues:
    """What occurs in a mask."""
    pixels, palette = _pixels(path)
    if pixels.ndim == 3:
        packed = np.unique(pixels.astype(np.int32) @ np.array([65536, 256, 1], np.int32)).tolist()
        return MaskValues(frozenset((v >> 16, v >> 8 & 255, v & 255) for v in packed), b"")
    found = MaskValues(frozenset((value,) for value in np.unique(pixels).tolist()), palette)
    colours = found.colours()
    ramp = all(colour == 3 * id for id, colour in colours.items())
    distinct = len({*colours.values()}) == len(colours)
    return found if distinct and not ramp else MaskValues(found.values, b"")


def draft_rows(masks: Collection[MaskValues], folder: Path) -> list[str]:
    """The lines of a `labels.csv` for what masks hold, with names to be filled in.

    Of indexed masks it has the colours of their palettes, and no ids where these differ between
    files. 255 is ignored, unless 0 is the only other value: black and white masks have two classes.

    Raises:
        DataError: ids in some and colours in others, or more of them than classes can be.
    """
    indexed = [mask for mask in masks if mask.palette]
    own = differing([(m.palette, tuple(v[0] for v in sorted(m.values))) for m in indexed])
    values: set[Value] = set()
    for mask in masks:
        by_colour = mask.palette and own is not None
        values |= {*mask.colours().values()} if by_colour else mask.values
    if len({len(value) for value in values}) > 1:
        raise DataError(f"{folder} has ids and colours: save all masks alike")
    ignored = {(IGNORE,)} if values != {(0,), (IGNORE,)} else set[Value]()
    named = {id: colour for mask in indexed for id, colour in mask.colours().items()}
    lines = ["id,name,colour,ignore"]
    for index, value in enumerate(sorted(values - ignored)):
        number, colour = (index, value) if len(value) == 3 else (value[0], _colours()[index])
        lines.append(f"{number},class {index},#{bytes(named.get(value, colour)).hex()},")
    lines += [f"{IGNORE},ignore,#000000,yes"] if ignored & values else []
    return lines if own is None else [line.partition(",")[2] for line in lines]
