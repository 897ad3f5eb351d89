"""Published numbers, with where they stand."""

import csv
from dataclasses import dataclass
from pathlib import Path

ALIASES = {"hrnet": "hrnetv2_w48"}
REFERENCE = Path(__file__).parents[1] / "reference.csv"


@dataclass(frozen=True)
class Published:
    """A row of a paper. Its mIoU stands beside ours only where data, split and protocol agree."""

    model: str
    method: str
    metric: str
    value: float
    data: str
    split: str
    protocol: str
    source: str
    locator: str


def published(path: Path = REFERENCE) -> list[Published]:
    with path.open(newline="") as file:
        return [
            Published(**{**line, "value": float(line["value"])})  # type: ignore[arg-type]
            for line in csv.DictReader(file)
        ]


def published_cost(model: str) -> dict[str, float]:
    """A paper's figures for a network without options, by metric; empty where there are none."""
    name = ALIASES.get(model, model)
    return {p.metric: p.value for p in published() if p.model == name}


PAPER_COLUMNS = ("params_m", "paper_gflops_1024x2048")  # metrics of reference.csv
