"""The pictures of lecture.html as SVG whose places are percent, so that text keeps its size.

No word stands in them: they are the same in both languages, and take the page's colours.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup

from experiments.claims.contrasts import Estimate

_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50)
_RATIOS = (0.1, 0.2, 0.33, 0.5, 0.67, 0.8, 1, 1.25, 1.5, 2, 3, 5, 10)
_COARSE_RATIOS = (0.1, 0.2, 0.5, 1, 2, 5, 10)  # where more than `_MOST` of these do
_FINE_RATIOS = (0.9, 1, 1.1)  # where no other of these but 1 lies on the axis
_MOST = 6
_EDGE = 5  # percent at either end, for the text of the outer ticks
_STREET = (360, 480)  # height and width of the picture under the fields


@dataclass(frozen=True)
class Axis:
    """Of differences: fractions, or logarithms of ratios.

    Attributes:
        low, high: its ends.
        ticks: values with their text.
        margin: half of the band.
    """

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    margin: float

    def at(self, value: float) -> str:
        """The place in percent of the width."""
        share = (value - self.low) / (self.high - self.low)
        return f"{_EDGE + (100 - 2 * _EDGE) * share:.2f}%"


def axis_of(estimates: Sequence[Estimate], margin: float) -> Axis:
    """An axis that holds 0, the margin on both sides, and all that is known of the estimates.

    Args:
        margin: a fraction, or the logarithm of a ratio.
    """
    known = [one.difference for one in estimates if one.difference]
    ends = [end for d in known for end in (d.low, d.value, d.high) if end is not None]
    ends += [value for one in estimates for value in one.by_seed]
    low, high = min([*ends, -1.5 * margin]), max([*ends, 1.5 * margin])
    if any(one.is_ratio for one in estimates):
        inside = [r for r in _RATIOS if low <= math.log(r) <= high]
        if len(inside) > _MOST:
            inside = [r for r in inside if r in _COARSE_RATIOS]
        inside = inside if len(inside) > 1 else [*_FINE_RATIOS]
        ticks = tuple((math.log(r), f"{r:g}") for r in inside)
    else:
        step = next(s for s in _STEPS if 100 * (high - low) / s <= _MOST) / 100
        low, high = step * math.floor(low / step), step * math.ceil(high / step)
        marks = [low + i * step for i in range(round((high - low) / step) + 1)]
        ticks = tuple(
            (mark, f"{100 * mark:+.3g}" if abs(mark) > step / 2 else "0") for mark in marks
        )
    return Axis(low, high, ticks, margin)


def scale(axis: Axis) -> Markup:
    """The numbers below or above strips."""
    texts = [
        Markup('<text x="{}" y="12" text-anchor="middle">{}</text>').format(axis.at(at), text)
        for at, text in axis.ticks
    ]
    return _svg(16, Markup("").join(texts), "scale")


def strip(one: Estimate, axis: Axis) -> Markup:
    """The difference with its interval, a ring for each seed below, over margin and zero."""
    left, right = axis.at(-axis.margin), axis.at(axis.margin)
    width = f"{float(right[:-1]) - float(left[:-1]):.2f}%"
    parts = [
        Markup('<rect class="margin" x="{}" width="{}" y="0" height="100%"/>').format(left, width),
        _line(axis.at(0), axis.at(0), "0", "100%", "zero"),
    ]
    found = one.difference
    if found is not None:
        if found.low is not None and found.high is not None:
            parts.append(_line(axis.at(found.low), axis.at(found.high), "11", "11", "range"))
        parts.append(_dot(axis.at(found.value), "11", 5, "value"))
    parts += [_dot(axis.at(value), "25", 3, "seed") for value in one.by_seed]
    return _svg(34, Markup("").join(parts), "strip")


def ceiling(lines: Sequence[Sequence[float]], ticks: Sequence[str]) -> Markup:
    """Lines of fractions against categories, the first in the page's first colour, and so on."""
    height, top, bottom = 220, 12, 24
    inside = height - top - bottom

    def x(i: int) -> str:
        return f"{9 + 86 * i / (len(ticks) - 1):.2f}%"

    def y(value: float) -> str:
        return f"{top + inside * (1 - value):.1f}"

    parts = []
    for percent in (0, 25, 50, 75, 100):
        parts.append(_line("7%", "100%", y(percent / 100), y(percent / 100), "grid"))
        label = Markup('<text x="6%" y="{}" dy="4" text-anchor="end">{}</text>')
        parts.append(label.format(y(percent / 100), percent))
    for i, tick in enumerate(ticks):
        label = Markup('<text x="{}" y="{}" text-anchor="middle">{}</text>')
        parts.append(label.format(x(i), height - 6, tick))
    for k, values in enumerate(lines):
        for i, (a, b) in enumerate(pairwise(values)):
            parts.append(_line(x(i), x(i + 1), y(a), y(b), f"series s{k}"))
        parts += [_dot(x(i), y(value), 4, f"point s{k}") for i, value in enumerate(values)]
    return _svg(height, Markup("").join(parts), "lines")


def rings(circles: Sequence[tuple[str, float]]) -> Markup:
    """Circles about the centre of the street, which the page holds once.

    Args:
        circles: kind (a class of lecture.css) and radius in pixels, the last one on top.
    """
    height, width = _STREET
    parts = [Markup('<use href="#street"/>')]
    for kind, radius in circles:
        at = (str(width // 2), str(height // 2), round(radius, 1))
        parts += [_dot(*at, "halo"), _dot(*at, kind)]  # light below: it shows on any ground
    return Markup('<svg class="field" viewBox="0 0 {} {}" aria-hidden="true">{}</svg>').format(
        width, height, Markup("").join(parts)
    )


def _svg(height: int, inside: Markup, kind: str) -> Markup:
    return Markup('<svg class="{}" width="100%" height="{}" aria-hidden="true">{}</svg>').format(
        kind, height, inside
    )


def _line(x1: str, x2: str, y1: str, y2: str, kind: str) -> Markup:
    text = Markup('<line class="{}" x1="{}" x2="{}" y1="{}" y2="{}"/>')
    return text.format(kind, x1, x2, y1, y2)


def _dot(x: str, y: str, radius: float, kind: str) -> Markup:
    return Markup('<circle class="{}" cx="{}" cy="{}" r="{}"/>').format(kind, x, y, radius)
