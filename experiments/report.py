"""A comparison as one HTML file that opens without a network, and as a figure for a README.

This module gathers what is shown; how it looks, plots included, is in `report.html.j2`.
"""

import argparse
import base64
import importlib
import io
import os
import statistics
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from datamodules import Dataset
from datamodules.labels import IGNORE, DataError, LabelSet, UInt8
from datamodules.table import DATASETS
from experiments.store import Result, load_results
from experiments.table import Published, Row, published, rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Annotation

PANEL = 4  # images: enough to see a network's habits, few enough to look at each
DPI = 150  # of the README's figure
ALIASES = {"hrnet": "hrnetv2_w48"}
COSTS = {  # fields of Row that a network's accuracy is plotted against: title and scale
    "gmacs": ("GMACs", "log"),
    "params_m": ("Parameters, millions", "log"),
    "latency_ms": ("Latency, ms", "linear"),
    "train_s": ("Training, s", "linear"),
    "memory_gb": ("Peak memory, GB", "linear"),
}


@dataclass(frozen=True)
class Panel:
    """Photos (H, W, 3) and masks (H, W) by id, None where the data set is absent."""

    ids: list[str]
    images: dict[str, UInt8] | None
    masks: dict[str, UInt8] | None
    labels: LabelSet
    reason: str
    """Why there are no photos; empty where there are."""


@dataclass(frozen=True)
class Entry:
    """A model of the comparison with its finished trials, one a seed."""

    row: Row
    trials: list[Result]

    @property
    def pixel_accuracy(self) -> float:
        return self.mean("metrics", "pixel_accuracy") or 0.0

    def mean(self, *keys: str) -> float | None:
        """Over seeds, of a number inside the records; None where no seed has one."""
        found = []
        for trial in self.trials:
            value: Any = trial
            for key in keys:
                value = value[key]
            found.append(value)
        present = [value for value in found if value is not None]
        return statistics.fmean(present) if present else None


def entries(results: list[Result], stale: Iterable[str] = ()) -> list[Entry]:
    """Finished models, best mIoU first.

    Raises:
        ValueError: results that differ in recipe, data or protocol.
    """
    ranked = sorted(rows(results, set(stale)), key=lambda row: -row.miou)
    return [
        Entry(row, [result for result in results if result.done and result["model"] == row.model])
        for row in ranked
    ]


def pareto_front(costs: Sequence[float], accuracies: Sequence[float]) -> list[int]:
    """Indices of the points that no other beats, by rising cost; of equal points the first."""
    front: list[int] = []
    for i in sorted(range(len(costs)), key=lambda i: (costs[i], -accuracies[i])):
        if not front or accuracies[i] > accuracies[front[-1]]:
            front.append(i)
    return front


def error_map(truth: UInt8, prediction: UInt8) -> UInt8:
    """(H, W) twice to RGB (H, W, 3): right is grey, wrong red, ignored white."""
    colours = np.array([(205, 208, 212), (200, 30, 40), (255, 255, 255)], np.uint8)
    return colours[np.where(truth == IGNORE, 2, truth != prediction)]


def panel_ids(result: Result) -> list[str]:
    """Ids in the middle of equal parts of the scored split: the same for every model and run."""
    ids = [str(name) for name in result.per_image()["ids"]]
    parts = min(PANEL, len(ids))
    return [ids[(2 * i + 1) * len(ids) // (2 * parts)] for i in range(parts)]


def make_panel(results: list[Result], data_root: Path | None) -> Panel:
    """Photos and truths of some images, or the reason why there are none.

    Raises:
        ValueError: no results, or a data set that this code does not know.
    """
    from datamodules import open_data

    if not results:
        raise ValueError("no results to show: run a comparison first")
    recipe = results[0]["recipe"]
    ids = next((panel_ids(result) for result in results if result.done), [])
    try:
        dataset: Dataset = open_data(recipe["data"], recipe["test_split"], data_root)
        for name in ids:
            if name not in dataset.ids:
                raise DataError(f"the data set at hand lacks {name}, which was scored")
        pairs = {name: dataset[dataset.ids.index(name)] for name in ids}
    except DataError as error:
        source = recipe["data"].split(":")[0]
        if source not in DATASETS:
            raise
        module, _, kind = DATASETS[source].partition(":")
        labels: LabelSet = getattr(importlib.import_module(module), kind).labels
        return Panel(ids, None, None, labels, str(error))
    images = {name: image for name, (image, _) in pairs.items()}
    masks = {name: mask for name, (_, mask) in pairs.items()}
    return Panel(ids, images, masks, dataset.labels, "")


def _png(pixels: UInt8, labels: LabelSet | None = None) -> str:
    """A data URI of RGB (H, W, 3), or of class indices (H, W) in the colours of `labels`."""
    image = Image.fromarray(pixels)
    if labels is not None:
        image.putpalette(labels.palette)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def _look(entry: Entry, name: str, panel: Panel) -> dict[str, Any] | None:
    """A model's prediction, where it is wrong and how much; None where it was not kept."""
    path = entry.trials[0].predictions / f"{name}.png"
    if not path.is_file():
        return None
    with Image.open(path) as file:
        prediction = np.array(file, dtype=np.uint8)
    width = prediction.shape[1]
    look: dict[str, Any] = {"prediction": _png(prediction, panel.labels), "width": width}
    if panel.masks is not None:
        truth = panel.masks[name]
        scored = truth != IGNORE
        look["errors"] = _png(error_map(truth, prediction))
        look["wrong"] = (prediction != truth)[scored].sum() / max(scored.sum(), 1)
    return look


def _papers(model: str) -> list[dict[str, Published]]:
    """Published figures by metric, one dictionary a source; none for a network with options."""
    sources: dict[str, dict[str, Published]] = {}
    for line in published():
        if line.model == ALIASES.get(model, model):
            sources.setdefault(line.source, {})[line.metric] = line
    return list(sources.values())


def _distinct(results: list[Result], part: str) -> dict[str, list[str]]:
    """Every value that the trials have for each key of `part`: one where they agree."""
    found: dict[str, dict[str, None]] = {}
    for result in results:
        for key, value in result[part].items():
            found.setdefault(key, {})[str(value)] = None
    return {key: list(values) for key, values in found.items()}


def _fronts(models: list[Entry]) -> dict[str, list[int]]:
    miou = [entry.row.miou for entry in models]
    return {field: pareto_front([getattr(e.row, field) for e in models], miou) for field in COSTS}


def _render(
    results: list[Result],
    models: list[Entry],
    prior: dict[str, Any] | None,
    panel: Panel | None,
) -> str:
    import jinja2
    from plotly.offline import get_plotlyjs

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2").render(
        recipe=results[0]["recipe"],
        models=models,
        failed=[result for result in results if not result.done],
        prior=prior,
        papers={entry.row.model: _papers(entry.row.model) for entry in models},
        costs=COSTS,
        fronts=_fronts(models),
        panel=panel,
        png=_png,
        look=_look,
        hashes=_distinct(results, "hashes"),
        environment=_distinct(results, "environment"),
        plotly=get_plotlyjs(),
    )


def write_report(
    results: list[Result],
    path: Path,
    *,
    stale: set[str],
    prior: dict[str, Any] | None,
    panel: Panel | None,
) -> None:
    """Write the whole page or leave the file as it was.

    Args:
        stale: paths of results made by other code than is here now.
        prior: miou, pixel_accuracy and iou by class, as fractions, of the most frequent training
            class at each position.

    Raises:
        ValueError: no results, or results that differ in recipe, data or protocol.
    """
    if not results:
        raise ValueError("no results to report: run a comparison first")
    page = _render(results, entries(results, stale), prior, panel)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(page, encoding="utf-8")
    draft.replace(path)


def pareto_figure(results: list[Result], path: Path) -> None:
    """mIoU against GMACs and against latency, a PNG of 1200x600 pixels.

    Raises:
        ValueError: no finished result, or results that differ in recipe, data or protocol.
    """
    from matplotlib.figure import Figure

    models = entries(results)
    if not models:
        raise ValueError("no finished trial to draw: run a comparison first")
    cost, data = models[0].trials[0]["cost"], models[0].trials[0]["data"]
    figure = Figure(figsize=(8, 4), dpi=DPI, layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    left.set_xscale("log")
    left.set_ylabel(f"mIoU, % ({data['name'].split(':')[0]} {data['split']})", fontsize=9)
    left.set_xlabel("GMACs at {}x{} (log scale)".format(*cost["size"]), fontsize=9)
    right.set_xlabel(f"Latency, ms ({cost['device']}, {cost['threads']} threads)", fontsize=9)
    labels = [_bubbles(left, models, "gmacs"), _bubbles(right, models, "latency_ms")]
    figure.draw_without_rendering()  # labels are placed by pixels, so the layout comes first
    for axes, texts in zip((left, right), labels, strict=True):
        _place(axes, texts)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def _bubbles(axes: "Axes", models: list[Entry], field: str) -> list[tuple["Annotation", float]]:
    """Draw points and front; returns a label on every point with the bubble's radius in points."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    costs = [getattr(entry.row, field) for entry in models]
    miou = [100 * entry.row.miou for entry in models]
    params = [entry.row.params_m for entry in models]
    front = pareto_front(costs, miou)
    steps = [i for i in front for _ in range(2)]  # right at one's height, then up to the next
    axes.plot([costs[i] for i in steps[1:]], [miou[i] for i in steps[:-1]], "#9aa0a6", lw=0.8)
    areas = [max(600 * value / max(params), 12) for value in params]  # square points
    axes.scatter(costs, miou, areas, "#0072B2", alpha=0.75, edgecolors="white", zorder=3)
    axes.margins(x=0.2, y=0.2)
    axes.grid(color="#e8eaed", lw=0.6)
    axes.tick_params(labelsize=8, color="#9aa0a6", which="both")
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["bottom", "left"]].set_color("#9aa0a6")
    axes.set_axisbelow(True)
    if axes.get_xscale() == "log":
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
    labels = []
    for entry, x, y, area in zip(models, costs, miou, areas, strict=True):
        text = f"{entry.row.model}\n{entry.row.params_m:.1f} M params".replace(":", "\n")
        label = axes.annotate(text, (x, y), (0, 0), textcoords="offset points", fontsize=7.5)
        label.set_in_layout(False)
        labels.append((label, area**0.5 / 2))
    return labels


def _place(axes: "Axes", labels: list[tuple["Annotation", float]]) -> None:
    """Move each label to the nearest of 32 places at its point that covers the least."""
    from matplotlib.transforms import Bbox

    frame, pixels = axes.get_window_extent(), DPI / 72
    centres = axes.transData.transform([label.xy for label, _ in labels])
    taken = [
        Bbox([centre - radius * pixels, centre + radius * pixels])
        for centre, (_, radius) in zip(centres, labels, strict=True)
    ]
    front = axes.transData.transform(axes.lines[0].get_xydata())
    taken += [Bbox([a, b]).padded(1) for a, b in pairwise(front)]

    def move(label: "Annotation", radius: float, gap: int, way: tuple[int, int]) -> float:
        """Pixels that the label covers or that are cut off there."""
        label.set_position(((radius + gap) * way[0], (radius + gap) * way[1]))
        label.set_horizontalalignment(("center", "left", "right")[way[0]])
        label.set_verticalalignment(("center", "bottom", "top")[way[1]])
        box = label.get_window_extent()
        shared = [Bbox.intersection(box, other) for other in taken]
        inside = Bbox.intersection(box, frame)
        cut = box.width * box.height - (inside.width * inside.height if inside else 0)
        return cut + sum(both.width * both.height for both in shared if both)

    ways = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1))
    for label, radius in labels:
        places = list(product((2, 8, 16, 26), ways))
        best = min(places, key=lambda place: move(label, radius, *place))
        move(label, radius, *best)
        taken.append(label.get_window_extent())


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m experiments.report", description="Write a comparison as one HTML file."
    )
    parser.add_argument("results", type=Path, help="folder of a comparison's results")
    parser.add_argument("--data-root", type=Path, help="folder of the data set, for the photos")
    parser.add_argument("--output", type=Path, help="default: report.html in the results folder")
    parser.add_argument("--figure", type=Path, help="also draw accuracy against cost as a PNG")
    args = parser.parse_args(argv)
    output = args.output or args.results / "report.html"
    try:
        results = load_results(args.results)
        panel = make_panel(results, args.data_root)
        write_report(results, output, stale=set(), prior=None, panel=panel)
        if args.figure:
            pareto_figure(results, args.figure)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f"wrote {output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
