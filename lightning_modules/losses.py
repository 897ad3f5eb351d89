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
    target = mask.long()
    if logits.is_cuda and torch.are_deterministic_algorithms_enabled():
        # Of maps, CUDA adds the pixels in any order; of rows, always in the same.
        logits, target = logits.permute(0, 2, 3, 1).flatten(0, 2), target.flatten()
    return F.cross_entropy(logits.float(), target, weights, ignore_index=IGNORE, reduction="sum")


def denominator(mask: Tensor, weights: Tensor | None) -> Tensor:
    """Number of valid pixels, or the sum of their class weights; a float64 scalar.

    The device is not waited for, as it would be by whoever asks for the valid pixels themselves.
    """
    valid = mask != IGNORE
    if weights is None:
        return valid.sum().double()
    return (weights.double()[torch.where(valid, mask, 0).long()] * valid).sum()
