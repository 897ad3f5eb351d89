"""Data sets by name: `open_data` opens a split, `dataset_info` says where one comes from.

Neither imports torch, so that listing, checking and scoring do not either.
"""

import difflib
import importlib
import inspect
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datamodules.registry import DATASETS

# What opening takes, OpenCV among it, is half a second that no --help or list of names waits for.
if TYPE_CHECKING:
    from datamodules.dataset import Dataset, DatasetInfo


def open_data(spec: str, split: str, root: Path | None = None) -> "Dataset":
    """Open a split of the data set that `spec` names, with its options (`streets:height=96`).

    Several splits are one as `train+val` (`datamodules.joined`), and part of one is named after it,
    as `train~held` or `train+val~held` (`datamodules.holdout`).

    Raises:
        DataError: an unknown data set, option or split, or files that are not there.
    """
    from datamodules.holdout import HOLDOUT_SIGN, select_part
    from datamodules.joined import JOIN_SIGN, join
    from datamodules.labels import DataError

    name, *parts = spec.split(":")
    constructor = _constructor(name)
    types = {
        p.name: p.annotation
        for p in inspect.signature(constructor).parameters.values()
        if p.kind is p.KEYWORD_ONLY
    }
    options: dict[str, object] = {}
    for text in parts:
        key, equals, value = text.partition("=")
        if not equals or key not in types:
            raise DataError(
                f"data set {name} has no option {text!r} (key=value); known: {', '.join(types)}"
            )
        try:
            options[key] = types[key](value)
        except ValueError:
            raise DataError(
                f"{name}:{key} takes a value of type {types[key].__name__}, got {value!r}"
            ) from None
    whole, sign, part = split.partition(HOLDOUT_SIGN)
    opened: list[Dataset] = [constructor(s, root, **options) for s in whole.split(JOIN_SIGN)]
    dataset = opened[0] if len(opened) == 1 else join(opened, whole)
    return select_part(dataset, whole, part) if sign else dataset


@cache
def _constructor(name: str) -> Any:
    if name not in DATASETS:
        from datamodules.labels import DataError

        close = difflib.get_close_matches(name, DATASETS, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise DataError(f"unknown data set {name!r}; {hint}Known: {', '.join(sorted(DATASETS))}")
    module, constructor = DATASETS[name].split(":")
    return getattr(importlib.import_module(module), constructor)


def dataset_info(spec: str) -> "DatasetInfo | None":
    """The module constant `INFO` of a data set that is read; None for one that is made.

    Raises:
        DataError: an unknown data set.
    """
    module = importlib.import_module(_constructor(spec.split(":")[0]).__module__)
    info: DatasetInfo | None = getattr(module, "INFO", None)
    return info
