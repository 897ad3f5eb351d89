"""Random label maps with predictions, for what is counted of them."""

import numpy as np

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
