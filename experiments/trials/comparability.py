"""Which results may share a table: those of one recipe, one data set and one protocol."""

from collections.abc import Iterator
from itertools import combinations
from typing import Any

from experiments.trials.results import TrialResult

Record = dict[str, Any]  # as `result.json` holds it

_PARTS = ("recipe", "data", "protocol")
# Fields that make no difference by themselves.
_NO_CAUSE = {"recipe": ("name", "tuned", "tuned_from"), "data": ("warnings", "block")}
_MOST = 4  # fields that a sentence names
_LONG = 60  # characters of a value


def difference(a: Record, b: Record) -> str | None:
    """In what two records differ, so that no table may hold both, or None.

    `lr` and `weight_decay` may be each network's own where one search has chosen them, also beside
    networks that were not tuned. Predictions from elsewhere, of which nobody told the recipe or
    the protocol, may stand beside all whose scored split and precision are the same, as far as
    both tell them.
    """
    for part in _PARTS:
        if _differ(a, b, part):
            x, y = _told([a, b], part)
            texts = [f"{k}: {_brief(x, k)} against {_brief(y, k)}" for k in _unequal([x, y])]
            return f"{part} ({_first(texts) or 'content of the files'})"
    ours, theirs = _search(a), _search(b)
    if ours is not None and theirs is not None and ours != theirs:
        return f"tuning ({search_difference(ours, theirs)})"
    return None


def search_difference(ours: str, theirs: str) -> str:
    """The clauses in which two searches, as `tune.search` words them, are not the same."""
    clauses = zip(ours.split("; "), theirs.split("; "), strict=False)
    return "; ".join(f"{x} against {y}" for x, y in clauses if x != y)


def titles(sets: list[list[Record]]) -> list[str]:
    """What tells sets of results apart, in a few words each."""
    records = [max(some, key=_says) for some in sets]
    differ = [p for p in _PARTS if any(_differ(a, b, p) for a, b in combinations(records, 2))]
    searches = {_search(record) for record in records} - {None}
    heads = [_head(record, differ, tuned=len(searches) > 1) for record in records]
    if len({*heads}) == len(heads):
        return heads
    told = [_told(records, part) for part in differ]
    fields = [{k: v for own in some for k, v in own.items()} for some in zip(*told, strict=True)]
    names = _unequal(fields)
    tails = (_first([f"{name}: {_brief(own, name)}" for name in names]) for own in fields)
    return [f"{head} ({tail})" for head, tail in zip(heads, tails, strict=True)]


def _says(record: Record) -> tuple[bool, bool]:
    """How much a record tells of its set."""
    return _hash(record, "recipe") is not None, _search(record) is not None


def _head(record: Record, differ: list[str], tuned: bool) -> str:
    recipe, protocol = record["recipe"], record.get("protocol", {})
    words = {
        "recipe": f"recipe {recipe['name']}",
        "data": f"{recipe['data']} {recipe['test_split']}",
        "protocol": protocol.get("mode", "protocol unknown"),
    }
    return ", ".join([words[part] for part in differ] + [f"tuned by {_search(record)}"] * tuned)


def _search(record: Record) -> str | None:
    search: str | None = record["recipe"].get("tuned")
    return search


def _hash(record: Record, part: str) -> str | None:
    """Of the recipe, that of the one from which a search set out."""
    tuned = part == "recipe" and _search(record) is not None
    found: str | None = record["untuned"] if tuned else record["hashes"][part]
    return found


def _differ(a: Record, b: Record, part: str) -> bool:
    """By hashes where both have one; else by the scored split, and by the precision."""
    ours, theirs = _hash(a, part), _hash(b, part)
    if None not in (ours, theirs) and ours != theirs:
        return True
    if part == "data" and None in (ours, theirs):
        return bool(_unequal(_told([a, b], part)))
    if part == "protocol" and None in (_hash(a, "recipe"), _hash(b, "recipe")):
        return len({_precision(a), _precision(b)} - {None}) > 1
    return False


def _precision(record: Record) -> str | None:
    """Of an evaluation its own, of a trial the recipe's, of scored label maps unknown."""
    found: str | None = record.get("precision", record["recipe"].get("precision"))
    return found


def _told(records: list[Record], part: str) -> list[dict[str, Any]]:
    """Single values of each; of data of which one has no hash those alone that all tell."""
    fields = [_fields(record, part) for record in records]
    if part == "data" and any(_hash(record, part) is None for record in records):
        shared = set.intersection(*map(set, fields))
        return [{k: v for k, v in own.items() if k in shared} for own in fields]
    return fields


def _fields(record: Record, part: str) -> dict[str, Any]:
    """Single values, by names as `fingerprints.test` and `class_weights[3]`."""
    recipe, skipped = record["recipe"], _NO_CAUSE.get(part, ())
    found = {k: v for k, v in record.get(part, {}).items() if k not in skipped}
    if part == "recipe" and _search(record) is not None:
        found["lr"], found["weight_decay"] = recipe["tuned_from"]
    if part == "data":  # of a failed trial the recipe alone tells it
        found = {"name": recipe.get("data"), "split": recipe.get("test_split"), **found}
    if part == "protocol" and _precision(record) is not None:
        found["precision"] = _precision(record)
    return dict(_leaves(found, ""))


def _leaves(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, f"{name}.{key}" if name else key)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _leaves(inner, f"{name}[{index}]")
    else:
        yield name, value


def _unequal(fields: list[dict[str, Any]]) -> list[str]:
    """Names of the values that are not the same in all."""
    names = dict.fromkeys(name for own in fields for name in own)
    return [n for n in names if any(own.get(n) != fields[0].get(n) for own in fields)]


def _brief(fields: dict[str, Any], name: str) -> str:
    text = repr(fields[name]) if name in fields else "nothing"
    return text if len(text) <= _LONG else f"{text[: _LONG - 3]}..."


def _first(texts: list[str]) -> str:
    more = f"; and {len(texts) - _MOST} more" if len(texts) > _MOST else ""
    return "; ".join(texts[:_MOST]) + more


def check_comparable(results: list[TrialResult]) -> None:
    """Refuse to put rows into one table whose recipe, data or protocol differ.

    Raises:
        ValueError: naming the first two rows that differ, and in which fields.
    """
    for ours, theirs in combinations([result for result in results if result.done], 2):
        differs = difference(ours.record, theirs.record)
        if differs is not None:
            raise ValueError(
                f"{ours.label} and {theirs.label} differ in {differs}: they cannot share a table, "
                "so name a folder of one comparison, or show them apart with --allow-mixed"
            )


def separate(results: list[TrialResult]) -> list[list[TrialResult]]:
    """Results in sets of which each may be a table, in the order of first appearance."""
    sets: list[list[TrialResult]] = []
    for result in results:
        for fits in sets:
            if not any(difference(other.record, result.record) for other in fits):
                fits.append(result)
                break
        else:
            sets.append([result])
    return sets
