"""What a comparison says of each model: intervals by class and band, and places on the fronts."""

from collections.abc import Mapping, Sequence

from experiments.analysis.bootstrap import Resampled
from experiments.analysis.comparison_scores import ComparisonScores
from experiments.analysis.evidence_types import (
    COSTS,
    BandEvidence,
    Cost,
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
from experiments.analysis.model_summary import on_one_hardware, summarise
from experiments.analysis.pareto import FrontPlace, pareto
from experiments.trials.result_types import FinishedTrial


def all_models(
    scored: ComparisonScores, pairs: Sequence[PairEvidence], target: Target
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
    scored: ComparisonScores,
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
    """By model, then cost; without those that some model lacks, as predictions do, and without
    seconds of different hardware."""
    fronts: dict[str, dict[Cost, FrontPlace]] = {name: {} for name in scores}
    summaries = {summary.model: summary for summary in summarise(done)}
    for cost in COSTS:
        costs = {name: getattr(summaries[name], cost) for name in scores}
        one = on_one_hardware([summaries[name] for name in scores], cost)
        if one and None not in costs.values():
            for name, place in pareto(costs, scores).items() if scores else ():
                fronts[name][cost] = place
    return fronts
