"""The study's networks side by side: cost, mIoU over seeds, boundaries and thin objects."""

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from statistics import fmean

import numpy as np

from experiments.analysis.bootstrap import Resampled, resampled
from experiments.analysis.model_summary import ModelSummary, mean_over_seeds, summarise
from experiments.claims.contrasts import Lacking, untrained_trials
from experiments.claims.quantities import near_and_beyond
from experiments.claims.registration import FAMILIES, Budget, FrontClaim
from experiments.claims.study import (
    MODELS,
    AnyClaim,
    Study,
    StudyTrial,
    model_of,
    names_of,
    registered,
)
from experiments.trials.field_record import read_fields
from experiments.trials.result_types import FailedTrial, FinishedTrial

BUDGETS: tuple[Budget, ...] = ("macs", "seconds")
LECTURE = ("hrnetv2", *FAMILIES)
VARIANTS = tuple(name for name in MODELS if name not in LECTURE)


@dataclass(frozen=True)
class FieldRadii:
    """A network's receptive field: radii in pixels that hold 50 and 95 % of its gradient's energy,
    means over the seeds that were measured.

    Attributes:
        trained: whether it is the one at the end of training.
        idle: whether a seed of the network did not train.
    """

    name: str
    trained: bool
    idle: bool
    radius50: float
    radius95: float
    gmacs: float | None = None


@dataclass(frozen=True)
class NetworkRow:
    """One network at one budget; what was not measured is None.

    Attributes:
        name: as it is registered.
        model: with its width.
        summary: of the finished seeds; None without one.
        registered: how many seeds are.
        failed: seeds that did.
        near: mIoU within the band, a fraction.
        thin: recall of thin objects, a fraction.
        draws: mIoU on resampled images; None without counts.
        untrained: the trials that did not train.
        fields: untrained (where it is not silent), then trained; empty where none was measured.
    """

    name: str
    model: str
    budget: Budget
    summary: ModelSummary | None
    registered: int
    failed: tuple[int, ...]
    near: float | None
    thin: float | None
    draws: Resampled | None
    untrained: tuple[Lacking, ...]
    fields: tuple[FieldRadii, ...]


Rows = Mapping[tuple[str, Budget], NetworkRow]


def network_rows(study: Study, claims: Sequence[AnyClaim]) -> Rows:
    """The claims' networks at each of their budgets at which the width is known, the lecture's
    first."""
    wanted = {place for claim in claims for place in names_of(claim)}
    trials = registered(claims)
    return {
        (name, budget): _row(name, budget, study, trials)
        for budget in BUDGETS
        for name in (*LECTURE, *VARIANTS)
        if (name, budget) in wanted
    }


def front_rows(study: Study, claims: Sequence[AnyClaim]) -> Iterator[tuple[NetworkRow, ...]]:
    """The lecture's networks at each budget of a front at which one has trained, on common seeds.

    Those are the seeds that all that trained have; a network that did not has all of its own.
    """
    fronts = (claim for claim in claims if isinstance(claim, FrontClaim))
    for claim in fronts:
        for budget in claim.budgets:
            rows = tuple(_on_common_seeds(study, budget, claim.seeds))
            if not all(row.untrained for row in rows):
                yield rows


def _on_common_seeds(study: Study, budget: Budget, seeds: Sequence[int]) -> Iterator[NetworkRow]:
    models = {name: model_of(name, budget) for name in LECTURE}
    found = {name: study.finished(model) for name, model in models.items()}
    started = [name for name in LECTURE if found[name]]
    idle = {n for n in started if any(untrained_trials(models[n], study, seeds))}
    common = set(seeds).intersection(*(found[name] for name in started if name not in idle))
    wanted = [StudyTrial(models[name], seed) for name in started for seed in seeds]
    for name in started:
        if common or name in idle:
            yield _row(name, budget, study, wanted, None if name in idle else common)


def _row(
    name: str,
    budget: Budget,
    study: Study,
    wanted: Sequence[StudyTrial],
    seeds: Set[int] | None = None,
) -> NetworkRow:
    """Of the trials under the study's own number of steps, as many of which as are wanted.

    Args:
        seeds: those to take; None for all.
    """
    model = model_of(name, budget)
    results = study.results(model)
    found = study.finished(model)
    trials = [found[seed] for seed in sorted(found) if seeds is None or seed in seeds]
    num_seeds = sum(trial == StudyTrial(model, trial.seed) for trial in wanted)
    summary = summarise(trials)[0] if trials else None
    if summary:  # a trial's own seconds hold what else the machine did
        summary = replace(summary, train_s=_seconds(study, trials[0]))
    not_trained = tuple(untrained_trials(model, study, seeds))
    return NetworkRow(
        name=name,
        model=model,
        budget=budget,
        summary=summary,
        registered=num_seeds,
        failed=tuple(seed for seed, r in sorted(results.items()) if isinstance(r, FailedTrial)),
        near=mean_over_seeds(both and both[0] for both in map(near_and_beyond, trials)),
        thin=fmean(study.values(t, "thin_recall")[0] for t in trials) if trials else None,
        draws=_draws(study, trials),
        untrained=not_trained,
        fields=_fields(name, trials, summary.gmacs if summary else None, bool(not_trained)),
    )


def _seconds(study: Study, trial: FinishedTrial) -> float | None:
    """Of all steps, from those that were taken in turn; None where they were not."""
    found = study.step_times
    if found is None or trial.model not in found.seconds or trial.timing is None:
        return None
    return trial.timing.steps * found.seconds[trial.model]


def _fields(
    name: str, trials: Sequence[FinishedTrial], gmacs: float | None, idle: bool
) -> tuple[FieldRadii, ...]:
    known = [found for trial in trials if (found := read_fields(trial)) is not None]
    untrained = [found.untrained for found in known if found.untrained is not None]
    both = (untrained, [found.trained for found in known])
    return tuple(
        FieldRadii(
            name=name,
            trained=trained,
            idle=idle,
            radius50=fmean(field.radius_50 for field in own),
            radius95=fmean(field.radius_95 for field in own),
            gmacs=gmacs,
        )
        for trained, own in zip((False, True), both, strict=True)
        if own
    )


def _draws(study: Study, trials: Sequence[FinishedTrial]) -> Resampled | None:
    if not trials:
        return None
    values = np.stack([study.values(trial, "miou") for trial in trials], axis=1)
    return resampled(values, images_and_blocks(study)[1])


def images_and_blocks(study: Study) -> tuple[int, int]:
    """How many images the study's trials were scored on, and how many blocks of them are drawn.

    Raises:
        ValueError: no trial has counts of single images.
    """
    block = study.draws().block
    return len(block), int(block.max()) + 1


@dataclass(frozen=True)
class NetworkTable:
    """Networks at one budget, of the lecture or for single claims (names in `page_texts`)."""

    title: str
    budget: Budget
    rows: tuple[NetworkRow, ...]


def network_tables(rows: Rows) -> Iterator[NetworkTable]:
    """The lecture's networks, then the others, at each budget."""
    for budget in BUDGETS:
        for title, names in (("families", LECTURE), ("variants", VARIANTS)):
            own = tuple(rows[name, budget] for name in names if (name, budget) in rows)
            if own:
                yield NetworkTable(title, budget, own)
