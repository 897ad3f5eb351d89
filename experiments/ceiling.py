"""The stride ceiling: how much of its own labels a data set keeps on a coarse grid, without torch.

True labels become one vector of class shares for each cell of stride x stride pixels, as an ideal
classifier at that stride would give them. The vectors are brought back bilinearly as networks
bring back their logits (align_corners=False), and each pixel takes its largest share. What is lost
then is lost by the stride alone.

It is a yardstick, no proof: logits may be steeper than shares, and so draw a finer line.
"""

import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from rich.table import Table

from datamodules import Dataset
from datamodules.labels import IGNORE, UInt8
from experiments.score import Counts, Scores, confusion
from experiments.store import write_json

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STRIDES = (1, 2, 4, 8, 16, 32)
BAND = 3  # pixels on either side of a true boundary that its mIoU looks at
_FRAGILE = 4  # classes that the figure shows: those whose IoU at stride 8 is lowest
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")  # Okabe and Ito's, for all eyes
_MARKS = "osD^"


@dataclass(frozen=True)
class Ceiling:
    """Scores of the labels against themselves after each stride, and of the band alone."""

    everywhere: dict[int, Scores]
    boundary: dict[int, Scores]

    def record(self, spec: str, split: str, data: Dataset) -> dict[str, Any]:
        """What the JSON holds; fractions, None for a class that the split does not have."""
        strides = {}
        for stride, scores in self.everywhere.items():
            metrics, band = scores.metrics(), self.boundary[stride].metrics()
            strides[str(stride)] = {
                **metrics,
                "boundary_miou": band["miou"],
                "boundary_iou": band["iou"],
            }
        return {
            "schema": 1,
            "data": {
                "name": spec,
                "split": split,
                "num_images": len(data.ids),
                "classes": list(data.labels.names),
                "hash": data.fingerprint(),
            },
            "protocol": {
                "cells": "mean of the one-hot labels over a cell's pixels, void without a class, "
                "labels padded with void on the right and below to whole cells",
                "back": "bilinear, align_corners=False, cropped; ties go to the lower class",
                "boundary": f"pixels with another class within {BAND} px (Euclidean)",
            },
            "strides": strides,
        }


def coarsen(mask: UInt8, stride: int, num_classes: int) -> UInt8:
    """Labels (H, W) as they come back from a grid of `stride`, (H, W).

    Void has no class: the shares of a cell that is half void add up to a half, so that it has
    half a say in the pixels between it and its neighbours.
    """
    (height, width), (rows, columns) = mask.shape, np.nonzero(mask != IGNORE)
    h, w = -(-height // stride), -(-width // stride)
    cells = rows // stride * w + columns // stride  # what lies beyond the labels counts as void
    counts = np.bincount(cells * num_classes + mask[rows, columns], minlength=h * w * num_classes)
    shares = counts.reshape(h, w, num_classes) / stride**2
    back = cv2.resize(shares, (w * stride, h * stride), interpolation=cv2.INTER_LINEAR)
    largest: UInt8 = back[:height, :width].argmax(-1).astype(np.uint8)
    return largest


def near_boundary(mask: UInt8, radius: int = BAND) -> UInt8:
    """The labels (H, W) of pixels with another class within `radius`, 255 elsewhere.

    A border with void is no boundary: nobody knows what lies behind it.
    """
    y, x = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    disc = (y**2 + x**2 <= radius**2).astype(np.uint8)
    lowest = cv2.erode(mask, disc)  # 255 never is
    highest = cv2.dilate(np.where(mask == IGNORE, 0, mask), disc)
    return np.where(lowest != highest, mask, np.uint8(IGNORE))


def _count(data: Dataset, index: int) -> Counts:
    """Confusion matrices of one image, (strides, everywhere and band, K, K)."""
    mask, k = data.mask(index), data.labels.num_classes
    band, back = near_boundary(mask), [coarsen(mask, stride, k) for stride in STRIDES]
    return np.array([[confusion(truth, b, k) for truth in (mask, band)] for b in back])


def measure(data: Dataset, workers: int | None = None) -> Ceiling:
    """The ceiling at every stride, over a split.

    Args:
        workers: processes, all cores by default; 1 stays in this one.

    Raises:
        ValueError: less than one worker.
    """
    workers = workers if workers is not None else os.cpu_count() or 1
    if workers < 1:
        raise ValueError(f"got {workers} workers: 1 or more are needed")
    count, indices = partial(_count, data), range(len(data.ids))
    if workers == 1:
        matrices = [count(index) for index in indices]
    else:  # spawned, since OpenCV's threads do not survive a fork
        context = get_context("spawn")
        with ProcessPoolExecutor(workers, context, cv2.setNumThreads, (1,)) as pool:
            matrices = list(pool.map(count, indices, chunksize=4))
    both = [
        {s: _scores(data, [m[i, part] for m in matrices]) for i, s in enumerate(STRIDES)}
        for part in range(2)
    ]
    return Ceiling(*both)


def _scores(data: Dataset, per_image: list[Counts]) -> Scores:
    matrices = np.stack(per_image)
    tp = matrices.diagonal(axis1=1, axis2=2)
    fp, fn = matrices.sum(1) - tp, matrices.sum(2) - tp
    total = matrices.sum(0)
    return Scores(data.labels.names, list(data.ids), list(data.groups), total, tp, fp, fn)


def table(record: dict[str, Any]) -> Table:
    """Percent by stride: mIoU, mIoU at boundaries, and each class."""
    data, strides = record["data"], record["strides"].values()
    shown = Table(
        title=f"Stride ceiling of {data['name']} {data['split']}, {data['num_images']} images, %",
        title_justify="left",
    )
    shown.add_column("IoU after stride")
    for stride in record["strides"]:
        shown.add_column(stride, justify="right")
    lines = {
        "mIoU": [s["miou"] for s in strides],
        f"mIoU within {BAND} px of a boundary": [s["boundary_miou"] for s in strides],
        **{name: [s["iou"][name] for s in strides] for name in data["classes"]},
    }
    for i, (name, values) in enumerate(lines.items()):
        cells = ["-" if value is None else f"{100 * value:.1f}" for value in values]
        shown.add_row(name, *cells, end_section=i == 1)
    return shown


def draw(record: dict[str, Any]) -> "Figure":
    """mIoU and boundary mIoU, and the classes that a grid loses first, against stride."""
    from matplotlib.figure import Figure

    strides, data = list(record["strides"].values()), record["data"]
    figure = Figure(figsize=(9, 4), dpi=150, layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    at_8 = {n: v for n, v in record["strides"]["8"]["iou"].items() if v is not None}
    fragile = sorted(at_8, key=at_8.__getitem__)[:_FRAGILE]
    both = {
        "all pixels": [s["miou"] for s in strides],
        f"within {BAND} px\nof a boundary": [s["boundary_miou"] for s in strides],
    }
    _lines(left, both, "mIoU")
    _lines(right, {n: [s["iou"][n] for s in strides] for n in fragile}, "The classes lost first")
    left.set_ylabel(f"IoU, % ({data['name']} {data['split']})", fontsize=9)
    figure.suptitle("True labels, averaged on a grid and brought back", fontsize=11)
    return figure


def _lines(axes: "Axes", curves: dict[str, list[float | None]], title: str) -> None:
    """One line a curve, named at its right end, names apart by what their text needs."""
    ends = sorted((100 * (values[-1] or 0.0), name) for name, values in curves.items())
    height = -10.0
    for (end, name), colour, mark in zip(ends, _COLOURS, _MARKS, strict=False):
        values = [np.nan if v is None else 100 * v for v in curves[name]]
        axes.plot(STRIDES, values, color=colour, marker=mark, ms=4.5, lw=1.6, clip_on=False)
        height = max(end, height + 6)
        axes.text(STRIDES[-1] * 1.15, height, name, color=colour, fontsize=8, va="center")
    axes.set_title(title, fontsize=10, loc="left")
    axes.set_xscale("log", base=2)
    axes.set_xticks(STRIDES, [str(s) if s == 1 else f"1/{s}" for s in STRIDES])
    axes.set_xlabel("resolution of the grid", fontsize=9)
    axes.set_ylim(0, 100)
    axes.grid(color="#e8eaed", lw=0.6)
    axes.tick_params(labelsize=8, color="#9aa0a6")
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["bottom", "left"]].set_color("#9aa0a6")


def write(record: dict[str, Any], stem: Path) -> list[Path]:
    """`stem`.json and `stem`.png."""
    paths = [stem.with_name(f"{stem.name}.{kind}") for kind in ("json", "png")]
    write_json(paths[0], record)
    save(draw(record), paths[1])
    return paths


def save(figure: "Figure", path: Path) -> None:
    """Write a whole picture or nothing; the same figure gives the same bytes."""
    from matplotlib import rc_context

    draft = path.with_name(f".{path.name}.{os.getpid()}{path.suffix}")
    path.parent.mkdir(parents=True, exist_ok=True)
    dated = {"metadata": {"Date": None}} if path.suffix == ".svg" else {}
    try:
        with rc_context({"svg.hashsalt": path.name}):
            figure.savefig(draft, **dated)  # type: ignore[arg-type]
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
