"""The confusion matrix of the validation curve: integers, one matrix for the whole set."""

import torch
from torch import Tensor
from torchmetrics import Metric

from datamodules.labels import IGNORE


class ConfusionMatrix(Metric):
    """int64 counts (K, K), rows truth and columns prediction, summed over ranks once at the end.

    Not torchmetrics' own: under deterministic algorithms that one builds an array of pixels times
    K*K, 6 GB for a Cityscapes image.
    """

    full_state_update = False
    matrix: Tensor

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        zeros = torch.zeros(num_classes, num_classes, dtype=torch.int64)
        self.add_state("matrix", zeros, dist_reduce_fx="sum")

    def update(self, prediction: Tensor, mask: Tensor) -> None:
        """Add class indices (N, H, W) against a mask of the same shape with 255 for ignore."""
        valid = mask != IGNORE
        cells = mask[valid].long() * self.num_classes + prediction[valid].long()
        counts = torch.bincount(cells.cpu(), minlength=self.num_classes**2)
        self.matrix += counts.view_as(self.matrix).to(self.matrix.device)

    def compute(self) -> Tensor:
        return self.matrix
