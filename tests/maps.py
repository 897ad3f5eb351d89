"""Label maps with predictions, for what is counted of them."""

import cv2
import numpy as np

from datamodules.datasets.camvid import CAMVID
from datamodules.labels import IGNORE, UInt8


def maps(seed: int, num_classes: int, side: int = 14) -> tuple[UInt8, UInt8]:
    """Blocks of some classes with void, and a prediction that is moved and wrong in places."""
    rng = np.random.default_rng(seed)
    height, width, block = rng.integers(1, side), rng.integers(1, side), rng.integers(1, 6)
    classes = rng.choice(num_classes, rng.integers(1, num_classes), replace=False).astype(np.uint8)
    coarse = rng.choice(classes, (height // block + 2, width // block + 2))
    fine = np.kron(coarse, np.ones((block, block), np.uint8))
    top, left = rng.integers(0, 2, 2)
    truth, prediction = fine[:height, :width].copy(), fine[top:, left:][:height, :width].copy()
    wrong = rng.random(truth.shape) < 0.1
    prediction[wrong] = rng.integers(0, num_classes, wrong.sum())
    truth[rng.random(truth.shape) < rng.choice([0, 0.2, 0.7])] = IGNORE
    return truth, prediction


def scene(height: int, width: int, classes: int = 19) -> tuple[UInt8, UInt8]:
    """Blobs of all classes and thin poles; predicted with other outlines and specks."""
    rng = np.random.default_rng(0)

    def blobs() -> np.ndarray:
        noise = rng.standard_normal((height // 8, width // 8)).astype(np.float32)
        return cv2.resize(
            cv2.GaussianBlur(noise, (0, 0), 8), (width, height), interpolation=cv2.INTER_CUBIC
        )

    fields = np.stack([blobs() for _ in range(classes)])
    truth = fields.argmax(0).astype(np.uint8)
    prediction = (fields + 0.1 * np.stack([blobs() for _ in fields])).argmax(0).astype(np.uint8)
    for x in range(0, width - 20, 33):
        top, thick = rng.integers(0, height // 2), rng.integers(1, 9)
        truth[top : top + height // 3, x : x + thick] = x % classes
        prediction[top : top + height // 3, x + 1 : x + 1 + thick] = x % classes
    specks = rng.random(truth.shape) < 0.002
    prediction[specks] = rng.integers(0, classes, specks.sum())
    truth[-height // 16 :] = IGNORE
    return truth, prediction


class LabelMaps:
    """A data set of label maps alone."""

    labels = CAMVID

    def __init__(self, masks: list[UInt8], groups: list[str] | None = None) -> None:
        self.masks = masks
        self.ids = [f"image{i}" for i in range(len(masks))]
        self.groups = groups or ["clip"] * len(masks)

    def __getitem__(self, index: int) -> tuple[UInt8, UInt8]:
        return np.zeros((*self.masks[index].shape, 3), np.uint8), self.masks[index]

    def mask(self, index: int) -> UInt8:
        return self.masks[index]

    def fingerprint(self) -> str:
        return "maps"


def random_splits(seed: int, count: int = 3) -> tuple[list[UInt8], list[UInt8]]:
    """Labels of some images with void, and predictions of as many."""
    rng = np.random.default_rng(seed)
    k = CAMVID.num_classes
    classes = rng.choice(k, rng.integers(1, k), replace=False)  # some never occur
    sizes = [tuple(rng.integers(1, 12, 2)) for _ in range(count)]
    truths = [rng.choice(classes, size).astype(np.uint8) for size in sizes]
    for truth in truths:
        truth[rng.random(truth.shape) < 0.3] = 255
    predictions = [rng.choice(classes, size).astype(np.uint8) for size in sizes]
    return truths, predictions
