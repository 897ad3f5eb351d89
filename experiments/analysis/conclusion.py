"""The question of a comparison and its answer in one sentence, with how sure it is."""

from collections.abc import Sequence
from dataclasses import dataclass

from experiments.analysis.convergence import Climb, Convergence
from experiments.analysis.evidence_types import ModelEvidence, PairEvidence
from experiments.analysis.intervals import Interval, Target, points
from experiments.trials.result_types import TrialResult

_NAMED = 3  # models that a sentence names; of more it gives the number


@dataclass(frozen=True)
class Ranking:
    """What an answer is made of.

    Attributes:
        models: those that trained, best first.
        pairs: of these.
        not_trained, not_counted: names of models that are not ranked.
        fixed: what all seeds share, as `fixed_seeds` names it.
        convergence: whether they still learn where their training ends.
    """

    models: Sequence[ModelEvidence]
    pairs: Sequence[PairEvidence]
    target: Target
    margin: float
    not_trained: Sequence[str]
    not_counted: Sequence[str]
    fixed: Sequence[str]
    convergence: Convergence


def question(results: Sequence[TrialResult]) -> str:
    """What the comparison asks, as far as its results name recipe and data."""
    models = list(dict.fromkeys(result.model for result in results))
    if not models:
        return "Which network segments best?"
    first = next((result for result in results if result.recipe is not None), results[0])
    under = f" under recipe {first.recipe.name}" if first.recipe is not None else ""
    data = f"{first.data_name.split(':')[0]} {first.protocol.split}"
    if len(models) == 1:
        return f"How well does {models[0]} segment {data}{under}?"
    return f"Which of these {len(models)} networks segments {data} best{under}?"


def fixed_seeds(results: Sequence[TrialResult]) -> list[str]:
    """What the recipe gives to all seeds alike, as a sentence names it."""
    recipes = [result.recipe for result in results if result.recipe is not None]
    fixed = []
    if any(recipe.init_seed is not None for recipe in recipes):
        fixed.append("the initialisation")
    if any(recipe.data_seed is not None for recipe in recipes):
        fixed.append("the order of the data")
    return fixed


def answer(ranking: Ranking) -> str:
    """The head says which is best, or why that cannot be said; the rest of whom it speaks and of
    whom it does not."""
    models = ranking.models
    parts = [_ranked(ranking) if models else _nothing(ranking)]
    if ranking.convergence.too_short and (models or ranking.not_trained):
        parts[0] = f"{_too_short(ranking)}; {'so far ' * bool(models)}{parts[0]}"
    if models and models[0].miou.low is not None:
        parts.append(_scope(ranking))
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


def _too_short(ranking: Ranking) -> str:
    what = "judge" if len(ranking.models) + len(ranking.not_trained) == 1 else "rank"
    return f"Too short to {what}: {too_short(ranking.convergence)}"


def too_short(found: Convergence) -> str:
    """Why no order follows: too few images, and whose curves climb, by how much."""
    reasons = [f"training drew only {found.num_images} images"] if found.few_images else []
    for measure, does in (("validation mIoU", "climbs"), ("training loss", "falls")):
        of_measure = [climb for climb in found.climbing if climb.measure == measure]
        if of_measure:
            names = _names([climb.model for climb in of_measure])
            gains = f"{_gains(of_measure)} from step {found.since} on"
            reasons.append(f"the {measure} of {names} still {does} ({gains})")
    return " and ".join(reasons)


def _gains(climbs: Sequence[Climb]) -> str:
    gains = [f"{100 * climb.gain.value:.1f}" for climb in climbs if climb.gain]
    unit = "points" if climbs[0].measure == "validation mIoU" else "%"
    shown = f"{gains[-1]} to {gains[0]}" if len(gains) > _NAMED else _names(gains)
    return f"by {shown} {unit}"


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
    below = [pair for pair in against if pair.verdict.kind == "better"]
    rest = [pair for pair in against if pair.verdict.kind != "better"]
    if not rest:
        ahead = f"is best with {percent} mIoU"
        if ranking.convergence.too_short:
            ahead = f"has the highest mIoU, {percent}"
        return (
            f"{best.model} {ahead}, {_points(below[0].difference)} points above the next, "
            f"{below[0].b} ({_range(below[0].difference)})"
        )
    worse = any(pair.verdict.kind == "worse" for pair in rest)
    highest = "mean mIoU" if worse else "mIoU"  # the mean takes seeds that only one of them has
    head = f"{best.model} has the highest {highest}, {percent}, but {_but(rest, ranking)}"
    if len(rest) == 1 and not worse:
        head = rest[0].verdict.sentence
    if below:
        head += (
            f"; {best.model} is better than {below[0].b} by {_points(below[0].difference)} points "
            f"({_range(below[0].difference)})"
        )
        if len(below) > 1:
            head += f" and than {len(below) - 1} more"
    return head


def _but(rest: Sequence[PairEvidence], ranking: Ranking) -> str:
    """What keeps the best from being better than these, by kind."""
    of_kind: dict[str, list[PairEvidence]] = {}
    for pair in rest:
        of_kind.setdefault(pair.verdict.kind, []).append(pair)
    clauses = [
        f"on the seeds that both have, {pair.b} is better by {_points(_turned(pair.difference))} "
        f"points ({_range(_turned(pair.difference))})"
        for pair in of_kind.get("worse", [])
    ]
    if untold := of_kind.get("cannot be told apart"):  # the one that differs most speaks for all
        names = _shortened(untold, ranking)
        clauses.append(f"{names} cannot be told apart from it: {untold[-1].verdict.reason}")
    if equal := of_kind.get("equivalent"):
        far, (edge,) = equal[-1], points(ranking.margin)
        most = f"{far.a} - {far.b} is {_points(far.difference)} points ({_range(far.difference)})"
        names = f"{_shortened(equal, ranking)} {_be(equal)}"
        clauses.append(f"{names} equivalent to it within {edge} points: {most}")
    return "; ".join(clauses)


def _turned(difference: Interval) -> Interval:
    """b - a of a - b, which has an interval."""
    assert difference.low is not None and difference.high is not None
    return Interval(-difference.value, -difference.high, -difference.low)


def _shortened(pairs: Sequence[PairEvidence], ranking: Ranking) -> str:
    names = _names([pair.b for pair in pairs])
    if len(pairs) <= _NAMED:
        return names
    others = len(ranking.models) - 1
    whole = "all others" if len(pairs) == others else f"{len(pairs)} of the {others} others"
    return f"{whole} ({names})"


def _scope(ranking: Ranking) -> str:
    models = ranking.models
    seeds = sorted({len(model.seeds) for model in models})
    number = str(seeds[0]) if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    fixed = f", with {' and '.join(ranking.fixed)} fixed" if ranking.fixed and seeds[-1] > 1 else ""
    if ranking.target == "seeds":
        return f"with {number} seeds each, this speaks of new training runs as well{fixed}"
    what = "these checkpoints" if len(models) > 1 or seeds[-1] > 1 else "this checkpoint"
    given = f"{number} seed{'' if number == '1' else 's'}{' each' * (len(models) > 1)}"
    return f"with {given}, this is about {what}, not about new training runs{fixed}"


def _names(names: Sequence[str]) -> str:
    shown = list(names[:_NAMED])
    if len(names) > _NAMED:
        shown.append(f"{len(names) - _NAMED} more")
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def _be(some: Sequence[object]) -> str:
    return "is" if len(some) == 1 else "are"


def _points(difference: Interval) -> str:
    return points(difference.value)[0]


def _range(interval: Interval) -> str:
    assert interval.low is not None and interval.high is not None
    low, high = points(interval.low, interval.high)
    return f"95 % interval {low} to {high}"
