"""The result of a trained network: its predictions scored, and its cost measured."""

from dataclasses import dataclass

import torch
from torch import nn

from datamodules.dataset import Dataset
from experiments.costs.benchmark import latency
from experiments.costs.device import PeakMemory, peak_memory, this_device
from experiments.costs.flops import count, paper_count
from experiments.scoring.metrics import score_folder
from experiments.trials.result_types import Cost, FinishedTrial
from experiments.trials.results import Arrays


@dataclass(frozen=True)
class Scored:
    """A result, and the counts of single images that belong to it."""

    result: FinishedTrial
    counts: Arrays


def score_and_measure(
    result: FinishedTrial, network: nn.Module, precision: str, test: Dataset
) -> Scored:
    """The result with the scores of the predictions beside it and the cost of the network.

    Args:
        result: not scored yet.
        precision: of a forward pass.
        test: the split that was predicted.
    """
    memory = peak_memory(this_device())  # of training, before what follows takes its own
    scores = score_folder(result.predictions, test)
    cost = _cost(result.model, network, precision, test, memory)
    done = result.model_copy(update={"cost": cost})
    done = done.scored(scores.confusion.tolist(), scores.metrics(), scores.unpredicted)
    return Scored(done, scores.arrays())


def _cost(
    model: str, network: nn.Module, precision: str, test: Dataset, memory: PeakMemory
) -> Cost:
    """Operations, and latency, at the size that is scored."""
    device = this_device()
    height, width = test.mask(0).shape
    counted = count(model, test.labels.num_classes, (height, width))
    papers = paper_count(model)
    passes = latency(network, (height, width), precision, device)
    return Cost(
        params=counted.params,
        gmacs=counted.gmacs,
        params_paper=papers.params,
        paper_gflops_1024x2048=papers.paper_gflops,
        size=(height, width),
        latency_ms=passes.median,
        latency_ms_p10=passes.p10,
        latency_ms_p90=passes.p90,
        peak_memory_gb=memory.gigabytes,
        peak_memory_kind=memory.kind,
        threads=torch.get_num_threads(),
        device=device.type,
        precision=precision,
    )
