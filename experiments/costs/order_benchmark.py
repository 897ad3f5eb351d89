"""Two orders of the same layers: whether they give the same values, and what each takes."""

import statistics
import time

import numpy as np
import torch
from scipy.special import stdtrit
from torch import Tensor, nn

from experiments.costs.device import hardware, synchronise, this_device
from experiments.costs.flops import count
from experiments.costs.layer_order import LayerOrder
from models import build_model

SIZE = (512, 512)  # at which the lecture goes through the network
_BATCH = 2  # of batch norm's own statistics
_WARM_UP = 2


def measure_order(
    first: str,
    second: str,
    *,
    num_classes: int = 19,
    size: tuple[int, int] = SIZE,
    num_pairs: int = 20,
) -> LayerOrder:
    """Values, operations and seconds; nothing else may run beside it.

    Both get the weights of the first, drawn from a fixed seed, and the running statistics of a few
    batches of noise, as those of a new network are 0 and 1 and hide an order.

    Raises:
        ValueError: options that name no network, or two whose weights have not the same names.
    """
    torch.manual_seed(0)
    pair = [build_model(model, num_classes) for model in (first, second)]
    _settle(pair[0], size)
    if pair[0].state_dict().keys() != pair[1].state_dict().keys():
        raise ValueError(f"{first} and {second} have other weights: name two orders of one network")
    pair[1].load_state_dict(pair[0].state_dict())
    images = torch.randn(_BATCH, 3, *size)
    seconds = _in_turn(pair, images[:1], num_pairs)
    logs = np.log(seconds[:, 0] / seconds[:, 1])
    middle = float(logs.mean())
    half = float(stdtrit(num_pairs - 1, 0.975) * logs.std(ddof=1) / np.sqrt(num_pairs))
    medians = [statistics.median(own.tolist()) for own in seconds.T]
    ratio, low, high = (float(np.exp(middle + by)) for by in (0.0, -half, half))
    return LayerOrder(
        first=first,
        second=second,
        size=size,
        difference=_difference(pair, images[:1], train=False),
        batch_difference=_difference(pair, images, train=True),
        gmacs=(count(first, num_classes, size).gmacs, count(second, num_classes, size).gmacs),
        seconds=(medians[0], medians[1]),
        ratio=ratio,
        ratio_low=low,
        ratio_high=high,
        num_pairs=num_pairs,
        threads=torch.get_num_threads(),
        hardware=hardware(this_device()),
        torch=torch.__version__,
    )


@torch.no_grad()
def _settle(network: nn.Module, size: tuple[int, int]) -> None:
    network.train()
    for _ in range(3):
        network(torch.randn(_BATCH, 3, size[0] // 2, size[1] // 2))


@torch.no_grad()
def _difference(pair: list[nn.Module], images: Tensor, train: bool) -> float:
    """Largest, over the largest value of the first, in fp64."""
    a, b = (_logits(network, images, train) for network in pair)
    return float((a - b).abs().max() / a.abs().max())


def _logits(network: nn.Module, images: Tensor, train: bool) -> Tensor:
    kept = {name: value.clone() for name, value in network.state_dict().items()}
    logits: Tensor = network.double().train(train)(images.double())
    network.float().eval().load_state_dict(kept)  # a pass in training moves the statistics
    return logits


@torch.no_grad()
def _in_turn(pair: list[nn.Module], image: Tensor, num_pairs: int) -> np.ndarray:
    """Seconds (pairs, 2): one after the other, so that a machine that slows down slows both."""
    device = this_device()
    networks = [network.eval().to(device).to(memory_format=torch.channels_last) for network in pair]
    image = image.to(device, memory_format=torch.channels_last)
    seconds = np.empty((num_pairs + _WARM_UP, 2))
    for i in range(len(seconds)):
        for side, network in enumerate(networks):
            start = time.perf_counter()
            network(image)
            synchronise(device)
            seconds[i, side] = time.perf_counter() - start
    for network in pair:
        network.to("cpu")
    return seconds[_WARM_UP:]
