"""What training minimises: losses of a network's outputs, exact over the global batch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
import torch.distributed
from torch import Tensor, nn

from datamodules.labels import IGNORE
from lightning_modules.boundaries import boundary_target
from lightning_modules.losses import (
    BatchLoss,
    Counts,
    balanced_boundary_sum,
    cross_entropy_sum,
    denominator,
    dice,
    focal_sum,
    lovasz,
    ohem_sum,
)

_OF_BATCHES: dict[str, BatchLoss] = {"dice": dice, "lovasz": lovasz}
_CERTAIN = 0.8  # PIDNet, arXiv 2206.02066, Eq. 6: from here on a predicted boundary is one


@dataclass(frozen=True, kw_only=True)
class Losses:
    """Values of an `Objective`.

    Attributes:
        terms: names (ce, ohem, focal, dice, lovasz, or of `own`) and their weights.
        own: losses of whole batches by name.
        class_weights, label_smoothing: of the cross-entropy, the former of ohem too.
        ohem_threshold, ohem_pixels: of `losses.ohem_sum`, the latter by image.
        aux_weight: of the cross-entropy of an output `aux`.
        boundary_weight: of the cross-entropy of an output `boundary`.
    """

    terms: tuple[tuple[str, float], ...] = (("ce", 1.0),)
    own: Mapping[str, BatchLoss] = field(default_factory=dict)
    class_weights: tuple[float, ...] | None = None
    label_smoothing: float = 0.0
    ohem_threshold: float = 0.9
    ohem_pixels: int = 1
    aux_weight: float = 0.0
    boundary_weight: float = 0.0


class Share(NamedTuple):
    """What a part of a batch adds to the mean of the whole: weight * total / parts."""

    weight: float
    total: Tensor
    parts: Tensor


class Objective(nn.Module):
    """Losses of outputs by their names, as `training_heads` of a network gives them.

    `out` has all terms; `aux` has the cross-entropy, as in the papers whose main loss is OHEM; with
    `boundary` come the balanced cross-entropy of boundaries and ohem of `out` where a boundary is
    predicted with certainty (PIDNet, arXiv 2206.02066, section 3.4, Eq. 5 to 7).
    """

    class_weights: Tensor | None

    def __init__(self, losses: Losses) -> None:
        super().__init__()
        self.losses = losses
        weights = losses.class_weights
        tensor = None if weights is None else torch.tensor(weights)
        self.register_buffer("class_weights", tensor, persistent=False)

    def counts(self, mask: Tensor, outputs: Mapping[str, Tensor]) -> Tensor:
        """What the labels (N, H, W) of a process divide its sums by, to be added up over processes.

        Returns:
            A vector of the values of `Counts`.
        """
        valid = (mask != IGNORE).flatten(1).sum(1)
        pixels = valid.sum().double()
        weights = self.class_weights
        weight = pixels if weights is None else denominator(mask, weights)
        boundary = boundary_target(mask).sum().double() if "boundary" in outputs else pixels
        return torch.stack([weight, pixels, (valid > 0).sum().double(), boundary])

    def forward(self, outputs: Mapping[str, Tensor], mask: Tensor, counts: Tensor) -> list[Share]:
        """What a part of the batch adds to the loss; a batch without a valid pixel adds 0.

        Args:
            outputs: maps (N, K, H, W) by name, of the part.
            mask: labels (N, H, W), of the part.
            counts: of the global batch.
        """
        known, losses = Counts(*counts), self.losses
        out = outputs["out"]
        shares = [self._term(name, weight, out, mask, known) for name, weight in losses.terms]
        if "aux" in outputs:
            shares.append(self._term("ce", losses.aux_weight, outputs["aux"], mask, known))
        if "boundary" in outputs:
            shares += self._boundary(outputs["boundary"], out, mask, known)
        return shares

    def _term(
        self, name: str, weight: float, logits: Tensor, mask: Tensor, counts: Counts
    ) -> Share:
        losses = self.losses
        if name == "ce":
            total = cross_entropy_sum(logits, mask, self.class_weights, losses.label_smoothing)
            return Share(weight, total, counts.weight.clamp(min=1))
        if name == "ohem":
            return Share(weight, self._ohem(logits, mask), counts.images.clamp(min=1))
        if name == "focal":
            return Share(weight, focal_sum(logits, mask), counts.valid.clamp(min=1))
        loss = _OF_BATCHES[name] if name in _OF_BATCHES else losses.own[name]
        return Share(weight, _of_global_batch(loss, logits, mask), torch.ones_like(counts.valid))

    def _ohem(self, logits: Tensor, mask: Tensor) -> Tensor:
        losses = self.losses
        return ohem_sum(logits, mask, self.class_weights, losses.ohem_threshold, losses.ohem_pixels)

    def _boundary(self, boundary: Tensor, out: Tensor, mask: Tensor, counts: Counts) -> list[Share]:
        certain = boundary.detach()[:, 0].sigmoid() > _CERTAIN
        there = torch.where(certain, mask, IGNORE)
        share = counts.boundary / counts.valid.clamp(min=1)
        total = balanced_boundary_sum(boundary, mask, boundary_target(mask), share)
        return [
            Share(self.losses.boundary_weight, total, counts.valid.clamp(min=1)),
            Share(1.0, self._ohem(out, there), counts.images.clamp(min=1)),
        ]


def _of_global_batch(loss: BatchLoss, logits: Tensor, mask: Tensor) -> Tensor:
    """This process's share of a loss over the batches of all: of its value one part in the number
    of processes, of its gradient that of its own logits, whole.

    Each process computes the loss of all, of which the others' logits are constants; so sums over
    processes, of values and of gradients, are those of one process that has the whole batch.
    """
    target = mask.long()
    ranks = torch.distributed.get_world_size() if torch.distributed.is_initialized() else 1
    if ranks > 1:
        logits, target = _gathered(logits, ranks), _gathered(target, ranks)
    # Without a valid pixel, and over a single class whose softmax is 1, there is nothing to learn.
    if logits.shape[1] == 1 or not bool((target != IGNORE).any()):
        return 0 * logits.sum()
    value = loss(logits, target)
    if not isinstance(value, Tensor) or value.ndim:
        raise ValueError(
            f"the function for the loss returned {type(value).__name__} of shape "
            f"{tuple(getattr(value, 'shape', ()))}: a tensor of one number is needed"
        )
    return value - (1 - 1 / ranks) * value.detach()


def _gathered(own: Tensor, ranks: int) -> Tensor:
    """The tensors of all processes along the batch, with the gradient of one's own."""
    parts = [torch.empty_like(own, memory_format=torch.contiguous_format) for _ in range(ranks)]
    torch.distributed.all_gather(parts, own.detach().contiguous())
    parts[torch.distributed.get_rank()] = own
    return torch.cat(parts)
