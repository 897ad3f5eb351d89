"""A comparison of the size that people run: 10 models, 3 seeds, 500 images, 19 classes."""

from pathlib import Path

import numpy as np
from PIL import Image

from tests.experiments.made import trial

CLASSES = [f"class{k}" for k in range(19)]
WIDTHS = np.array([1, 2, 3, 5, 8, 12, 20])


def write_large(root: Path) -> None:
    """Results with counts of images and bands, and the predictions of some images."""
    ids = np.array([f"image{i:03d}" for i in range(500)])
    truth = np.random.default_rng(0).integers(1000, 9000, (500, 19))
    data = {"name": "cityscapes", "split": "val", "num_images": 500, "classes": CLASSES}
    for model, seed in np.ndindex(10, 3):
        rng = np.random.default_rng([model, seed])
        hits = rng.binomial(truth, 0.5 + 0.02 * model)
        whole = np.stack([hits, rng.integers(0, 2000, truth.shape), truth - hits], 1)
        band = whole[:, None] * np.arange(1, 8)[:, None, None] // 10
        counts = {"ids": ids, "groups": ids, "widths": WIDTHS, "band": band.astype(np.int32)}
        counts |= dict(zip(("tp", "fp", "fn"), np.moveaxis(whole, 1, 0), strict=True))
        made = trial(
            root,
            f"model{model}",
            counts,
            seed,
            recipe={"data": "cityscapes", "test_split": "val"},
            data=data,
            protocol={"split": "val", "passes": {}},
            block=None,
            curve={"train": [[1, 2.4], [2, 1.2]], "val": [[1, 0.25], [2, 0.3]]},
        )
        made.predictions.mkdir()
        image = Image.fromarray((rng.random((128, 256)) * 19).astype(np.uint8))
        image.putpalette(bytes(range(57)))
        for name in ids[::60]:
            image.save(made.predictions / f"{name}.png")
