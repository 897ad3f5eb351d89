"""What a changed recipe is worth: the same networks and seeds under two recipes, paired.

No table mixes recipes, as a difference between two networks would then be the recipes' as well.
Here the network stays and the recipe changes. Images and seeds are paired and resampled as for
pairs of networks. Every field in which the two recipes differ is named: where there are several,
the difference is that of all of them together, and no field's own.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from statistics import fmean

import numpy as np

from experiments.analysis.bootstrap import Block, BlockBootstrap, ModelScores, resampled
from experiments.analysis.evidence_types import Effect, RecipeChange, RecipeEffect
from experiments.analysis.intervals import Interval, Target, interval, points
from experiments.analysis.untrained import did_not_train
from experiments.trials.recipe import Recipe
from experiments.trials.result_types import FinishedTrial, TrialResult
from experiments.trials.results import finished, first_runs, per_image, read_prior

_SEEDS = {"init_seed", "data_seed"}  # of which `replicates.variance` speaks
_LONG = 60  # characters of a value

Scores = Mapping[tuple[str, str], ModelScores]  # by hash of the recipe and network


def recipe_effects(
    results: Sequence[TrialResult], *, block: Block = "auto", draws: int = 10_000
) -> tuple[RecipeEffect, ...]:
    """Every two recipes under which the same network ran, on the same data and protocol.

    Left out are networks that were tuned, whose values are their own, and recipes that differ in
    their seeds alone.

    Args:
        results: of any recipes.
        block, draws: as of `evidence.evidence`.

    Raises:
        ValueError: counts of other images or labels in results of the same data.
    """
    alike: dict[tuple[str, str], list[TrialResult]] = {}
    for result in results:
        if result.recipe is not None and result.recipe.tuning is None:
            key = result.hashes.data or "", result.hashes.protocol or ""
            alike.setdefault(key, []).append(result)
    return tuple(effect for some in alike.values() for effect in _effects(some, block, draws))


def _effects(results: Sequence[TrialResult], block: Block, draws: int) -> Iterator[RecipeEffect]:
    """Of results of the same data and protocol."""
    by_recipe: dict[str, list[TrialResult]] = {}
    for result in results:
        by_recipe.setdefault(result.hashes.recipe or "", []).append(result)
    pairs = []
    for some, others in combinations(by_recipe.values(), 2):
        before, after = _ordered(some, others)
        changes = recipe_changes(_recipe(before), _recipe(after))
        shared = [m for m in _models(before) if m in _models(after)]
        if shared and not {change.field for change in changes} <= _SEEDS:
            pairs.append((before, after, changes, shared))
    if pairs:
        networks = {model for *_, shared in pairs for model in shared}
        scores = _scores([r for r in results if r.model in networks], block, draws)
        prior = _prior(results)
        for before, after, changes, shared in pairs:
            yield _effect(before, after, changes, shared, scores, prior)


def recipe_changes(before: Recipe, after: Recipe) -> tuple[RecipeChange, ...]:
    """Every field that is not the same in both, but the name."""
    ours, theirs = (dataclasses.asdict(recipe) for recipe in (before, after))
    return tuple(
        RecipeChange(name, _text(ours[name]), _text(theirs[name]))
        for name in ours
        if name != "name" and ours[name] != theirs[name]
    )


def _text(value: object) -> str:
    text = str(value)
    return text if len(text) <= _LONG else f"{text[: _LONG - 3]}..."


def _ordered(
    some: list[TrialResult], others: list[TrialResult]
) -> tuple[list[TrialResult], list[TrialResult]]:
    """First the recipe that has more of the fields in which they differ at their defaults."""
    a, b = _recipe(some), _recipe(others)
    names = {change.field for change in recipe_changes(a, b)}
    usual = {f.name: f.default for f in dataclasses.fields(Recipe) if f.name in names}
    kept = [sum(getattr(r, name) == default for name, default in usual.items()) for r in (a, b)]
    return (others, some) if kept[1] > kept[0] else (some, others)


def _recipe(results: Sequence[TrialResult]) -> Recipe:
    recipe = results[0].recipe
    assert recipe is not None  # those without one are left out at the start
    return recipe


def _prior(results: Sequence[TrialResult]) -> float | None:
    """mIoU of the position prior, a fraction, where a comparison of these results has kept it."""
    for folder in dict.fromkeys(result.path.parents[2] for result in results):
        found = read_prior(folder, results)
        if found is not None:
            return found.metrics.miou
    return None


def _models(results: Sequence[TrialResult]) -> list[str]:
    return list(dict.fromkeys(result.model for result in results))


def _scores(results: Sequence[TrialResult], block: Block, draws: int) -> Scores:
    """Every network under every recipe on the same draws, where images were counted."""
    runs: dict[tuple[str, str], dict[int, FinishedTrial]] = {}
    for result in finished(first_runs(results)):
        key = result.hashes.recipe or "", result.model
        runs.setdefault(key, {})[result.seed] = result
    bootstrap, scores = None, {}
    for key, trials in runs.items():
        counts = {seed: per_image(result) for seed, result in trials.items()}
        seeds = {seed: arrays for seed, arrays in counts.items() if arrays is not None}
        for seed, arrays in seeds.items():
            length = trials[seed].data.block if block == "auto" else block
            bootstrap = bootstrap or BlockBootstrap(arrays, length, draws)
        if bootstrap and seeds:
            scores[key] = bootstrap.model(seeds)
    return scores


def _effect(
    before: Sequence[TrialResult],
    after: Sequence[TrialResult],
    changes: tuple[RecipeChange, ...],
    shared: Sequence[str],
    scores: Scores,
    prior: float | None,
) -> RecipeEffect:
    networks, paired = [], []
    for model in shared:
        effect, difference = _of_network(model, before, after, scores, prior)
        networks.append(effect)
        paired += [] if difference is None else [difference]
    counted = [one for one in networks if one.difference is not None and one.seeds]
    mean = counted[0] if len(counted) == 1 else _mean(counted, paired)
    codes = {(r.model, r.hashes.code) for r in (*before, *after) if r.model in shared and r.done}
    models = {model for model, _ in codes}  # each of which has a hash of its own
    first = next(iter(scores.values()), None)
    blocks, images = (first.miou.num_blocks, first.num_images) if first else (0, 0)
    return RecipeEffect(
        before=_recipe(before).name,
        after=_recipe(after).name,
        changes=changes,
        networks=tuple(networks),
        mean=mean,
        num_blocks=blocks,
        num_images=images,
        sentence=_sentence(changes, networks, counted, mean, blocks, len(codes) > len(models)),
    )


def _of_network(
    model: str,
    before: Sequence[TrialResult],
    after: Sequence[TrialResult],
    scores: Scores,
    prior: float | None,
) -> tuple[Effect, ModelScores | None]:
    """Over the seeds that both recipes have, and the differences that it rests on."""
    a, b = (scores.get((own[0].hashes.recipe or "", model)) for own in (before, after))
    seeds = tuple(seed for seed in a.seeds if seed in b.seeds) if a and b else ()
    untrained = [
        _recipe(own).name
        for own in (before, after)
        if did_not_train([r for r in own if r.model == model], prior)
    ]
    reason = _diverged(model, before) or _diverged(model, after)
    if not reason and (a is None or b is None):
        lacking = _recipe(before if a is None else after).name
        reason = f"no finished trial under {lacking} has counts of single images"
    elif not reason and len(untrained) == 2:
        reason = "under either recipe it is at most a point above the position prior"
    elif not reason and not seeds:
        reason = "the two recipes have no seed in common"
    if reason or a is None or b is None:
        return Effect(model, (), None, None, None, "checkpoints", reason), None
    a, b = a.of(seeds), b.of(seeds)
    paired = b.minus(a)
    runs = [
        {r.seeds for r in own if r.model == model and r.seed in seeds} for own in (before, after)
    ]
    distinct = min(map(len, runs)) == len(seeds) > 1  # else a recipe gives all seeds the same run
    target: Target = "seeds" if distinct else "checkpoints"
    found = interval(paired.miou, target)
    note = f"it did not train under {untrained[0]}" if untrained else ""
    return Effect(model, seeds, found, a.miou.mean, b.miou.mean, target, note=note), paired


def _diverged(model: str, results: Sequence[TrialResult]) -> str:
    """Why the network has no number under a recipe; empty where no run went astray."""
    why = did_not_train([r for r in results if r.model == model], None).get(model)
    return f"it did not train under {_recipe(results).name}, {why}" if why else ""


def _mean(counted: Sequence[Effect], paired: Sequence[ModelScores]) -> Effect | None:
    """Over networks, seed by seed and draw by draw: of these networks, not of others."""
    if not counted:
        return None
    seeds = tuple(s for s in paired[0].seeds if all(s in own.seeds for own in paired))
    name = f"mean of {len(counted)} networks"
    if not seeds:
        value = fmean(own.miou.mean for own in paired)
        lacking = Interval(value, reason="the networks have no seed in common")
        return Effect(name, (), lacking, None, None, "checkpoints")
    of = [own.of(seeds) for own in paired]
    values = np.mean([own.values[..., own.columns.miou] for own in of], axis=0)
    score = resampled(values, of[0].miou.num_blocks)
    assert score is not None  # each of them had a score
    spoken_of = {one.target for one in counted}
    target: Target = "seeds" if spoken_of == {"seeds"} and len(seeds) > 1 else "checkpoints"
    return Effect(name, seeds, interval(score, target), None, None, target)


def _sentence(
    changes: Sequence[RecipeChange],
    networks: Sequence[Effect],
    counted: Sequence[Effect],
    mean: Effect | None,
    num_blocks: int,
    other_code: bool,
) -> str:
    what = ", ".join(map(str, changes))
    if len(changes) > 1:
        what += f", these {len(changes)} fields together"
    also = ["not all of these trials were made by the same code"] * other_code
    also += [f"{one.model}: {one.note}" for one in networks if one.note]
    also += [f"{one.model} is left out: {one.reason}" for one in networks if one.reason]
    if mean is None or mean.difference is None:
        return "; ".join([f"{what}: nothing can be said", *also]) + "."
    found, of = mean.difference, f"for {mean.model}"
    if len(counted) > 1:
        of = f"as the {mean.model}"
    parts = [f"{what}: {signed(found.value)} points of mIoU {of}"]
    if found.low is None or found.high is None:
        return "; ".join([f"{parts[0]}, without an interval: {found.reason}", *also]) + "."
    low, high = points(found.low, found.high)
    num = len(mean.seeds)
    parts[0] += f" (95 % interval {low} to {high})"
    parts[0] += f" over {num} seed{'s' * (num > 1)} and {num_blocks} blocks of images"
    if found.low <= 0 <= found.high:
        parts.append("it may make no difference")
    if mean.target == "checkpoints":
        why = "with one seed" if num == 1 else "as its seeds repeat one run"
        parts.append(f"{why} the interval has no part of seeds: it speaks of these checkpoints")
    return "; ".join(parts + also) + "."


def signed(fraction: float) -> str:
    """Points with their sign, as `intervals.points` rounds them."""
    (text,) = points(fraction)
    return f"+{text}" if fraction > 0 else text
