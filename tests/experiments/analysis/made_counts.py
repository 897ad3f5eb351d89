"""Made counts, and a bootstrap of mIoU alone that is told from the project's by its lines.

It takes all seeds of a model at once and sums tp and union alone.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from experiments.analysis.bootstrap import (
    CHUNK,
    BlockBootstrap,
    Floats,
    Ints,
    Resampled,
    draw_weights,
)

CAMVID_TEST = ["0001TP"] * 62 + ["Seq05VD"] * 171

Counts = tuple[Ints, Ints, Ints]  # tp, fp, fn of one model, each (seeds, images, K)


def random_counts(
    num_models: int = 3, seeds: int = 3, images: int = 40, k: int = 4, seed: int = 0
) -> dict[str, Counts]:
    """Random counts on a common truth, in which classes differ in size and some are often away."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 1000, (images, k)) * (rng.random((images, k)) < 0.7)
    truth[:, 0] += 1
    shape = (seeds, images, k)
    models = {}
    for m in range(num_models):
        tp = rng.binomial(truth, np.clip(rng.normal(0.7, 0.1, shape), 0, 1))
        models[f"model{m}"] = (tp, rng.integers(0, 200, shape), truth - tp)
    return models


def resampled(miou: float, draws: list[float] | Floats, num_blocks: int = 500) -> Resampled:
    return Resampled(np.array([miou]), np.array(draws)[:, None], num_blocks)


def bootstrap(
    counts: Mapping[str, Counts],
    num_draws: int,
    *,
    groups: Sequence[str] = (),
    length: int | None = 1,
    seed: int = 0,
) -> dict[str, Resampled]:
    """mIoU of every model as the project draws it.

    Args:
        groups: of the images; all of one by default.
    """
    ((num_seeds, num_images, _),) = {part.shape for parts in counts.values() for part in parts}
    names = {
        "ids": np.arange(num_images).astype(str),
        "groups": np.array(groups or ["clip"] * num_images),
    }
    trials = {
        model: {
            k: {**names, **{n: part[k] for n, part in zip(("tp", "fp", "fn"), parts, strict=True)}}
            for k in range(num_seeds)
        }
        for model, parts in counts.items()
    }
    first = next(iter(trials.values()))[0]
    drawn = BlockBootstrap(first, length, num_draws, seed)
    return {model: drawn.model(seeds).miou for model, seeds in trials.items()}


def slow_bootstrap(
    counts: Mapping[str, Counts], block: Ints, num_draws: int, seed: int = 0
) -> dict[str, Resampled]:
    """The same from the definition, with the same draws.

    Args:
        block: (images,) index of each image's block.
    """
    tp, _, fn = next(iter(counts.values()))
    labelled = np.unique(block[(tp + fn)[0].any(1)])
    num_blocks = int(block.max()) + 1
    weights = draw_weights(num_blocks, num_draws, seed)
    weights = weights[weights[:, labelled].any(1)]
    scores = {}
    for name, parts in counts.items():
        sums = _block_sums(block, num_blocks, *parts)
        draws = [
            _mean_iou(np.tensordot(weights[i : i + CHUNK].astype(np.float64), sums, 1))
            for i in range(0, len(weights), CHUNK)
        ]
        scores[name] = Resampled(_mean_iou(sums.sum(0)), np.concatenate(draws), len(labelled))
    return scores


def _block_sums(block: Ints, num_blocks: int, tp: Ints, fp: Ints, fn: Ints) -> Floats:
    """Sums of tp and of the union over each block, (blocks, 2, seeds, K), exact in float64."""
    stacked = np.stack([tp, tp + fp + fn])
    sums = np.zeros((num_blocks, *stacked.shape[:2], stacked.shape[3]))
    np.add.at(sums, block, np.moveaxis(stacked, 2, 0))
    return sums


def _mean_iou(sums: Floats) -> Floats:
    """Of tp and union, (..., 2, seeds, K) to (..., seeds); NaN where no class has a pixel."""
    tp, union = sums[..., 0, :, :], sums[..., 1, :, :]
    total = np.divide(tp, union, out=np.zeros_like(tp), where=union > 0).sum(-1)
    num_classes = (union > 0).sum(-1)
    miou: Floats = np.full_like(total, np.nan)
    np.divide(total, num_classes, out=miou, where=num_classes > 0)
    return miou
