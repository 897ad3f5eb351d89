"""A small ADE20K: the benchmark's folders, names and modes, with random pixels."""

from pathlib import Path

import numpy as np
from PIL import Image

from datamodules.datasets.ade20k import ADE20K

# Width and height, which vary.
SIZES = {
    "train": [(64, 48), (48, 64), (67, 51), (80, 48), (64, 64), (71, 59)],
    "val": [(64, 48), (53, 70), (48, 48)],
}


def build(root: Path) -> None:
    """Write both splits into `root`, which is what the archive calls ADEChallengeData2016.

    The second training photo is grey, as some real ones are; ids 0 to 150 occur in every label.
    """
    rng = np.random.default_rng(0)
    for split, folder in (("train", "training"), ("val", "validation")):
        images, masks = root / "images" / folder, root / "annotations" / folder
        images.mkdir(parents=True)
        masks.mkdir(parents=True)
        for number, (width, height) in enumerate(SIZES[split], 1):
            id = f"ADE_{split}_{number:08}"
            pixels = rng.integers(256, size=(height, width, 3), dtype=np.uint8)
            grey = (split, number) == ("train", 2)
            Image.fromarray(pixels[..., 0] if grey else pixels).save(images / f"{id}.jpg")
            label = rng.permutation(np.arange(height * width) % 151).astype(np.uint8)
            Image.fromarray(label.reshape(height, width)).save(masks / f"{id}.png")
    rows = [f"{label.id}\t0.0067\t6\t3\t{label.name}\n" for label in ADE20K.labels[1:]]
    (root / "objectInfo150.txt").write_text("Idx\tRatio\tTrain\tVal\tName\n" + "".join(rows))
