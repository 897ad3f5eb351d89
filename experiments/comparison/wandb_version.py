"""A run on Weights & Biases as it is to be, whoever sends it."""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from experiments.training.wandb_content import RunInit, Values
from experiments.training.wandb_pictures import Picture
from experiments.trials.hashing import short_hash

if TYPE_CHECKING:  # it takes a second, and may be missing
    import wandb


@dataclass(frozen=True)
class Version:
    """A W&B run as it is to be."""

    init: RunInit
    content: str
    """Hash of all but the pictures, which a whole run from training has as well."""
    fill: "Callable[[wandb.Run], None]"
    """Logs to the run what is no picture."""
    pictures: list[Picture]
    classes: list[str]
    summary: Values
    failed: bool

    @property
    def identity(self) -> str:
        return self.init.identity

    @property
    def stamp(self) -> str:
        """What tells it from other versions of the same run."""
        if not self.pictures:
            return self.content
        pixels = sha256()
        for picture in self.pictures:
            for array in (picture.image, *picture.masks.values()):
                pixels.update(array.tobytes())
        return short_hash([self.content, pixels.hexdigest()])

    @property
    def id(self) -> str:
        return f"{self.identity}-{self.stamp}"
