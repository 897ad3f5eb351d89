"""Published numbers, with where they stand."""

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from experiments.trials.protocols import Protocol

ALIASES = {"hrnet": "hrnetv2_w48"}
REFERENCE = Path(__file__).parents[1] / "reference.csv"
PAPER_COLUMNS = ("params_m", "paper_gflops_1024x2048")  # metrics of reference.csv

_Scales = Literal["single", "multi"]
_SCALES: dict[str, _Scales | None] = {"": None, "single": "single", "multi": "multi"}
_FLIPS = {"": None, "yes": True, "no": False}


@dataclass(frozen=True, kw_only=True)
class Published:
    """A row of a paper. Its mIoU stands beside ours only where data, split and protocol agree.

    Attributes:
        model: the network's name here; empty where it is not here.
        value: in the metric's unit, as its name tells.
        scales, flip: of the passes of one image; None where the source does not say.
        conditions: whatever else the source says of how the number came about, as `with CRF`.
        source, locator: the document, and the place in it.
    """

    model: str
    method: str
    metric: str
    value: float
    data: str
    split: str
    scales: _Scales | None
    flip: bool | None
    conditions: str
    source: str
    locator: str

    @property
    def protocol(self) -> str:
        """In words, as far as the source says."""
        scales = {None: "", "single": "single scale", "multi": "multi-scale"}[self.scales]
        flip = {None: "", True: "flip", False: "no flip"}[self.flip]
        return ", ".join(filter(None, (scales, flip, self.conditions)))

    def predicted_by(self, passes: Protocol | None) -> bool:
        """Whether, as far as the source says, this is the protocol; False for one not known."""
        if self.conditions:  # none that our protocols could have
            return False
        if self.scales is None and self.flip is None:
            return True
        if passes is None:
            return False
        same_scales = {
            None: True,
            "single": passes.scales == (1.0,),
            "multi": len(passes.scales) > 1,
        }[self.scales]
        return same_scales and self.flip in (None, passes.flip)


@cache
def published(path: Path = REFERENCE) -> tuple[Published, ...]:
    """Every row of the file, which is read once a process.

    Raises:
        ValueError: a line that cannot be read, by its number.
    """
    found = []
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        try:
            found += [_published(**line) for line in reader]
        except (KeyError, TypeError, ValueError, csv.Error) as error:
            raise ValueError(
                f"{path}, line {reader.line_num}, is no published number ({error}): mend it, or "
                "take the file of this version"
            ) from None
    return tuple(found)


def published_of(model: str) -> list[Published]:
    """What is published of a network without options; empty where there is nothing."""
    name = ALIASES.get(model, model)
    return [line for line in published() if line.model == name]


def published_cost(model: str) -> dict[str, float]:
    """A paper's figures for a network without options, by metric; empty where there are none."""
    return {line.metric: line.value for line in published_of(model)}


def _published(value: str, scales: str, flip: str, **texts: str) -> Published:
    return Published(value=float(value), scales=_SCALES[scales], flip=_FLIPS[flip], **texts)
