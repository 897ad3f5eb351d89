"""The question of a comparison and its answer in one sentence, with how sure it is."""

from collections.abc import Sequence
from dataclasses import dataclass

from experiments.claims import ModelEvidence, PairEvidence
from experiments.stats import Interval, Target, points
from experiments.store import Result

_NAMED = 3  # models that a sentence names; of more it gives the number


@dataclass(frozen=True)
class Ranking:
    """What an answer is made of.

    Attributes:
        models: those that trained, best first.
        pairs: of these.
        not_trained, not_counted: names of models that are not ranked.
    """

    models: Sequence[ModelEvidence]
    pairs: Sequence[PairEvidence]
    target: Target
    margin: float
    not_trained: Sequence[str]
    not_counted: Sequence[str]


def question(results: Sequence[Result]) -> str:
    """What the comparison asks, as far as its results name recipe and data."""
    models = list(dict.fromkeys(result["model"] for result in results))
    if not models:
        return "Which network segments best?"
    known = [r["recipe"] for r in results if r["recipe"]["name"] != "unknown"]
    recipe = (known or [results[0]["recipe"]])[0]
    under = f" under recipe {recipe['name']}" if known else ""
    data = f"{recipe['data'].split(':')[0]} {recipe['test_split']}"
    if len(models) == 1:
        return f"How well does {models[0]} segment {data}{under}?"
    return f"Which of these {len(models)} networks segments {data} best{under}?"


def answer(ranking: Ranking) -> str:
    """The head says which is best, the rest of whom it speaks and of whom it does not."""
    models = ranking.models
    parts = [_ranked(ranking) if models else _nothing(ranking)]
    if models and models[0].miou.low is not None:
        parts.append(_scope(models, ranking.target))
    if ranking.not_trained and models:
        parts.append(
            f"{_names(ranking.not_trained)} did not train under this recipe and "
            f"{_be(ranking.not_trained)} not ranked"
        )
    if ranking.not_counted:
        parts.append(
            f"{_names(ranking.not_counted)} {_be(ranking.not_counted)} left out, having no counts "
            "of single images"
        )
    return "; ".join(parts) + "."


def _nothing(ranking: Ranking) -> str:
    if ranking.not_trained:
        return f"{_names(ranking.not_trained)} did not train under this recipe: nothing to rank"
    return "No finished network has counts of single images, so nothing can be said yet"


def _ranked(ranking: Ranking) -> str:
    best, *others = ranking.models
    percent = f"{100 * best.miou.value:.1f} %"
    if not others:
        given = f"without an interval: {best.miou.reason}"
        if best.miou.low is not None:
            given = f"{_range(best.miou)}, and there is nothing to compare it with"
        return f"{best.model} has {percent} mIoU, {given}"
    against = [pair for pair in ranking.pairs if pair.a == best.model]
    unknown = [pair for pair in against if pair.difference.low is None]
    if unknown:
        return (
            f"{best.model} has the highest mIoU, {percent}, but whether it is best cannot be said: "
            f"{unknown[0].difference.reason}"
        )
    alike = [pair for pair in against if pair.verdict.kind != "better"]
    below = [pair for pair in against if pair.verdict.kind == "better"]
    if not alike:
        return (
            f"{best.model} is best with {percent} mIoU, {_points(below[0].difference)} points "
            f"above the next, {below[0].b} ({_range(below[0].difference)})"
        )
    head = alike[0].verdict.sentence if len(alike) == 1 else _several(alike, ranking)
    if below:
        head += (
            f"; {best.model} is better than {below[0].b} by {_points(below[0].difference)} points "
            f"({_range(below[0].difference)})"
        )
        if len(below) > 1:
            head += f" and than {len(below) - 1} more"
    return head


def _several(alike: Sequence[PairEvidence], ranking: Ranking) -> str:
    """Two or more that are not worse than the best; the one that differs most speaks for them."""
    best, far = ranking.models[0], alike[-1]
    names = _names([pair.b for pair in alike])
    if len(alike) > _NAMED:
        others = len(ranking.models) - 1
        whole = "all others" if len(alike) == others else f"{len(alike)} of the {others} others"
        names = f"{whole} ({names})"
    head = f"{best.model} has the highest mIoU, {100 * best.miou.value:.1f} %, but {names}"
    most = f"{best.model} - {far.b} is {_points(far.difference)} points ({_range(far.difference)}"
    if all(pair.verdict.kind == "equivalent" for pair in alike):
        (edge,) = points(ranking.margin)
        return f"{head} are equivalent to it within {edge} points: {most})"
    (seen,) = points(far.mdd or 0.0)
    return (
        f"{head} cannot be told apart from it: {most}, p {far.p_holm:.2f} over all pairs), and "
        f"{seen} points could have been seen 4 times in 5"
    )


def _scope(models: Sequence[ModelEvidence], target: Target) -> str:
    seeds = sorted({len(model.seeds) for model in models})
    number = str(seeds[0]) if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    if target == "seeds":
        return f"with {number} seeds each, this speaks of new training runs as well"
    what = "these checkpoints" if len(models) > 1 or seeds[-1] > 1 else "this checkpoint"
    given = f"{number} seed{'' if number == '1' else 's'}{' each' * (len(models) > 1)}"
    return f"with {given}, this is about {what}, not about new training runs"


def _names(names: Sequence[str]) -> str:
    shown = list(names[:_NAMED])
    if len(names) > _NAMED:
        shown.append(f"{len(names) - _NAMED} more")
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def _be(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _points(difference: Interval) -> str:
    return points(difference.value)[0]


def _range(interval: Interval) -> str:
    assert interval.low is not None and interval.high is not None
    low, high = points(interval.low, interval.high)
    return f"95 % interval {low} to {high}"
