"""Cross-entropy over valid pixels, split into a sum and a denominator.

The mean over valid pixels of a global batch is not the mean of its parts' means where void is
uneven. So every part gives its sum, and the denominator is that of the whole batch, over all
micro-batches and ranks.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from datamodules.labels import IGNORE


def cross_entropy_sum(logits: Tensor, mask: Tensor, weights: Tensor | None) -> Tensor:
    """Sum over valid pixels, in fp32.

    Args:
        logits: (N, K, H, W).
        mask: (N, H, W), integer, 255 for ignore.
        weights: (K,) or None.
    """
    return F.cross_entropy(
        logits.float(), mask.long(), weights, ignore_index=IGNORE, reduction="sum"
    )


def denominator(mask: Tensor, weights: Tensor | None) -> Tensor:
    """Number of valid pixels, or the sum of their class weights; a float64 scalar."""
    valid = mask[mask != IGNORE]
    if weights is None:
        return torch.tensor(valid.numel(), dtype=torch.float64, device=mask.device)
    return weights.double()[valid.long()].sum()
