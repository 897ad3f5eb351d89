"""What a comparison supports: intervals, tests and one sentence, from results that were kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from experiments.analysis import conclusion, replicates
from experiments.analysis.block_draws import Block
from experiments.analysis.bootstrap import BlockBootstrap, ModelScores, Resampled, counts_of
from experiments.analysis.evidence_types import (
    BAND,
    COSTS,
    BandEvidence,
    Cost,
    Evidence,
    ModelEvidence,
    PairEvidence,
)
from experiments.analysis.intervals import (
    Interval,
    Target,
    bounded,
    interval,
    minimum_detectable_difference,
)
from experiments.analysis.model_summary import first_runs, summarise
from experiments.analysis.pairwise import all_pairs
from experiments.analysis.pareto import FrontPlace, pareto
from experiments.analysis.variance import Spread
from experiments.trials.comparability import check_comparable
from experiments.trials.result_types import FailedTrial, FinishedTrial, TrialResult
from experiments.trials.results import finished

UNTRAINED = 0.01  # of mIoU above the position prior, which never looked at an image


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
    check_comparable(results)
    trials = first_runs(results)
    done = finished(trials)
    length = block if block != "auto" else done[0].data.block if done else None
    scored = _Scored(
        done=done,
        scores=_scores(done, length, draws),
        not_trained=did_not_train(results, prior),
        noise=replicates.floor(results),
        question=conclusion.question(trials),
    )
    return _judged(scored, length, margin, _target(target, scored))


@dataclass(frozen=True)
class _Scored:
    """What a comparison rests on.

    Attributes:
        done: finished trials, each once.
        scores: of the models that have per-image counts, best first.
        not_trained: models that are not ranked, with the reason.
        noise: of repeats.
    """

    done: Sequence[FinishedTrial]
    scores: Mapping[str, ModelScores]
    not_trained: dict[str, str]
    noise: Spread
    question: str

    @property
    def ranked(self) -> dict[str, ModelScores]:
        return {name: own for name, own in self.scores.items() if name not in self.not_trained}

    @property
    def not_counted(self) -> list[str]:
        """Models that finished and have no counts of single images."""
        known = {*self.scores, *self.not_trained}
        return list(dict.fromkeys(r.label for r in self.done if r.label not in known))


def _judged(scored: _Scored, length: int | None, margin: float, target: Target) -> Evidence:
    pairs = tuple(all_pairs(scored.ranked, target, margin, BAND, scored.noise))
    models = _models(scored, pairs, target)
    ranking = conclusion.Ranking(
        models=models[: len(scored.ranked)],
        pairs=pairs,
        target=target,
        margin=margin,
        not_trained=[*scored.not_trained],
        not_counted=scored.not_counted,
        fixed=replicates.fixed_seeds(scored.done),
    )
    first = next(iter(scored.scores.values()), None)
    return Evidence(
        question=scored.question,
        answer=conclusion.answer(ranking),
        target=target,
        block=length,
        num_blocks=first.miou.num_blocks if first else 0,
        num_images=first.num_images if first else 0,
        seeds=tuple(sorted({seed for own in scored.scores.values() for seed in own.seeds})),
        margin=margin,
        band=BAND,
        models=models,
        pairs=pairs,
        did_not_train=scored.not_trained,
        noise_floor=scored.noise,
    )


def did_not_train(results: Sequence[TrialResult], prior: float | None) -> dict[str, str]:
    """Models of which a run did not train, with the reason; `prior` as in `evidence`.

    Their other runs are not ranked either: a mean over those that came through is luck.
    """
    reasons: dict[str, str] = {}
    for result in results:
        reason = _why_not_trained(result, prior)
        if reason is not None:
            run = f"repeat {result.repeat} of " * bool(result.repeat) + f"seed {result.seed}"
            reasons.setdefault(result.label, f"{run}{reason}")
    return reasons


def _why_not_trained(result: TrialResult, prior: float | None) -> str | None:
    """What follows the name of a run that did not train; None for all others."""
    if isinstance(result, FailedTrial) and result.failure.kind == "diverged":
        return f": {result.failure.reason}"
    if prior is not None and isinstance(result, FinishedTrial) and result.miou <= prior + UNTRAINED:
        return (
            f" reaches {100 * result.miou:.1f} % mIoU, and "
            f"{100 * prior:.1f} % can be had without looking at an image"
        )
    return None


def _target(asked: Target | None, scored: _Scored) -> Target:
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


def _scores(
    done: Sequence[FinishedTrial], length: int | None, draws: int
) -> dict[str, ModelScores]:
    """Models with per-image counts on the same draws, best first; one model's counts at a time."""
    bootstrap, scores = None, {}
    for name in dict.fromkeys(result.label for result in done):
        counts = {result.seed: counts_of(result) for result in done if result.label == name}
        seeds = {seed: arrays for seed, arrays in counts.items() if arrays is not None}
        for arrays in seeds.values():
            bootstrap = bootstrap or BlockBootstrap(arrays, length, draws)
        if bootstrap and seeds:
            scores[name] = bootstrap.model(seeds)
    return dict(sorted(scores.items(), key=lambda item: -item[1].miou.mean))


def _models(
    scored: _Scored, pairs: Sequence[PairEvidence], target: Target
) -> tuple[ModelEvidence, ...]:
    """Those that are ranked, then the others, each best first."""
    ranked = scored.ranked
    fronts = _fronts(scored.done, {name: own.miou for name, own in ranked.items()})
    best = next(iter(ranked), None)
    alike = {
        pair.b
        for pair in pairs
        if pair.a == best and pair.verdict.kind in ("equivalent", "cannot be told apart")
    }
    others = [name for name in scored.scores if name in scored.not_trained]
    return tuple(
        _model(name, scored, target, fronts.get(name, {}), indistinguishable=name in alike)
        for name in (*ranked, *others)
    )


def _model(
    name: str,
    scored: _Scored,
    target: Target,
    fronts: dict[Cost, FrontPlace],
    *,
    indistinguishable: bool,
) -> ModelEvidence:
    scores = scored.scores[name]

    def of(column: int) -> Interval | None:
        score = scores.score(column)
        return None if score is None else bounded(interval(score, target))

    columns, miou = scores.columns, bounded(interval(scores.miou, target))
    classes = scored.done[0].data.classes
    bands = BandEvidence(
        columns.pixels, tuple(map(of, columns.within)), tuple(map(of, columns.beyond))
    )
    return ModelEvidence(
        model=name,
        seeds=scores.seeds,
        miou=miou,
        iou=dict(zip(classes, map(of, columns.iou), strict=True)),
        bands=bands if columns.pixels else None,
        mdd=minimum_detectable_difference(miou),
        fronts=fronts,
        indistinguishable=indistinguishable,
        did_not_train=scored.not_trained.get(name),
    )


def _fronts(
    done: Sequence[FinishedTrial], scores: Mapping[str, Resampled]
) -> dict[str, dict[Cost, FrontPlace]]:
    """By model, then cost; without the costs that some model lacks, as predictions do."""
    fronts: dict[str, dict[Cost, FrontPlace]] = {name: {} for name in scores}
    summaries = {summary.model: summary for summary in summarise(done)}
    for cost in COSTS:
        costs = {name: getattr(summaries[name], cost) for name in scores}
        if None not in costs.values():
            for name, place in pareto(costs, scores).items() if scores else ():
                fronts[name][cost] = place
    return fronts
