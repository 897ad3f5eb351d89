"""Which results may share a table: those of one recipe, one data set and one protocol."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import combinations
from typing import Literal, TypeVar

from experiments.trials.result_types import FinishedTrial, TrialResult
from experiments.trials.tuning_budget import TuningBudget

Part = Literal["recipe", "data", "protocol"]
Leaves = dict[str, object]
R = TypeVar("R", bound=TrialResult)

_PARTS: tuple[Part, ...] = ("recipe", "data", "protocol")
_MOST = 4  # fields that a sentence names
_LONG = 60  # characters of a value


def difference(a: TrialResult, b: TrialResult) -> str | None:
    """In what two results differ, so that no table may hold both, or None.

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
    ours, theirs = _tuning(a), _tuning(b)
    if ours is not None and theirs is not None and ours != theirs:
        return f"tuning ({ours.difference(theirs)})"
    return None


def check_comparable(results: Sequence[TrialResult]) -> None:
    """Refuse to put rows into one table whose recipe, data or protocol differ.

    Raises:
        ValueError: naming the first two rows that differ, and in which fields.
    """
    for ours, theirs in combinations([result for result in results if result.done], 2):
        differs = difference(ours, theirs)
        if differs is not None:
            raise ValueError(
                f"{ours.label} and {theirs.label} differ in {differs}: they cannot share a table, "
                "so name a folder of one comparison, or show them apart with --allow-mixed"
            )


def separate(results: Sequence[R]) -> list[list[R]]:
    """Results in sets of which each may be a table, in the order of first appearance."""
    sets: list[list[R]] = []
    for result in results:
        for fits in sets:
            if not any(difference(other, result) for other in fits):
                fits.append(result)
                break
        else:
            sets.append([result])
    return sets


def titles(sets: Sequence[Sequence[TrialResult]]) -> list[str]:
    """What tells sets of results apart, in a few words each."""
    first = [max(some, key=_tells) for some in sets]
    differ = [p for p in _PARTS if any(_differ(a, b, p) for a, b in combinations(first, 2))]
    searches = {_tuning(result) for result in first} - {None}
    heads = [_head(result, differ, tuned=len(searches) > 1) for result in first]
    if len({*heads}) == len(heads):
        return heads
    told = [_told(first, part) for part in differ]
    values = [dict(merged) for merged in _merged(told)]
    names = _unequal(values)
    tails = (_first([f"{name}: {_brief(own, name)}" for name in names]) for own in values)
    return [f"{head} ({tail})" for head, tail in zip(heads, tails, strict=True)]


def _merged(told: list[list[Leaves]]) -> Iterator[list[tuple[str, object]]]:
    """Of each result the values of all parts."""
    for some in zip(*told, strict=True):
        yield [item for own in some for item in own.items()]


def _tells(result: TrialResult) -> tuple[bool, bool]:
    """How much a result tells of its set."""
    return _hash(result, "recipe") is not None, _tuning(result) is not None


def _head(result: TrialResult, differ: list[Part], tuned: bool) -> str:
    words = {
        "recipe": f"recipe {result.recipe.name if result.recipe else 'unknown'}",
        "data": f"{result.data_name} {result.protocol.split}",
        "protocol": result.protocol.mode,
    }
    return ", ".join([words[part] for part in differ] + [f"tuned by {_tuning(result)}"] * tuned)


def _tuning(result: TrialResult) -> TuningBudget | None:
    return result.recipe.tuning if result.recipe else None


def _hash(result: TrialResult, part: Part) -> str | None:
    """Of the recipe, that of the one from which a search set out."""
    if part == "recipe" and result.recipe is not None and result.recipe.tuning is not None:
        return result.recipe.untuned().hash()
    found: str | None = getattr(result.hashes, part)
    return found


def _differ(a: TrialResult, b: TrialResult, part: Part) -> bool:
    """By hashes where both have one; else by the scored split, and by the precision."""
    ours, theirs = _hash(a, part), _hash(b, part)
    if None not in (ours, theirs) and ours != theirs:
        return True
    if part == "data" and None in (ours, theirs):
        return bool(_unequal(_told([a, b], part)))
    if part == "protocol" and None in (_hash(a, "recipe"), _hash(b, "recipe")):
        return len({_precision(a), _precision(b)} - {None}) > 1
    return False


def _precision(result: TrialResult) -> str | None:
    """Of an evaluation its own, of a trial the recipe's, of scored label maps unknown."""
    own = result.precision if isinstance(result, FinishedTrial) else None
    return own or (result.recipe.precision if result.recipe else None)


def _told(results: Sequence[TrialResult], part: Part) -> list[Leaves]:
    """Single values of each; of data of which one has no hash those alone that all tell."""
    values = [dict(_leaves(_values(result, part), "")) for result in results]
    if part == "data" and any(_hash(result, part) is None for result in results):
        shared = set.intersection(*map(set, values))
        return [{k: v for k, v in own.items() if k in shared} for own in values]
    return values


def _values(result: TrialResult, part: Part) -> Mapping[str, object]:
    """What may make a difference by itself."""
    if part == "recipe":
        recipe = asdict(result.recipe.untuned()) if result.recipe else {}
        return {k: v for k, v in recipe.items() if k not in ("name", "tuning")}
    if part == "data":  # of a failed trial the recipe alone tells it
        told = {"name": result.data_name, "split": result.protocol.split}
        if isinstance(result, FinishedTrial):
            told |= result.data.model_dump(exclude={"warnings", "block"})
        return told
    precision = _precision(result)
    told = {"split": result.protocol.split, **result.protocol.describe()}
    return told | ({"precision": precision} if precision else {})


def _leaves(value: object, name: str) -> Iterator[tuple[str, object]]:
    """Single values, by names as `fingerprints.test` and `class_weights[3]`."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, f"{name}.{key}" if name else key)
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _leaves(inner, f"{name}[{index}]")
    else:
        yield name, value


def _unequal(values: list[Leaves]) -> list[str]:
    """Names of the values that are not the same in all."""
    names = dict.fromkeys(name for own in values for name in own)
    return [n for n in names if any(own.get(n) != values[0].get(n) for own in values)]


def _brief(values: Leaves, name: str) -> str:
    text = repr(values[name]) if name in values else "nothing"
    return text if len(text) <= _LONG else f"{text[: _LONG - 3]}..."


def _first(texts: list[str]) -> str:
    more = f"; and {len(texts) - _MOST} more" if len(texts) > _MOST else ""
    return "; ".join(texts[:_MOST]) + more
