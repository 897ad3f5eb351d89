"""Some images of the split that a trial was scored on, as its network sees them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from datamodules.dataset import Dataset
from datamodules.loading.cache import open_cached
from experiments.trials.data_check import check_splits
from experiments.trials.result_types import FinishedTrial
from lightning_modules.normalisation import Normalisation


@dataclass(frozen=True)
class ScoredImages:
    """Images evenly spaced over a split, from its first to its last.

    Attributes:
        indices: of the images in the split.
        fingerprint: of the split.
    """

    data: Dataset
    indices: tuple[int, ...]
    fingerprint: str

    def __iter__(self) -> Iterator[Tensor]:
        """Each image (3, H, W), normalised as in training."""
        normalise = Normalisation()
        for index in self.indices:
            image = torch.from_numpy(np.array(self.data[index][0]))
            yield normalise(image[None])[0]


def scored_images(result: FinishedTrial, root: Path | None, num_images: int) -> ScoredImages:
    """So many images of the scored split; all of them where it has no more.

    Args:
        root: folder of the data set.

    Raises:
        ValueError: fewer than one, or a split that is not there or not the one that was scored.
    """
    if num_images < 1:
        raise ValueError(f"{num_images} images show nothing: give at least 1")
    name, split = result.data.name, result.data.split
    fingerprint = check_splits(name, root, [split]).splits[split].fingerprint
    scored = result.data.fingerprints.get(split, fingerprint)
    if fingerprint != scored:
        raise ValueError(
            f"the split {split} of {name} in {root} is not the one that {result.path} was scored "
            f"on (fingerprint {fingerprint}, not {scored}): name the folder of that data with "
            "--data-root"
        )
    data = open_cached(name, split, root, fingerprint)
    return ScoredImages(data, evenly_spaced(len(data.ids), num_images), fingerprint)


def evenly_spaced(length: int, count: int) -> tuple[int, ...]:
    """Indices from first to last, as even as whole numbers allow; all where there are no more."""
    count = min(count, length)
    return tuple(round(i * (length - 1) / max(count - 1, 1)) for i in range(count))
