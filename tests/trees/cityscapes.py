"""A small Cityscapes: the published folders, names and modes, with random pixels of 96x48."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from cityscapesscripts.helpers.labels import id2label
from PIL import Image

IDS = {
    "train": [
        *("aachen_000000_000019", "aachen_000001_000019", "aachen_000002_000019"),
        *("zurich_000000_000019", "zurich_000001_000019", "zurich_000121_000019"),
    ],
    "val": ["frankfurt_000000_000294", "frankfurt_000001_002512", "munster_000000_000019"],
    "test": ["berlin_000000_000019", "munich_000397_000019"],
}


def build(root: Path, kinds: Sequence[str] = ("labelIds",), *, placeholders: bool = True) -> None:
    """Write the three splits; every id from 0 to 33 occurs in each label of train and val.

    Args:
        kinds: of label files: labelIds, as published, or labelTrainIds, as the scripts make them.
        placeholders: the test split has label files, which hold the car's hood and the border.
    """
    rng = np.random.default_rng(0)
    for split, ids in IDS.items():
        for id in ids:
            city = id.split("_")[0]
            for folder in ("leftImg8bit", "gtFine"):
                (root / folder / split / city).mkdir(parents=True, exist_ok=True)
            pixels = rng.integers(256, size=(48, 96, 3), dtype=np.uint8)
            image = root / "leftImg8bit" / split / city / f"{id}_leftImg8bit.png"
            Image.fromarray(pixels).save(image)
            values = 4 if split == "test" else 34
            label = rng.permutation(np.arange(48 * 96) % values).astype(np.uint8).reshape(48, 96)
            if split != "test" or placeholders:
                _write_labels(root / "gtFine" / split / city / f"{id}_gtFine", label, kinds)


def _write_labels(stem: Path, label: np.ndarray, kinds: Sequence[str]) -> None:
    """All that is published of one label, with polygons that are empty."""
    maps = {
        "labelIds": np.arange(34),
        "labelTrainIds": np.array([id2label[i].trainId for i in range(34)]),
    }
    for kind in kinds:
        Image.fromarray(maps[kind].astype(np.uint8)[label]).save(f"{stem}_{kind}.png")
    colours = np.array([(*id2label[i].color, 255) for i in range(34)], np.uint8)
    Image.fromarray(colours[label]).save(f"{stem}_color.png")
    Image.fromarray(label.astype(np.uint16)).save(f"{stem}_instanceIds.png")
    polygons = {"imgHeight": label.shape[0], "imgWidth": label.shape[1], "objects": []}
    Path(f"{stem}_polygons.json").write_text(json.dumps(polygons))
