"""What a comparison supports: intervals, tests and one sentence, from results that were kept."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from experiments.analysis import conclusion, replicates
from experiments.analysis.bootstrap import Block, Drawn, Draws, Resampled, block_of, counts_of
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
from experiments.analysis.model_summary import diverged, first_runs, rows
from experiments.analysis.pairwise import all_pairs
from experiments.analysis.pareto import FrontPlace, pareto
from experiments.trials.comparability import check_comparable
from experiments.trials.results import TrialResult

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
    check_comparable(list(results))
    trials, noise = first_runs(results), replicates.floor(results)
    done = [result for result in trials if result.done]
    failed = did_not_train(results, prior)
    length = block if block != "auto" else block_of(done[0]) if done else None
    drawn = _drawn(done, length, draws)
    ranked = {name: one for name, one in drawn.items() if name not in failed}
    target = _target(target, ranked, done)
    pairs = all_pairs(ranked, target, margin, BAND, noise)
    models = _models(done, drawn, ranked, pairs, target, failed)
    missing = {result.label: None for result in done if result.label not in {*drawn, *failed}}
    said = conclusion.Ranking(
        models=models[: len(ranked)],
        pairs=pairs,
        target=target,
        margin=margin,
        not_trained=[*failed],
        not_counted=[*missing],
        fixed=replicates.fixed_seeds(done),
    )
    first = next(iter(drawn.values()), None)
    return Evidence(
        question=conclusion.question(trials),
        answer=conclusion.answer(said),
        target=target,
        block=length,
        num_blocks=first.miou.num_blocks if first else 0,
        num_images=first.num_images if first else 0,
        seeds=tuple(sorted({seed for one in drawn.values() for seed in one.seeds})),
        margin=margin,
        band=BAND,
        models=models,
        pairs=tuple(pairs),
        did_not_train=failed,
        noise_floor=noise,
    )


def did_not_train(results: Sequence[TrialResult], prior: float | None) -> dict[str, str]:
    """Models of which a run did not train, with the reason; `prior` as in `evidence`.

    Their other runs are not ranked either: a mean over those that came through is luck.
    """
    found: dict[str, str] = {}
    for result in results:
        reason, repeat = None, result.record.get("repeat")
        run = f"repeat {repeat} of " * bool(repeat) + f"seed {result['seed']}"
        if diverged(result):
            reason = f"{run}: {result['reason']}"
        elif result.done and prior is not None and result["metrics"]["miou"] <= prior + UNTRAINED:
            reason = (
                f"{run} reaches {100 * result['metrics']['miou']:.1f} % mIoU, and "
                f"{100 * prior:.1f} % can be had without looking at an image"
            )
        if reason is not None:
            found.setdefault(result.label, reason)
    return found


def _target(
    asked: Target | None, ranked: Mapping[str, Drawn], done: Sequence[TrialResult]
) -> Target:
    """What was asked for, else `seeds` where every model has runs that differ in their seeds."""
    distinct = {
        name: len(
            {replicates.seeds_of(r) for r in done if r.label == name and r["seed"] in one.seeds}
        )
        for name, one in ranked.items()
    }
    if asked == "seeds" and any(distinct[name] < len(one.seeds) for name, one in ranked.items()):
        raise ValueError(
            "the recipe fixes init_seed and data_seed, so its seeds repeat one run and say nothing "
            "of new training runs: take the target checkpoints"
        )
    return asked or ("seeds" if min(distinct.values(), default=1) > 1 else "checkpoints")


def _drawn(done: Sequence[TrialResult], length: int | None, num_draws: int) -> dict[str, Drawn]:
    """Models with per-image counts on the same draws, best first; one model's counts at a time."""
    draws, drawn = None, {}
    for name in dict.fromkeys(result.label for result in done):
        counts = {r["seed"]: counts_of(r) for r in done if r.label == name}
        seeds = {seed: arrays for seed, arrays in counts.items() if arrays is not None}
        for arrays in seeds.values():
            draws = draws or Draws(arrays, length, num_draws)
        if draws and seeds:
            drawn[name] = draws.model(seeds)
    return dict(sorted(drawn.items(), key=lambda item: -item[1].miou.mean))


def _models(
    done: list[TrialResult],
    drawn: Mapping[str, Drawn],
    ranked: Mapping[str, Drawn],
    pairs: Sequence[PairEvidence],
    target: Target,
    failed: Mapping[str, str],
) -> tuple[ModelEvidence, ...]:
    """Those that are ranked, then the others, each best first."""
    fronts = _fronts(done, {name: one.miou for name, one in ranked.items()})
    best = next(iter(ranked), None)
    alike = {
        pair.b
        for pair in pairs
        if pair.a == best and pair.verdict.kind in ("equivalent", "cannot be told apart")
    }
    return tuple(
        _model(name, drawn[name], done[0]["data"]["classes"], target, fronts.get(name, {}),
               name in alike, failed.get(name))
        for name in (*ranked, *(name for name in drawn if name in failed))
    )  # fmt: skip


def _model(
    name: str,
    drawn: Drawn,
    classes: Sequence[str],
    target: Target,
    fronts: dict[Cost, FrontPlace],
    indistinguishable: bool,
    failure: str | None,
) -> ModelEvidence:
    def of(column: int) -> Interval | None:
        score = drawn.score(column)
        return None if score is None else bounded(interval(score, target))

    columns, miou = drawn.columns, bounded(interval(drawn.miou, target))
    bands = BandEvidence(
        columns.pixels, tuple(map(of, columns.within)), tuple(map(of, columns.beyond))
    )
    return ModelEvidence(
        model=name,
        seeds=drawn.seeds,
        miou=miou,
        iou=dict(zip(classes, map(of, columns.iou), strict=True)),
        bands=bands if columns.pixels else None,
        mdd=minimum_detectable_difference(miou),
        fronts=fronts,
        indistinguishable=indistinguishable,
        did_not_train=failure,
    )


def _fronts(
    done: list[TrialResult], scores: Mapping[str, Resampled]
) -> dict[str, dict[Cost, FrontPlace]]:
    """By model, then cost; without the costs that some model lacks, as predictions do."""
    found: dict[str, dict[Cost, FrontPlace]] = {name: {} for name in scores}
    # Rows leave repeats out, but here one stands for a first run that failed.
    firsts = [replace(result, record={**result.record, "repeat": 0}) for result in done]
    known = {row.model: row for row in rows(firsts)}
    for cost in COSTS:
        costs = {name: getattr(known[name], cost) for name in scores}
        if None not in costs.values():
            for name, place in pareto(costs, scores).items() if scores else ():
                found[name][cost] = place
    return found
