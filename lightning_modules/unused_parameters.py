"""Parameters that a network has and its forward pass leaves out, as an auxiliary head of others."""

import sys
from collections.abc import Sequence
from copy import deepcopy

import torch
from torch import nn

from models.training_heads import TrainingHeads


def freeze_unused(model: nn.Module, heads: bool = False) -> list[str]:
    """Ask no gradient of the parameters to which no loss on the outputs leads; their names.

    Processes that train together wait for the gradient of every parameter that asks for one.
    The backward pass is run on the meta device, without numbers: 2 s of a core for HRNetV2-W48.
    A network that cannot run there is left as it is.

    Args:
        heads: losses are on the maps of its `training_heads`, not on its logits alone.
    """
    asked = {name: p for name, p in model.named_parameters() if p.requires_grad}
    empty = {
        id(p): nn.Parameter(p.detach().to("meta"), p.requires_grad) for p in model.parameters()
    }
    try:
        # A copy that has these for its parameters, so that none of their bytes is copied.
        copy = deepcopy(model, dict(empty)).to("meta").train()
        image = torch.empty(2, 3, 64, 64, device="meta")
        outputs = [copy(image)]
        if heads and isinstance(copy, TrainingHeads):
            outputs = [*copy.training_heads(image).values()]
        wanted = [empty[id(parameter)] for parameter in asked.values()]
        gradients = torch.autograd.grad([o.sum() for o in outputs], wanted, allow_unused=True)
    except Exception:  # whatever a network of one's own does with numbers that are not there
        return []
    unused = [name for name, gradient in zip(asked, gradients, strict=True) if gradient is None]
    for name in unused:
        asked[name].requires_grad_(False)
    return unused


def say_unused(names: Sequence[str]) -> None:
    """Say that these stay as they are."""
    if names:
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        print(
            f"warning: no loss reaches {', '.join(names[:3])}{more}, so they stay at their initial "
            "weights: forward does not use them",
            file=sys.stderr,
        )
