"""Images under class indices as Weights & Biases shows them, small and few enough to be sent."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from datamodules.labels import IGNORE, UInt8

if TYPE_CHECKING:  # it takes a second, and may be missing or off
    import wandb

SIDE = 512  # pixels that a picture's longer side has at most
PICTURE_BYTES = 2_000_000  # of a run: panels of some dozen validations


@dataclass(frozen=True)
class Picture:
    """A photo (H, W, 3), and class indices (H, W) to lay over it."""

    caption: str
    image: UInt8
    masks: dict[str, UInt8]

    def small(self) -> "Picture":
        """The same, reduced by the whole number that brings it to SIDE."""
        by = -(-max(self.image.shape) // SIDE)
        photo = np.asarray(Image.fromarray(self.image).reduce(by))
        masks = {name: mask[::by, ::by] for name, mask in self.masks.items()}
        return Picture(self.caption, photo, masks)

    @property
    def num_bytes(self) -> int:
        """What its files take: a JPEG, and a PNG a mask."""
        files = [BytesIO() for _ in range(1 + len(self.masks))]
        Image.fromarray(self.image).save(files[0], "JPEG")
        for file, mask in zip(files[1:], self.masks.values(), strict=True):
            Image.fromarray(mask).save(file, "PNG")
        return sum(len(file.getvalue()) for file in files)


def wandb_images(
    pictures: Sequence[Picture], classes: Sequence[str], left: int
) -> "tuple[list[wandb.Image], int]":
    """`wandb.Image`s of the pictures that fit into `left` bytes, and what is left; 0 once full."""
    import wandb

    names = dict(enumerate(classes)) | {IGNORE: "ignore"}
    made = []
    for picture in map(Picture.small, pictures):
        if left and picture.num_bytes > left:
            print(f"W&B gets no more pictures of this run: {PICTURE_BYTES} bytes", file=sys.stderr)
            left = 0
        if left:
            left -= picture.num_bytes
            masks = {k: {"mask_data": m, "class_labels": names} for k, m in picture.masks.items()}
            made.append(
                wandb.Image(picture.image, masks=masks, caption=picture.caption, file_type="jpg")
            )
    return made, left
