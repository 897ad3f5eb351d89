"""What the palette of an indexed image says of its indices, held against a table's colours.

Optimisers, editors and converters number the colours of an indexed image as they like, so that an
index need not be the id that a label table gives it. Where a palette is in the table's colours it
tells which label is meant; a grey ramp, one colour everywhere or colours of a viewer tell nothing.
"""

from collections.abc import Collection, Mapping
from functools import lru_cache

import numpy as np

Rows = tuple[tuple[int, tuple[int, int, int]], ...]  # ids with their colours, RGB
Named = Mapping[int, int | None]

_NEAR = 8  # of 255, in each channel: what colour management and quantising move a colour by


def is_plain(palette: bytes) -> bool:
    """Whether a palette is what programs write where nobody chose colours: one, or a grey ramp."""
    size = len(palette) // 3
    ramp = bytes(value for value in range(size) for _ in range(3))
    return palette in (ramp, palette[:3] * size) and size > 1


@lru_cache(maxsize=256)  # most files of a data set share a palette
def _named(palette: bytes, rows: Rows) -> Named:
    """The id whose colour each index has, or None; an index that has its own id's names that.

    Empty where the palette is of other things than the table: most of its distinct colours, at the
    table's ids, are in no row, or there is but one.
    """
    if not palette or not rows:
        return {}
    entries = np.frombuffer(palette, np.uint8).reshape(-1, 3).astype(int)
    ids, colours = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    away = np.abs(entries[:, None] - colours).max(-1)  # (indices, rows)
    named: dict[int, int | None] = {}
    for index, distances in enumerate(away):
        near = ids[distances <= _NEAR]
        nearest = int(ids[distances.argmin()]) if near.size else None
        named[index] = index if index in near else nearest
    at_ids = [id for id in ids.tolist() if id < len(entries)]
    distinct = {tuple(entries[id]) for id in at_ids}
    labels = {named[id] for id in at_ids} - {None}
    return {} if is_plain(palette) or 2 * len(labels) <= len(distinct) else named


def speaks(palette: bytes, rows: Rows) -> bool:
    """Whether a palette is in the colours of a table."""
    return bool(_named(palette, rows))


@lru_cache(maxsize=256)
def agrees(palette: bytes, rows: Rows) -> bool:
    """Whether a palette gives no id of a table another label's colour."""
    named = _named(palette, rows)
    return all(named.get(id) in (None, id) for id, _ in rows)


def contradiction(palette: bytes, rows: Rows, values: Collection[int]) -> tuple[int, int] | None:
    """An index that a palette paints in the colour of another label, and the id of that label.

    Args:
        palette: RGB of each index, in order; empty without.
        values: the indices that occur. Most of them need to have a label's colour, each another's.
    """
    if agrees(palette, rows):
        return None
    named = _named(palette, rows)
    meant = {value: named.get(value) for value in sorted(values)}
    known = [id for id in meant.values() if id is not None]
    if len({*known}) < len(known) or 2 * len(known) <= len(meant):
        return None
    return next(((value, id) for value, id in meant.items() if id not in (None, value)), None)


def meanings(palette: bytes, rows: Rows, values: Collection[int]) -> dict[int, int] | None:
    """The id that each index names by its colour; None unless all do and no two rows share one."""
    named = _named(palette, rows)
    colours = [colour for _, colour in rows]
    unique = {id for id, colour in rows if colours.count(colour) == 1}
    meant = {value: id for value in values if (id := named.get(value)) in unique}
    return meant if len(meant) == len(values) else None


def differing(palettes: Collection[tuple[bytes, Collection[int]]]) -> int | None:
    """The first index whose colour is not the same in all files in which it occurs.

    Args:
        palettes: of each file, with the indices that occur.
    """
    colours: dict[int, set[bytes]] = {}
    for palette, values in set(palettes):
        for value in values:
            colours.setdefault(value, set()).add(palette[3 * value : 3 * value + 3])
    return min((value for value, seen in colours.items() if len(seen) > 1), default=None)
