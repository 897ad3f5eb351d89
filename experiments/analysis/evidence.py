"""What a comparison supports: intervals, tests and one sentence, from results that were kept."""

from collections.abc import Sequence

from experiments.analysis import conclusion
from experiments.analysis.bootstrap import Block
from experiments.analysis.comparison_scores import ComparisonScores, score_comparison
from experiments.analysis.evidence_types import BAND, Evidence
from experiments.analysis.intervals import Target
from experiments.analysis.model_evidence import all_models
from experiments.analysis.pairwise import all_pairs
from experiments.trials.result_types import TrialResult


def evidence(
    results: Sequence[TrialResult],
    *,
    prior: float | None = None,
    block: Block = "auto",
    margin: float = 0.01,
    draws: int = 10_000,
    target: Target | None = None,
) -> Evidence:
    """What the results of one comparison support, of finished trials with per-image counts.

    Args:
        prior: mIoU of the position prior, a fraction; a model of which a seed is at most 1 point
            above it did not train.
        block: images resampled together; "auto" takes the data set's, None takes whole groups.
        margin: differences below it (a fraction) do not matter.
        target: by default `seeds` where every ranked model has two or more that differ in
            initialisation or data order, else `checkpoints`.

    Raises:
        ValueError: results that differ in recipe, data or protocol, counts of other images, or
            target `seeds` of a recipe that fixes both seeds.
    """
    scored = score_comparison(results, prior, block, draws, margin)
    return _judged(scored, margin, _target(target, scored))


def _judged(scored: ComparisonScores, margin: float, target: Target) -> Evidence:
    pairs = tuple(all_pairs(scored.ranked, target, margin, BAND, scored.noise))
    models = all_models(scored, pairs, target)
    ranking = conclusion.Ranking(
        models=models[: len(scored.ranked)],
        pairs=pairs,
        target=target,
        margin=margin,
        not_trained=[*scored.not_trained],
        not_counted=scored.not_counted,
        fixed=conclusion.fixed_seeds(scored.done),
        convergence=scored.convergence,
    )
    return Evidence(
        question=conclusion.question(scored.trials),
        answer=conclusion.answer(ranking),
        target=target,
        block=scored.block,
        num_blocks=scored.num_blocks,
        num_images=scored.num_images,
        seeds=scored.seeds,
        margin=margin,
        band=BAND,
        models=models,
        pairs=pairs,
        did_not_train=scored.not_trained,
        noise_floor=scored.noise,
        convergence=scored.convergence,
    )


def _target(asked: Target | None, scored: ComparisonScores) -> Target:
    """What was asked for, else `seeds` where every model has runs that differ in their seeds."""
    ranked = scored.ranked
    distinct = {
        name: len({r.seeds for r in scored.done if r.label == name and r.seed in own.seeds})
        for name, own in ranked.items()
    }
    if asked == "seeds" and any(distinct[name] < len(own.seeds) for name, own in ranked.items()):
        raise ValueError(
            "the recipe fixes init_seed and data_seed, so its seeds repeat one run and say nothing "
            "of new training runs: take the target checkpoints"
        )
    return asked or ("seeds" if min(distinct.values(), default=1) > 1 else "checkpoints")
