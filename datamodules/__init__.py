"""Data sets by name. Listing, checking names and scoring import no torch."""

import difflib
import importlib
import inspect
from functools import cache
from pathlib import Path
from typing import Any

from datamodules.dataset import Dataset, DatasetInfo
from datamodules.holdout import SIGN, part_of
from datamodules.labels import DataError
from datamodules.registry import DATASETS


def open_data(spec: str, split: str, root: Path | None = None) -> Dataset:
    """Open a split of the data set that `spec` names, with its options (`streets:height=96`).

    A part of a split is named after it, as `train~held` (see `datamodules.holdout`).

    Raises:
        DataError: an unknown data set, option or split, or files that are not there.
    """
    name, *parts = spec.split(":")
    constructor = _constructor(name)
    known = {
        p.name: p.annotation
        for p in inspect.signature(constructor).parameters.values()
        if p.kind is p.KEYWORD_ONLY
    }
    options: dict[str, object] = {}
    for part in parts:
        key, equals, value = part.partition("=")
        if not equals or key not in known:
            raise DataError(
                f"data set {name} has no option {part!r} (key=value); known: {', '.join(known)}"
            )
        try:
            options[key] = known[key](value)
        except ValueError:
            raise DataError(
                f"{name}:{key} takes a value of type {known[key].__name__}, got {value!r}"
            ) from None
    whole, sign, which = split.partition(SIGN)
    dataset: Dataset = constructor(whole, root, **options)
    return part_of(dataset, whole, which) if sign else dataset


@cache
def _constructor(name: str) -> Any:
    if name not in DATASETS:
        close = difflib.get_close_matches(name, DATASETS, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise DataError(f"unknown data set {name!r}; {hint}Known: {', '.join(sorted(DATASETS))}")
    module, constructor = DATASETS[name].split(":")
    return getattr(importlib.import_module(module), constructor)


def dataset_info(spec: str) -> DatasetInfo | None:
    """What a published data set says of itself; None for one that is made, not read.

    Raises:
        DataError: an unknown data set.
    """
    found: DatasetInfo | None = getattr(
        importlib.import_module(_constructor(spec.split(":")[0]).__module__), "ABOUT", None
    )
    return found
