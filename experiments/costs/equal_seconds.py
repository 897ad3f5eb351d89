"""The width at which a network's training step takes the time of another network's.

`--match train-time` compares times that were measured apart, on an idle machine. Here the two run
in turn, so that what else the machine does slows both: for a shared one.

  python -m experiments.costs.equal_seconds hrnet:width=10 unet segnet
"""

import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.nn import functional as F

from experiments.costs.device import autocast, synchronise, this_device
from experiments.costs.width_search import search
from experiments.trials.overrides import load
from experiments.trials.recipe import RecipeRequest
from models import build_model
from models.training_heads import TrainingHeads

WITHIN = 0.03  # of the reference's time, as the next measurement differs by as much
_WARM_UP = 2


@dataclass(frozen=True)
class TrainingSetting:
    """What a step is taken on.

    Attributes:
        size: (height, width) of a crop.
        aux_weight: of the cross-entropy of a network's auxiliary head; 0 builds none.
    """

    size: tuple[int, int]
    batch: int
    num_classes: int
    precision: str
    aux_weight: float = 0.0


def matched_width(
    family: str, reference: str, setting: TrainingSetting, num_pairs: int = 8
) -> tuple[int, float]:
    """The width whose step takes nearest to the reference's, and its time over the reference's.

    Raises:
        ValueError: options that name no network, or a width that cannot be built.
    """
    theirs = _step(reference, setting)

    def ratio(width: int) -> float:
        return _ratio(_step(f"{family}:width={width}", setting), theirs, num_pairs)

    seen = search(ratio, 1.0, within=WITHIN)
    width = min(seen, key=lambda w: abs(seen[w] - 1))
    return width, seen[width]


def _ratio(ours: Callable[[], None], theirs: Callable[[], None], num_pairs: int) -> float:
    """The median of steps in turn."""
    device, ratios = this_device(), []
    for i in range(_WARM_UP + num_pairs):
        seconds = []
        for step in (ours, theirs) if i % 2 else (theirs, ours):
            start = time.perf_counter()
            step()
            synchronise(device)
            seconds.append(time.perf_counter() - start)
        own, other = seconds if i % 2 else seconds[::-1]
        ratios.append(own / other)
    return statistics.median(ratios[_WARM_UP:])


def _step(model: str, setting: TrainingSetting) -> Callable[[], None]:
    """A step of SGD on noise, with the heads that training has."""
    device = this_device()
    torch.manual_seed(0)
    network = build_model(model, setting.num_classes)
    heads = network if setting.aux_weight and isinstance(network, TrainingHeads) else None
    if heads:
        heads.add_training_heads()
    network = network.to(device).to(memory_format=torch.channels_last).train()
    images = torch.randn(setting.batch, *setting.size, 3, device=device).permute(0, 3, 1, 2)
    labels = torch.randint(setting.num_classes, (setting.batch, *setting.size), device=device)
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-6, momentum=0.9, weight_decay=5e-4)

    def step() -> None:
        optimizer.zero_grad()
        with autocast(device, setting.precision):
            maps = heads.training_heads(images) if heads else {"out": network(images)}
        loss = F.cross_entropy(maps["out"].float(), labels)
        if "aux" in maps:
            loss = loss + setting.aux_weight * F.cross_entropy(maps["aux"].float(), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step


def main(reference: str, families: list[str]) -> None:
    """Widths for the lecture's study: its recipe, with CamVid's 11 classes, on one thread."""
    torch.set_num_threads(1)
    lab = load(RecipeRequest("camvid-lab"))
    setting = TrainingSetting(lab.crop, lab.batch, 11, lab.precision, lab.aux_weight)
    for family in families:
        width, ratio = matched_width(family, reference, setting)
        print(f"{family}:width={width} takes {ratio:.2f} times the step of {reference}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
