"""Images of a panel under truth and predictions, as Weights & Biases shows them."""

from collections.abc import Mapping

import numpy as np

from datamodules.labels import UInt8
from experiments.reporting.image_panel import Panel
from experiments.scoring.prediction_files import read_file
from experiments.training.wandb_pictures import Picture
from experiments.trials.result_types import TrialResult


def panel_pictures(
    panel: Panel,
    name: str,
    results: Mapping[str, TrialResult],
    truths: Mapping[str, UInt8] | None = None,
) -> list[Picture]:
    """The image under the truth and under the predictions of it that were kept; none without."""
    masks = {"truth": truths[name]} if truths else {}
    for key, result in results.items():
        path = result.predictions / f"{name}.png"
        if result.done and path.is_file():
            masks[key] = read_file(path).values.astype(np.uint8)
    if not set(masks) - {"truth"}:
        return []
    if panel.images is not None:
        ground = panel.images[name]
    else:  # the data set is not here: a prediction in colours stands in for the photo
        colours = np.frombuffer(panel.labels.palette, np.uint8).reshape(-1, 3)
        ground = colours[next(iter(masks.values()))]
    return [Picture(name, ground, masks)]
