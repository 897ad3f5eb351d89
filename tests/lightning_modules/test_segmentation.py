"""The validation curve of the module, where torchmetrics would make numbers of matrices."""

import pytest
import torch
from torch import nn

from lightning_modules.segmentation import Segmentation

IGNORE = 255


@pytest.mark.parametrize("classes", [1, 2])
def test_the_curve_of_one_class_and_of_two(classes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("crack", "road")[:classes]
    module = Segmentation(
        nn.Conv2d(3, classes, 1), names, lr=0.1, momentum=0.9, weight_decay=0.0, power=0.9,
        steps=1, seed=0, bn_momentum=0.1,
    )  # fmt: skip
    monkeypatch.setattr(type(module), "global_step", 1)
    logged: dict[str, float] = {}
    monkeypatch.setattr(module, "log", lambda name, value: logged.update({name: float(value)}))
    truth = torch.tensor([[[0, 0, IGNORE, classes - 1]]], dtype=torch.uint8)
    for _ in range(2):  # it starts afresh after each
        module.confusion.update(torch.zeros(1, 1, 4, dtype=torch.int64), truth)
        module.on_validation_epoch_end()
        if classes == 1:
            assert logged == {"step": 1, "val/miou": 1, "val/iou/crack": 1}
        else:  # two pixels of three are right; the third is the second class's only one
            assert logged["val/iou/crack"] == pytest.approx(2 / 3)
            assert logged["val/miou"] == pytest.approx(1 / 3)
        logged.clear()
