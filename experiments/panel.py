"""A few fixed images of the scored split: photo, truth, predictions, and where those are wrong."""

import base64
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from datamodules import Dataset, open_data
from datamodules.labels import IGNORE, DataError, Label, LabelSet, UInt8
from datamodules.table import DATASETS
from experiments.store import Result

PANEL = 4  # images: enough to see a network's habits, few enough to look at each


@dataclass(frozen=True)
class Panel:
    """Photos (H, W, 3) and masks (H, W) by id, None where the data set is absent."""

    ids: list[str]
    images: dict[str, UInt8] | None
    masks: dict[str, UInt8] | None
    labels: LabelSet
    reason: str
    """Why there are no photos; empty where there are."""


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
        return Panel(ids, None, None, _labels(results, ids), str(error))
    images = {name: image for name, (image, _) in pairs.items()}
    masks = {name: mask for name, (_, mask) in pairs.items()}
    return Panel(ids, images, masks, dataset.labels, "")


def _labels(results: list[Result], ids: list[str]) -> LabelSet:
    """Names as the results have them, and colours as the predictions have, without the data set."""
    done = next((result for result in results if result.done), None)
    if done is None:
        return LabelSet((Label(0, 0, "nothing was predicted", (0, 0, 0)),))
    names = done["data"]["classes"]
    with Image.open(done.predictions / f"{ids[0]}.png") as file:
        palette = file.getpalette() or []
    colours = np.array([*palette, *[0] * 768], np.uint8)[: 3 * len(names)].reshape(-1, 3)
    return LabelSet(
        tuple(
            Label(index, index, name, (int(red), int(green), int(blue)))
            for index, (name, (red, green, blue)) in enumerate(zip(names, colours, strict=True))
        )
    )


def png(pixels: UInt8, labels: LabelSet | None = None) -> str:
    """A data URI of RGB (H, W, 3), or of class indices (H, W) in the colours of `labels`."""
    image = Image.fromarray(pixels)
    if labels is not None:
        image.putpalette(labels.palette)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def look(result: Result, name: str, panel: Panel) -> dict[str, Any] | None:
    """A model's prediction, where it is wrong and how much; None where it was not kept."""
    path = result.predictions / f"{name}.png"
    if not path.is_file():
        return None
    with Image.open(path) as file:
        prediction = np.array(file, dtype=np.uint8)
    width = prediction.shape[1]
    shown: dict[str, Any] = {"prediction": png(prediction, panel.labels), "width": width}
    if panel.masks is not None:
        truth = panel.masks[name]
        scored = truth != IGNORE
        shown["errors"] = png(error_map(truth, prediction))
        shown["wrong"] = (prediction != truth)[scored].sum() / max(scored.sum(), 1)
    return shown
