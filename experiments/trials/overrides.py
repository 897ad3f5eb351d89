"""A recipe as the command line asks for it: by name or file, with `--set` and `--data` applied."""

import dataclasses
import types
from collections.abc import Sequence
from typing import Any, Union, get_args, get_origin

from datamodules import dataset_info
from experiments.recipes import RECIPES
from experiments.trials.own_code import files_hash, load_function
from experiments.trials.recipe import Recipe, RecipeRequest
from models.registry import nearest

# Of the fields that `--set` changes: a name follows from them, a tuning from a search, and a hash
# of one's own code from its files.
_FOUND = ("name", "tuning", "own_code")
_TYPES = {f.name: f.type for f in dataclasses.fields(Recipe) if f.name not in _FOUND}

Value = bool | int | float | str | None | tuple[int, ...] | tuple[float, ...]


def known_recipes() -> dict[str, str]:
    """Recipes by name, with the first line of what they say of themselves."""
    return {name: (function.__doc__ or "").partition("\n")[0] for name, function in RECIPES.items()}


def load(request: RecipeRequest) -> Recipe:
    """The recipe that is asked for, by name or as `file.py:function`, with what is changed of it.

    Raises:
        ValueError: an unknown recipe, file, function or field, or a value that does not fit.
    """
    text, data = request.recipe, request.data
    if text in RECIPES:
        recipe = RECIPES[text]()
    elif ".py:" in text:
        recipe = _from_file(text)
    else:
        raise ValueError(f"unknown recipe {text!r}; {nearest(text, RECIPES)}; or file.py:function")
    values = _parsed(request.overrides)
    if data is not None and data != recipe.data:
        values = {**_of_data(recipe, data), **values, "data": data}
    if values:
        name = "+".join([recipe.name, *(f"{k}={_show(v)}" for k, v in sorted(values.items()))])
        recipe = dataclasses.replace(recipe, **{**values, "name": name})
    return dataclasses.replace(recipe, own_code=files_hash(recipe.own_functions))


def changes(recipe: Recipe, other: Recipe) -> list[str]:
    """What `changed` makes `other` of `recipe`, but for its name and its tuning."""
    values = ((name, getattr(other, name)) for name in _TYPES)
    return [f"{name}={_show(v)}" for name, v in values if v != getattr(recipe, name)]


def changed(recipe: Recipe, overrides: Sequence[str]) -> Recipe:
    """The recipe with other values, under its own name.

    Raises:
        ValueError: an unknown field, or a value that does not fit.
    """
    return dataclasses.replace(recipe, **_parsed(overrides))


def _of_data(recipe: Recipe, data: str) -> dict[str, Any]:
    """What a recipe takes from its data set and another data set has otherwise."""
    if data.split(":")[0] == recipe.data.split(":")[0]:
        return {}
    found = dataset_info(data)
    rule = isinstance(recipe.class_weights, str)
    own = {
        "class_weights": recipe.class_weights if rule else None,
        "train_split": "train",
        "val_split": "val",
        "test_split": found.test_split if found else "test",
    }
    return {field: value for field, value in own.items() if getattr(recipe, field) != value}


def _from_file(text: str) -> Recipe:
    recipe = load_function(text, "recipe")()
    if not isinstance(recipe, Recipe):
        raise ValueError(f"{text} returned {type(recipe).__name__}: a Recipe is needed")
    return recipe


def _parsed(overrides: Sequence[str]) -> dict[str, Any]:
    """Values by field, of texts as `lr=0.02`."""
    return dict(map(_parse, overrides))


def _parse(override: str) -> tuple[str, Value]:
    field, equals, text = override.partition("=")
    if field not in _TYPES:
        raise ValueError(f"recipes have no field {field!r}; {nearest(field, _TYPES)}")
    try:
        if not equals:
            raise ValueError
        return field, _convert(text, _TYPES[field])
    except (KeyError, ValueError):
        kind: Any = _TYPES[field]
        kind = kind if get_origin(kind) else kind.__name__
        raise ValueError(f"--set {override}: {field} takes a value of type {kind}") from None


def _convert(text: str, kind: Any) -> Value:
    """Text to the type of a field; sides and ranges are written 240x320 or 0.5,2."""
    if get_origin(kind) in (types.UnionType, Union):
        if text.lower() == "none":
            return None
        first, *others = (one for one in get_args(kind) if one is not types.NoneType)
        try:
            return _convert(text, first)
        except ValueError:
            if not others:
                raise
            return _convert(text, others[0])  # a rule, where numbers may stand
    if get_origin(kind) is tuple:
        item, *rest = get_args(kind)
        values = tuple(item(part) for part in text.replace("x", ",").split(","))
        if rest[0] is not Ellipsis and len(values) != 1 + len(rest):
            raise ValueError
        return values
    if kind is bool:
        return {"true": True, "false": False}[text.lower()]
    value: Value = kind(text)
    return value


def _show(value: Value) -> str:
    return "x".join(map(str, value)) if isinstance(value, tuple) else str(value)
