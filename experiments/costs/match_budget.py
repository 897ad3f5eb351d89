"""A budget that networks are matched to, and the widths that were found for it; without torch."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from datamodules.json_file import DamagedError, as_object, read_json
from experiments.trials.atomic_io import write_json

Json = Mapping[str, Any]  # as it is read
KindName = Literal["gmacs", "params", "latency", "train-time"]
FigureName = Literal["gmacs", "params_m", "latency_ms", "train_s"]


@dataclass(frozen=True)
class BudgetKind:
    """What may be equal for all networks.

    Attributes:
        figure: field of `MatchedNetwork` that is compared with the budget.
        unit: that may follow the number.
        counted: what one of the budget's numbers is, in words.
    """

    figure: FigureName
    unit: str
    counted: str


KINDS: dict[KindName, BudgetKind] = {
    "gmacs": BudgetKind("gmacs", "G", "GMACs"),
    "params": BudgetKind("params_m", "M", "million parameters"),
    "latency": BudgetKind("latency_ms", "ms", "ms a forward pass of one image"),
    "train-time": BudgetKind("train_s", "s", "s a training step"),
}


@dataclass(frozen=True)
class MatchBudget:
    """A budget and what it is taken under; a measured width is kept for equal ones alone.

    Attributes:
        value: in the unit of its kind.
        size: (height, width) of the images.
        batch: images of a training step, for all networks alike.
        threads: of a processor that measures.
        hardware: the model of the processor or GPU.
    """

    kind: KindName
    value: float
    size: tuple[int, int]
    num_classes: int
    precision: str
    batch: int
    threads: int
    hardware: str

    @property
    def measured(self) -> bool:
        """Whether a network's cost differs from one measurement to the next."""
        return self.kind in ("latency", "train-time")

    @property
    def figure(self) -> FigureName:
        return KINDS[self.kind].figure

    @property
    def counted(self) -> str:
        return KINDS[self.kind].counted

    @classmethod
    def from_json(cls, record: Json) -> "MatchBudget":
        same = {f.name: record[f.name] for f in fields(cls) if f.name not in ("value", "size")}
        return cls(value=record["budget"], size=tuple(record["size"]), **same)

    def to_json(self) -> dict[str, object]:
        return {
            "kind": self.kind,
            "budget": self.value,
            "size": list(self.size),
            "num_classes": self.num_classes,
            "precision": self.precision,
            "batch": self.batch,
            "threads": self.threads,
            "hardware": self.hardware,
        }


@dataclass(frozen=True)
class MatchedNetwork:
    """A network at the width that comes nearest to a budget.

    Attributes:
        family: the network as it was asked for, without a width.
        model: the same with its width.
        params_m: million parameters.
        gmacs: 1e9 multiply-adds of a forward pass of one image.
        off_percent: by how much it costs more than the budget.
        note: on what the next width would cost, where none is near; else empty.
        latency_ms: milliseconds of a forward pass of one image, where they were measured.
        train_s: seconds of a training step of the budget's batch, where they were measured.
        failure: why they could not be measured.
        code: hash of the source that was measured; of the network's and the training's, not of the
            data set's.
        kept_in: the file that an earlier measurement was taken from.
    """

    family: str
    budget: MatchBudget
    model: str
    width: int
    params_m: float
    gmacs: float
    off_percent: float
    note: str = ""
    latency_ms: float | None = None
    train_s: float | None = None
    failure: str | None = None
    code: str | None = None
    kept_in: Path | None = None

    @property
    def figures(self) -> dict[FigureName, float | None]:
        """What may be compared with a budget; None where it was not measured."""
        return {
            "params_m": self.params_m,
            "gmacs": self.gmacs,
            "latency_ms": self.latency_ms,
            "train_s": self.train_s,
        }

    @classmethod
    def from_json(cls, record: Json) -> "MatchedNetwork":
        """A row of a `match.json`; older ones have no code.

        Raises:
            KeyError, TypeError: a field that is not there, or of another type.
        """
        record = _checked(record)
        return cls(
            record["family"],
            MatchBudget.from_json(_checked(record["terms"])),
            record["model"],
            record["width"],
            record["params_m"],
            record["gmacs"],
            record["off_percent"],
            record["note"],
            latency_ms=record.get("latency_ms"),
            train_s=record.get("train_s"),
            failure=record.get("failed"),
            code=record.get("code"),
        )

    def to_json(self) -> dict[str, object]:
        """A row of `match.json`: first what was matched, last what was measured on top."""
        figures = self.figures
        names: tuple[FigureName, ...] = ("params_m", "gmacs", self.budget.figure)
        record: dict[str, object] = {
            "family": self.family,
            "terms": self.budget.to_json(),
            "code": self.code,
            "model": self.model,
            "width": self.width,
            **{name: figures[name] for name in names},
            "off_percent": self.off_percent,
            "note": self.note,
            **{k: v for k, v in figures.items() if k not in names},
            "failed": self.failure,
        }
        return {key: value for key, value in record.items() if value is not None}


def read_matches(path: Path) -> list[MatchedNetwork]:
    """The rows of a `match.json`; none where there is no file.

    Raises:
        ValueError: a damaged file.
    """
    remedy = "delete it, and widths are measured anew"
    try:
        rows = read_json(path, remedy)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise DamagedError(f"{path} cannot be read ({error.strerror}): {remedy}") from None
    if not isinstance(rows, list):
        raise DamagedError(f"{path} holds no list of widths: {remedy}")
    found = []
    for place, row in enumerate(rows, 1):
        try:
            record = as_object(row, f"{path}, row {place},", remedy)
            found.append(MatchedNetwork.from_json(record))
        except KeyError as error:
            lacks = f"{path}, row {place}, lacks the field {error.args[0]}: {remedy}"
            raise DamagedError(lacks) from None
        except TypeError as error:
            raise DamagedError(f"{path}, row {place}: {error}: {remedy}") from None
    return found


_WORDS = ("family", "model", "note", "failed", "code", "kind", "precision", "hardware")
_WHOLE = ("width", "num_classes", "batch", "threads")


def _checked(record: Json) -> Json:
    """The record, of which every field has its type.

    Raises:
        TypeError: the first that has not.
    """
    for name, value in record.items():
        kinds: tuple[type, ...] = (float, int)
        if name in _WORDS:
            kinds = (str,)
        elif name in _WHOLE:
            kinds = (int,)
        elif name == "terms":
            kinds = (dict,)
        elif name == "size":
            kinds = (list,)
        finite = not isinstance(value, float) or math.isfinite(value)
        if type(value) not in kinds or not finite:
            raise TypeError(f"{name} is {value!r}, needed is {kinds[0].__name__}")
    return record


def write_matches(path: Path, rows: Sequence[MatchedNetwork]) -> None:
    write_json(path, [row.to_json() for row in rows])


def digits(value: float) -> str:
    """Three significant digits, never as a power of ten."""
    return f"{value:.{max(0, 2 - math.floor(math.log10(value)))}f}"
