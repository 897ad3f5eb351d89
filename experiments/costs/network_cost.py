"""What a network costs in operations, as values, and the files that hold them; without torch."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from experiments.costs.published_costs import PublishedFigure
from experiments.trials.atomic_io import write_json, write_text

DEEPEST = 32  # of any network here; coarser maps are summaries: image pooling, pyramid bins


def paper_gflops(gmacs: float) -> float:
    """GMACs in the unit that the HRNet paper calls GFLOPs: MACs / 2^30."""
    return gmacs * 1e9 / 2**30


@dataclass(frozen=True)
class OperationCount:
    """Parameters, and 1e9 multiply-adds of one forward pass of one image."""

    params: int
    gmacs: float

    @property
    def paper_gflops(self) -> float:
        return paper_gflops(self.gmacs)


@dataclass(frozen=True)
class LayerCost:
    """A convolution or matrix product.

    Attributes:
        stride: image pixels a side of one output position, as a power of two.
        channels: of its output.
        macs: multiply-adds for one image.
    """

    stride: int
    channels: int
    macs: int

    def to_json(self) -> dict[str, int]:
        return {"stride": self.stride, "channels": self.channels, "macs": self.macs}


@dataclass(frozen=True)
class NetworkCost:
    """One forward pass of one image, layer by layer, beside what was published of it.

    Attributes:
        model: name with options.
        params: all parameters.
        params_active: those whose module ran.
        params_trunk: those before the head: an encoder, VGG16's convolutions, all of HRNet but its
            end.
        gmacs: 1e9 multiply-adds.
        layers: in the order in which they ran.
        published: figures of a paper, where they are of this size and these classes.
        note: on how ours and the published ones differ, where they can be compared.
    """

    model: str
    params: int
    params_active: int
    params_trunk: int
    gmacs: float
    layers: tuple[LayerCost, ...]
    published: tuple[PublishedFigure, ...] = ()
    note: str | None = None

    @property
    def gflops(self) -> float:
        """1e9 additions and multiplications: two to a multiply-add."""
        return 2 * self.gmacs

    @property
    def paper_gflops(self) -> float:
        return paper_gflops(self.gmacs)

    @property
    def deepest_stride(self) -> int:
        return max(layer.stride for layer in self.layers if layer.stride <= DEEPEST)

    @property
    def classifier_stride(self) -> int:
        return self.layers[-1].stride

    def to_json(self) -> dict[str, object]:
        return {
            "model": self.model,
            "params": self.params,
            "params_active": self.params_active,
            "params_trunk": self.params_trunk,
            "gmacs": self.gmacs,
            "layers": [layer.to_json() for layer in self.layers],
            "gflops": self.gflops,
            "paper_gflops": self.paper_gflops,
            "deepest_stride": self.deepest_stride,
            "classifier_stride": self.classifier_stride,
            "published": {f.metric: f.value for f in self.published},
            "difference_percent": {f.metric: f.difference_percent for f in self.published},
            "why": self.note,
        }

    def to_row(self) -> dict[str, object]:
        """A row of `cost.csv`: what is one value, then the published figures flat."""
        several = ("layers", "published", "difference_percent")
        return {
            **{key: value for key, value in self.to_json().items() if key not in several},
            **{f"published_{f.metric}": f.value for f in self.published},
            **{f"difference_percent_{f.metric}": f.difference_percent for f in self.published},
        }


def write_costs(costs: Sequence[NetworkCost], folder: Path) -> tuple[Path, Path]:
    """`cost.json` with every layer, and `cost.csv` with a row a network."""
    paths = folder / "cost.json", folder / "cost.csv"
    write_json(paths[0], [cost.to_json() for cost in costs])
    rows = [cost.to_row() for cost in costs]
    text = io.StringIO()
    columns = dict.fromkeys(key for row in rows for key in row)
    writer = csv.DictWriter(text, list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(paths[1], text.getvalue())
    return paths
