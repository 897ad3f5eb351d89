"""The confusion matrix of the validation curve, against the scorer that reports numbers."""

import numpy as np
import pytest
import torch
from torchmetrics.classification import MulticlassConfusionMatrix

from experiments.scoring.counts import confusion
from lightning_modules.confusion_matrix import ConfusionMatrix


def _maps(seed: int, classes: int) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, (3, 9, 8), dtype=np.uint8)
    truth[rng.random(truth.shape) < 0.2] = 255
    prediction = rng.integers(0, classes, truth.shape, dtype=np.uint8)
    return torch.from_numpy(prediction), torch.from_numpy(truth)


@pytest.mark.parametrize("seed", range(4))
def test_equals_scorer_and_torchmetrics(seed: int) -> None:
    prediction, truth = _maps(seed, 6)
    ours = ConfusionMatrix(6)
    for i in range(len(truth)):  # one image a time, as in evaluation
        ours.update(prediction[i : i + 1], truth[i : i + 1])
    slow = sum(confusion(t, p, 6) for t, p in zip(truth.numpy(), prediction.numpy(), strict=True))
    theirs = MulticlassConfusionMatrix(6, ignore_index=255)
    theirs.update(prediction.long(), truth.long())
    assert ours.compute().dtype == torch.int64
    np.testing.assert_array_equal(ours.compute().numpy(), slow)
    np.testing.assert_array_equal(ours.compute().numpy(), theirs.compute().numpy())


def test_counts_do_not_round() -> None:
    """float32 stops counting at 2**24 pixels, five Cityscapes images."""
    matrix = ConfusionMatrix(2)
    matrix.matrix[0, 0] = 2**24
    matrix.update(torch.zeros(1, 1, 1), torch.zeros(1, 1, 1, dtype=torch.uint8))
    assert int(matrix.compute()[0, 0]) == 2**24 + 1
