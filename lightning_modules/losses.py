"""Losses over pixels, each a sum and a count, so that a mean is of the whole global batch.

The mean over a global batch is not the mean of its parts' means where void is uneven. So every
part (a micro-batch, a process) gives its sum, and the count that divides it is that of the whole
batch. What is no such sum (Dice, Lovasz, one's own) sees the whole batch at once.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from datamodules.labels import IGNORE

BatchLoss = Callable[[Tensor, Tensor], Tensor]
"""Of logits (N, K, H, W) and labels (N, H, W; int64, 255 for ignore) of a whole batch: a scalar."""


def cross_entropy_sum(
    logits: Tensor, mask: Tensor, weights: Tensor | None, label_smoothing: float = 0.0
) -> Tensor:
    """Sum over valid pixels, in fp32.

    Args:
        logits: (N, K, H, W).
        mask: (N, H, W), integer, 255 for ignore.
        weights: (K,) or None.
        label_smoothing: share of each pixel's target that is spread over all classes (Szegedy et
            al., arXiv 1512.00567, section 7).
    """
    target = mask.long()
    if logits.is_cuda and torch.are_deterministic_algorithms_enabled():
        # Of maps, CUDA adds the pixels in any order; of rows, always in the same.
        logits, target = logits.permute(0, 2, 3, 1).flatten(0, 2), target.flatten()
    return F.cross_entropy(
        single(logits),
        target,
        weights,
        ignore_index=IGNORE,
        reduction="sum",
        label_smoothing=label_smoothing,
    )


def denominator(mask: Tensor, weights: Tensor | None) -> Tensor:
    """Number of valid pixels, or the sum of their class weights; a float64 scalar.

    The device is not waited for, as it would be by whoever asks for the valid pixels themselves.
    """
    valid = mask != IGNORE
    if weights is None:
        return valid.sum().double()
    return (weights.double()[torch.where(valid, mask, 0).long()] * valid).sum()


def ohem_sum(
    logits: Tensor, mask: Tensor, weights: Tensor | None, threshold: float, pixels: int
) -> Tensor:
    """Cross-entropy of the hard pixels: a sum over images of each one's mean over those it keeps.

    An image keeps the pixels whose true class has a probability below `threshold`, and at least
    the `pixels` least probable ones, or all if it has fewer. Official codes (HRNet's and PIDNet's
    `OhemCrossEntropy`) take both over what one GPU holds, which ties the loss to their number; per
    image it is the same for any. As there, the mean is over kept pixels, not over their weights.

    Args:
        logits: (N, K, H, W).
        mask: (N, H, W), integer, 255 for ignore. An image without a valid pixel adds 0.
        weights: (K,) or None.
    """
    target, logits = mask.long(), single(logits)
    losses = F.cross_entropy(logits, target, weights, ignore_index=IGNORE, reduction="none")
    valid = (target != IGNORE).flatten(1)
    with torch.no_grad():
        true = torch.where(target != IGNORE, target, 0)[:, None]
        probability = logits.softmax(1).gather(1, true).flatten(1)
        probability = probability.masked_fill(~valid, torch.inf)
        least = valid.sum(1).clamp(min=1, max=pixels) - 1
        limit = probability.sort(1).values.gather(1, least[:, None])
        kept = valid & ((probability < threshold) | (probability <= limit))
    return ((losses.flatten(1) * kept).sum(1) / kept.sum(1).clamp(min=1)).sum()


def focal_sum(logits: Tensor, mask: Tensor) -> Tensor:
    """Focal loss with gamma 2, a sum over valid pixels, in fp32 (Lin et al., arXiv 1708.02002).

    Of segmentation-models-pytorch: each class against the rest by a sigmoid, as in the paper (Eq.
    5 with alpha left out), of which each pixel has the mean over classes, not their sum.

    Args:
        logits: (N, K, H, W).
        mask: (N, H, W), integer, 255 for ignore.
    """
    from segmentation_models_pytorch.losses import FocalLoss  # seconds, which others do not wait

    loss = FocalLoss("multiclass", gamma=2.0, ignore_index=IGNORE, reduction="sum")
    total: Tensor = loss(single(logits), mask.long())
    return total


def dice(logits: Tensor, mask: Tensor) -> Tensor:
    """Soft Dice loss of a whole batch: the mean over classes of 1 - 2 |p y| / (|p| + |y|).

    Of segmentation-models-pytorch (after Milletari et al., arXiv 1606.04797, section 3): sums are
    over all valid pixels of the batch; a class that it does not show adds 0 to a mean over all.
    """
    from segmentation_models_pytorch.losses import DiceLoss

    loss: Tensor = DiceLoss("multiclass", ignore_index=IGNORE)(single(logits), mask.long())
    return loss


def lovasz(logits: Tensor, mask: Tensor) -> Tensor:
    """Lovasz-Softmax of a whole batch (Berman et al., arXiv 1705.08790, section 3).

    Of segmentation-models-pytorch, the authors' code: the mean over the classes that the batch
    shows of a surrogate of 1 - IoU over its valid pixels.
    """
    from segmentation_models_pytorch.losses import LovaszLoss

    # Its code multiplies by vectors of fp32.
    loss: Tensor = LovaszLoss("multiclass", ignore_index=IGNORE)(logits.float(), mask.long())
    return loss


def balanced_boundary_sum(logits: Tensor, mask: Tensor, boundary: Tensor, share: Tensor) -> Tensor:
    """Binary cross-entropy of boundaries, both kinds weighing alike: a sum over valid pixels.

    A boundary pixel counts by the share of the others, and the other way round (PIDNet, arXiv
    2206.02066, Eq. 5 with its code's weights; after Xie and Tu, arXiv 1504.06375, Eq. 2). Void,
    which has no boundaries, is left out; in the official code it is background.

    Args:
        logits: (N, 1, H, W).
        mask: (N, H, W), integer, 255 for ignore.
        boundary: (N, H, W) bool.
        share: of boundary pixels among the valid ones of the whole global batch; a scalar.
    """
    logits = single(logits)[:, 0]
    weight = torch.where(boundary, 1 - share, share) * (mask != IGNORE)
    values = F.binary_cross_entropy_with_logits(logits, boundary.to(logits.dtype), reduction="none")
    return (values * weight.to(logits.dtype)).sum()


class Counts(NamedTuple):
    """What sums over a batch are divided by; float64 scalars, that add up over parts.

    Attributes:
        weight: of the valid pixels (`denominator`).
        valid: pixels.
        images: that have a valid pixel.
        boundary: pixels on boundaries of the labels; without such a head, any number.
    """

    weight: Tensor
    valid: Tensor
    images: Tensor
    boundary: Tensor


def single(logits: Tensor) -> Tensor:
    """In fp32, or more if they are."""
    return logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits
