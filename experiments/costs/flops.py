"""What a network costs in operations, counted on the meta device in a second, at any size.

Convolutions and matrix products are counted, one multiply-add as one; normalisation, activations,
pooling and interpolation are not.
"""

import math
from functools import partial

from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from experiments.costs.layer_trace import Layer, on_meta, record
from experiments.costs.network_cost import LayerCost, NetworkCost, OperationCount, paper_gflops
from experiments.costs.published_costs import (
    PAPER_CLASSES,
    PAPER_SIZE,
    difference_note,
    is_papers_setting,
    published_figures,
)
from models import build_model
from models.weights import trunk


def count(model: str, num_classes: int, size: tuple[int, int]) -> OperationCount:
    """Parameters and multiply-adds of one forward pass at (height, width).

    Raises:
        ValueError: options that name no network.
    """
    network, image = on_meta(partial(build_model, model, num_classes), 3, size)
    with FlopCounterMode(display=False) as counter:
        record(network, image)
    return OperationCount(sum(p.numel() for p in network.parameters()), _gmacs(counter))


def paper_count(model: str) -> OperationCount:
    """`count` at the size and for the classes of the HRNet paper's Table III."""
    return count(model, PAPER_CLASSES, PAPER_SIZE)


def trace_cost(model: str, num_classes: int, size: tuple[int, int]) -> NetworkCost:
    """What one forward pass at (height, width) takes, layer by layer, without memory or time.

    Published figures stand beside it where they are of this size and these classes.

    Raises:
        ValueError: options that name no network.
    """
    network, image = on_meta(partial(build_model, model, num_classes), 3, size)
    active: dict[nn.Parameter, None] = {}
    for module in network.modules():
        module.register_forward_hook(
            lambda module, *_: active.update(dict.fromkeys(module.parameters(recurse=False)))
        )
    with FlopCounterMode(display=False) as counter:
        layers = record(network, image)
    sizes = {name: p.numel() for name, p in network.named_parameters()}
    params, gmacs = sum(sizes.values()), _gmacs(counter)
    comparable = is_papers_setting(size, num_classes)
    return NetworkCost(
        model,
        params,
        params_active=sum(p.numel() for p in active),
        params_trunk=sum(sizes[name] for name in trunk(sizes)),
        gmacs=gmacs,
        layers=tuple(_layer_cost(layer, size) for layer in layers),
        published=published_figures(model, params, paper_gflops(gmacs)) if comparable else (),
        note=difference_note(model) if comparable else None,
    )


def _gmacs(counter: FlopCounterMode) -> float:
    return counter.get_total_flops() / 2 / 1e9


def _layer_cost(layer: Layer, size: tuple[int, int]) -> LayerCost:
    """A stride as a power of two: 360 rows to 12 are 1/32."""
    stride = 2 ** round(math.log2(math.prod(size) / layer.cells) / 2)
    return LayerCost(stride, layer.channels, layer.macs)
