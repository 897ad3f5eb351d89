"""Which optimiser trains a network, and which of its parameters learn how fast and decay."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn
from torch.optim import SGD, AdamW, Optimizer

from lightning_modules.schedule import Schedule
from models.weights import trunk

Group = dict[str, Any]  # as torch's optimisers take it: params, lr, weight_decay and lr_scale
OwnOptimizer = Callable[[list[Group]], Optimizer]


@dataclass(frozen=True, kw_only=True)
class Optimisation:
    """Values of an optimiser; a rate follows the schedule, times the group's `lr_scale`.

    Attributes:
        optimizer: sgd, adamw, or one's own, which makes an optimiser of groups.
        no_decay: leave parameters of one dimension, as norms and biases, out of `weight_decay`.
        head_lr: times the rate, for what is not of the trunk (`models.weights.trunk`).
        layer_decay: times the rate, from each block of the trunk to the one below.
        clip_norm: to which the gradient's 2-norm is scaled down; None leaves it.
    """

    schedule: Schedule
    optimizer: str | OwnOptimizer = "sgd"
    momentum: float = 0.9
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0
    no_decay: bool = False
    head_lr: float = 1.0
    layer_decay: float = 1.0
    clip_norm: float | None = None


def build_optimizer(model: nn.Module, how: Optimisation, fused: bool) -> Optimizer:
    """The optimiser of all parameters of a network.

    Args:
        fused: one kernel for all weights. On a CPU it saves nothing and rounds otherwise.

    Raises:
        ValueError: `layer_decay` of a network whose trunk has no blocks, or a function of one's
            own that makes no optimiser.
    """
    groups, lr = parameter_groups(model, how), how.schedule.lr
    if how.optimizer == "sgd":
        return SGD(groups, lr=lr, momentum=how.momentum, fused=fused)
    if how.optimizer == "adamw":
        return AdamW(groups, lr=lr, betas=how.betas, eps=how.eps, fused=fused)
    assert not isinstance(how.optimizer, str)
    optimizer = how.optimizer(groups)
    if not isinstance(optimizer, Optimizer):
        raise ValueError(
            f"the function for the optimizer returned {type(optimizer).__name__}: a "
            "torch.optim.Optimizer of the groups that it is called with is needed"
        )
    return optimizer


def parameter_groups(model: nn.Module, how: Optimisation) -> list[Group]:
    """Parameters by their rate and decay, each kind in the network's order."""
    in_trunk = _trunk(model)
    layers = layer_scales(model, how.layer_decay) if how.layer_decay != 1 else {}
    groups: dict[tuple[float, float], Group] = {}
    for name, parameter in model.named_parameters():
        scale = layers.get(name, 1.0) * (1.0 if name in in_trunk else how.head_lr)
        decay = 0.0 if how.no_decay and parameter.ndim <= 1 else how.weight_decay
        lr = how.schedule.lr * scale
        new = {"params": [], "lr": lr, "lr_scale": scale, "weight_decay": decay}
        groups.setdefault((scale, decay), new)["params"].append(parameter)
    return list(groups.values())


def layer_scales(model: nn.Module, decay: float) -> dict[str, float]:
    """How many times the rate each parameter of a trunk of n blocks learns with, by its name.

    decay^(n + 1 - i) in block i of 1 to n, with i = 0 for the embedding before the first (Bao et
    al., BEiT, arXiv 2106.08254, appendix; ELECTRA, arXiv 2003.10555, section 3.4). What stands
    between blocks, as norms, is of the block before it. All else has 1.

    Raises:
        ValueError: a trunk without blocks of one kind in a row.
    """
    in_trunk = _trunk(model)
    blocks = [name for name in _blocks(model) if any(n.startswith(f"{name}.") for n in in_trunk)]
    if not blocks:
        raise ValueError(
            f"layer_decay is of blocks in a row, as of a transformer's trunk, and the trunk of "
            f"{type(model).__name__} has none: leave it out with --set layer_decay=1"
        )
    found, now = {}, 0
    for name, _ in model.named_parameters():
        if name in in_trunk:
            own = (i for i, block in enumerate(blocks, 1) if name.startswith(f"{block}."))
            now = next(own, now)
            found[name] = decay ** (len(blocks) + 1 - now)
    return found


def _trunk(model: nn.Module) -> set[str]:
    """Names of its parameters; heads are not of it, those that only training uses neither."""
    heads = tuple(f"{name}." for name in getattr(model, "auxiliary", ()))
    return {
        n for n in trunk(name for name, _ in model.named_parameters()) if not n.startswith(heads)
    }


def _blocks(model: nn.Module) -> list[str]:
    """Names of modules that stand in a list of their kind with parts of their own, no such list
    within: blocks, not stages of blocks."""
    rows = [name for name, module in model.named_modules() if _is_row(module)]
    lowest = [row for row in rows if not any(other.startswith(f"{row}.") for other in rows)]
    modules = dict(model.named_modules())
    return [f"{row}.{child}" for row in lowest for child, _ in modules[row].named_children()]


def _is_row(module: nn.Module) -> bool:
    parts = list(module.children())
    return (
        isinstance(module, nn.Sequential | nn.ModuleList)
        and len(parts) > 1
        and len({type(part) for part in parts}) == 1
        and all(any(True for _ in part.children()) for part in parts)
    )
