"""The charts of the report as types, which `report_charts.js` reads as JSON of the same names."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from experiments.analysis.evidence_types import Cost

Values = tuple[float | None, ...]
Scale = Literal["log", "linear"]


@dataclass(frozen=True)
class Mark:
    """How a model is drawn: indices of a colour and of a shape."""

    name: str
    colour: int
    shape: int


@dataclass(frozen=True)
class CostPoint:
    """A model (its index) by accuracy and cost; `low` and `high` are None without an interval."""

    model: int
    miou: float
    low: float | None
    high: float | None
    cost: dict[Cost, float | None]


@dataclass(frozen=True)
class CostAxis:
    """An axis of costs; `front` holds the points that no other beats, by rising cost."""

    title: str
    scale: Scale
    front: list[int]


@dataclass(frozen=True)
class CostChart:
    """Accuracy against each cost that all points have."""

    points: list[CostPoint]
    axes: dict[Cost, CostAxis]

    @property
    def has_intervals(self) -> bool:
        return any(point.low is not None for point in self.points)


@dataclass(frozen=True)
class Series:
    """The line of a model (its index).

    Attributes:
        x: numbers, or names of bins.
        low, high: None without an interval.
        note: what the interval is, told beside it.
    """

    model: int
    x: Sequence[float | str]
    y: Values
    low: Values | None = None
    high: Values | None = None
    note: str = ""


@dataclass(frozen=True)
class Chart:
    """Lines against a common x.

    Attributes:
        x: title of the axis.
        band: whether low and high are drawn, else they are only told when a point is pointed at.
        log: whether y is logarithmic.
        notes: what else to tell of each point of x.
    """

    id: str
    title: str
    x: str
    series: list[Series]
    band: bool = False
    log: bool = False
    notes: Sequence[str] = ()

    @property
    def has_intervals(self) -> bool:
        return any(line.low for line in self.series)


@dataclass(frozen=True)
class Forest:
    """Differences on one axis; places are percent of its width.

    Attributes:
        ticks: place and text of each.
        zero: place of no difference.
        margin: place and width of the range of differences that do not matter.
        places: low, value and high of each pair; low and high are None without an interval.
    """

    ticks: list[tuple[float, str]]
    zero: float
    margin: tuple[float, float]
    places: list[tuple[float | None, float, float | None]]
