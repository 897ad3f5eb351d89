"""Some images of the scored split to look at: photo, truth, predictions, and where those are wrong.

Of equal parts of the split, each shows the image on which the models differ most. Neighbouring
frames resemble each other, so the six largest differences alone may be six times one scene.
"""

import base64
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from datamodules import open_data
from datamodules.labels import IGNORE, DataError, Label, LabelSet, UInt8
from datamodules.registry import DATASETS
from experiments.analysis.model_summary import ModelSummary
from experiments.scoring.counts import image_miou
from experiments.scoring.prediction_files import read_file
from experiments.trials.result_types import FinishedTrial, TrialResult
from experiments.trials.results import finished, per_image

Floats = npt.NDArray[np.float64]

PANEL = 6  # images: enough to see a network's habits, few enough to look at each
SIDE = 480  # pixels, at most, of an image on the page: CamVid as it is, 20 to 40 KB a photo

_HATCH = 254  # a palette entry that no class has, as there are at most 254
_ERRORS = LabelSet((Label(0, 0, "right", (205, 208, 212)), Label(1, 1, "wrong", (200, 30, 40))))


@dataclass(frozen=True)
class Panel:
    """Photos (H, W, 3) and masks (H, W) by id, None where the data set is absent."""

    ids: list[str]
    images: dict[str, UInt8] | None
    masks: dict[str, UInt8] | None
    labels: LabelSet
    reason: str
    """Why there are no photos; empty where there are."""
    spread: dict[str, float]
    """By how much the per-image mIoU (a fraction) of the models differs; empty: evenly spaced."""


class Layer(NamedTuple):
    """A picture of an image; all layers of an image lie exactly on each other."""

    key: str
    """photo, truth, and for model i mi (its prediction) and ei (its errors)."""
    name: str
    uri: str
    wrong: float | None
    """Share of scored pixels that are wrong, for a model where the truth is at hand."""


class Shot(NamedTuple):
    """An image of the panel."""

    id: str
    layers: dict[str, Layer]


def make_panel(results: Sequence[TrialResult], data_root: Path | None) -> Panel:
    """Photos and truths of some images, or the reason why there are none.

    Raises:
        ValueError: no results, or a data set that this code does not know.
    """
    if not results:
        raise ValueError("no results to show: run a comparison first")
    spec, done = results[0].data_name, finished(results)
    spread = choose(done)
    ids = list(spread)
    told = spread if any(spread.values()) else {}
    try:
        dataset = open_data(spec, results[0].protocol.split, data_root)
        for name in ids:
            if name not in dataset.ids:
                raise DataError(f"the data set at hand lacks {name}, which was scored")
        pairs = {name: dataset[dataset.ids.index(name)] for name in ids}
    except DataError as error:
        if spec.split(":")[0] not in DATASETS:
            raise
        return Panel(ids, None, None, _labels(done, ids), str(error), told)
    images = {name: image for name, (image, _) in pairs.items()}
    masks = {name: mask for name, (_, mask) in pairs.items()}
    return Panel(ids, images, masks, dataset.labels, "", told)


def choose(done: Sequence[FinishedTrial]) -> dict[str, float]:
    """Ids to show, with the difference between the best and the worst model's mIoU there.

    A model's mIoU of an image is the mean over its seeds. Only images are taken of which every
    trial that keeps predictions has one; of equal ones that in the middle of its part, so that one
    model shows the same evenly spaced images in every run.
    """
    ids: list[str] = []
    by_model: dict[str, list[Floats]] = {}
    keeping: list[FinishedTrial] = []
    for result in done:
        counts = per_image(result)
        if counts is None:
            continue
        ids = ids or [str(name) for name in counts["ids"]]
        miou = image_miou(counts["tp"], counts["fp"], counts["fn"])
        by_model.setdefault(result.label, []).append(miou)
        if result.predictions.is_dir():
            keeping.append(result)
    if not ids:
        return {}
    spread = _spread(by_model.values())
    kept = [i for i, name in enumerate(ids) if all(_path(r, name).is_file() for r in keeping)]
    parts = np.array_split(kept or np.arange(len(ids)), min(PANEL, len(kept or ids)))
    best = [max(part, key=lambda i: (spread[i], -abs(i - np.median(part)))) for part in parts]
    return {ids[i]: float(spread[i]) for i in best}


def _spread(models: Iterable[list[Floats]]) -> Floats:
    """(images,) difference of the models' largest and smallest mIoU; 0 where nothing is scored."""
    means = np.stack([np.mean(seeds, axis=0) for seeds in models])
    spread: Floats = np.nan_to_num(means.max(0) - means.min(0))
    return spread


def _path(result: FinishedTrial, name: str) -> Path:
    return result.predictions / f"{name}.png"


def _labels(done: Sequence[FinishedTrial], ids: list[str]) -> LabelSet:
    """Names as the results have them, and colours as the predictions have, without the data set."""
    keeping = next((trial for trial in done if ids and _path(trial, ids[0]).is_file()), None)
    if keeping is None:
        return LabelSet((Label(0, 0, "nothing was kept", (0, 0, 0)),))
    names = keeping.data.classes
    palette = read_file(_path(keeping, ids[0])).palette
    colours = np.array([*palette, *[0] * 768], np.uint8)[: 3 * len(names)].reshape(-1, 3)
    return LabelSet(
        tuple(
            Label(index, index, name, (int(red), int(green), int(blue)))
            for index, (name, (red, green, blue)) in enumerate(zip(names, colours, strict=True))
        )
    )


def shots(panel: Panel, models: Sequence[ModelSummary]) -> list[Shot]:
    """Every picture of the panel; predictions are those of each model's first seed."""
    return [Shot(name, _layers(panel, name, models)) for name in panel.ids]


def _layers(panel: Panel, name: str, models: Sequence[ModelSummary]) -> dict[str, Layer]:
    layers = []
    truth = None if panel.masks is None else panel.masks[name]
    if panel.images is not None and truth is not None:
        layers.append(Layer("photo", "photo", photo(panel.images[name]), None))
        layers.append(Layer("truth", "truth", picture(truth, panel.labels), None))
    for i, summary in enumerate(models):
        path = _path(summary.trials[0], name)
        if not path.is_file():
            continue
        prediction = read_file(path).values.astype(np.uint8)
        errors = None if truth is None else error_map(truth, prediction)
        scored = None if errors is None else errors[errors != IGNORE]
        wrong = None if scored is None else float(scored.sum() / max(scored.size, 1))
        model = summary.model
        layers.append(Layer(f"m{i}", model, picture(prediction, panel.labels), wrong))
        if errors is not None:
            layers.append(Layer(f"e{i}", f"errors of {model}", picture(errors, _ERRORS), wrong))
    return {layer.key: layer for layer in layers}


def error_map(truth: UInt8, prediction: UInt8) -> UInt8:
    """(H, W) twice to (H, W): 0 where right, 1 where wrong, 255 where not scored."""
    return np.where(truth == IGNORE, IGNORE, truth != prediction).astype(np.uint8)


def picture(mask: UInt8, labels: LabelSet) -> str:
    """A data URI of class indices (H, W); what is not scored is hatched grey on white."""
    small = np.array(_fit(Image.fromarray(mask), Image.Resampling.NEAREST))
    rows, columns = np.indices(small.shape)
    small[(small == IGNORE) & ((rows + columns) % 8 < 2)] = _HATCH
    image = Image.fromarray(small)
    image.putpalette(labels.palette[: 3 * _HATCH] + bytes([160] * 3 + [255] * 3))
    buffer = io.BytesIO()
    image.save(buffer, "png", optimize=True)
    return _uri(buffer, "png")


def photo(pixels: UInt8) -> str:
    """A data URI of RGB (H, W, 3)."""
    buffer = io.BytesIO()
    _fit(Image.fromarray(pixels), Image.Resampling.LANCZOS).save(buffer, "jpeg", quality=75)
    return _uri(buffer, "jpeg")


def _fit(image: Image.Image, how: Image.Resampling) -> Image.Image:
    scale = min(1.0, SIDE / max(image.size))
    return image.resize((round(image.width * scale), round(image.height * scale)), how)


def _uri(file: io.BytesIO, kind: Literal["png", "jpeg"]) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"
