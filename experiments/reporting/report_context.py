"""All that report.html shows of a comparison: the template reads the attributes of one value."""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, fields
from pathlib import Path

from experiments.analysis.evidence_types import Evidence, RecipeEffect
from experiments.analysis.model_summary import ModelSummary, mean_over_seeds, summarise
from experiments.reporting.chart_data import Charts, make_charts, variant_scores
from experiments.reporting.image_panel import Panel, Shot, shots
from experiments.reporting.published_rows import PublishedRows, published_rows
from experiments.reporting.reproduce_command import reproduce_command
from experiments.reporting.tables import by_hardware, conditions, hardware_note
from experiments.trials.result_types import (
    FailedTrial,
    FinishedTrial,
    Metrics,
    PositionPrior,
    TrialResult,
)


@dataclass(frozen=True)
class ClassRow:
    """A class with its share of the labelled pixels, a fraction."""

    name: str
    share: float


@dataclass(frozen=True)
class GroupRow:
    """A clip, drive or city; mIoU of each model, a fraction, mean over its seeds."""

    name: str
    num_images: int
    miou: list[float | None]


@dataclass(frozen=True)
class Details:
    """Names with every value that the trials have of them: one where they agree."""

    recipe: Mapping[str, list[str]]
    hashes: Mapping[str, list[str]]
    environment: Mapping[str, list[str]]


@dataclass(frozen=True)
class ReportContext:
    """A comparison as its page shows it; models are in the order of the evidence.

    Attributes:
        protocol: data and protocol in the words that stand beside every score.
        interval_note: what the intervals are, or why there are none.
        places: models whose seconds may be compared, by what measured them; one where all may be.
        measured: how seconds and memory were measured; empty without costs.
        cost_size: (height, width) at which costs were taken; None without costs.
        boundary_gains: whether any pair is compared near boundaries.
        without_boundaries: models that were scored before boundaries were counted.
        variants: mIoU by other definitions, a value a model.
        verified: models that the present code gives again, and how surely; empty where none is.
        effects: what changed recipes are worth; empty where there is one recipe.
        warnings: of the data check.
        command: makes these results again.
    """

    title: str
    evidence: Evidence
    models: Sequence[ModelSummary]
    failed: Sequence[FailedTrial]
    prior: Metrics | None
    protocol: str
    interval_note: str
    places: Mapping[str, Sequence[ModelSummary]]
    measured: str
    cost_size: tuple[int, int] | None
    charts: Charts
    published: PublishedRows
    boundary_gains: bool
    without_boundaries: Sequence[str]
    classes: Sequence[ClassRow]
    groups: Sequence[GroupRow]
    variants: Mapping[str, list[float | None]]
    panel: Panel | None
    shots: Sequence[Shot]
    verified: str
    effects: Sequence[RecipeEffect]
    warnings: Sequence[str]
    command: str
    details: Details


def report_context(
    results: Sequence[TrialResult],
    evidence: Evidence,
    *,
    stale: Set[Path],
    verified: str,
    prior: PositionPrior | None,
    panel: Panel | None,
    effects: Sequence[RecipeEffect],
) -> ReportContext:
    """Everything that the page shows of results of one comparison.

    Raises:
        ValueError: results that differ in recipe, data or protocol.
    """
    models = summarise(results, stale, [model.model for model in evidence.models])
    trials = [trial for summary in models for trial in summary.trials]
    trained = [trial for trial in trials if trial.recipe is not None]
    first = next(iter([*trained, *trials]), None)
    told = next((result.recipe for result in (*trained, *results) if result.recipe), None)
    return ReportContext(
        title=told.name if told else "predictions from elsewhere",
        evidence=evidence,
        models=models,
        failed=[result for result in results if isinstance(result, FailedTrial)],
        prior=prior.metrics if prior else None,
        protocol=_protocol(first) if first else f"{results[0].data_name}: no trial finished",
        interval_note=_interval_note(evidence),
        places=by_hardware(models),
        measured=_measured(trials),
        cost_size=next((trial.cost.size for trial in trials if trial.cost), None),
        charts=make_charts(models, evidence, told.val_split if told else "val"),
        published=published_rows(models, first or results[0]),
        boundary_gains=any(pair.boundary_gain for pair in evidence.pairs),
        without_boundaries=[summary.model for summary in models if not _has_bands(summary)],
        classes=_classes(first) if first else [],
        groups=_groups(models, first) if first else [],
        variants=variant_scores(models),
        panel=panel,
        shots=shots(panel, models) if panel and models else [],
        verified=verified,
        effects=effects,
        warnings=list(dict.fromkeys(line for result in results for line in _warnings(result))),
        command=reproduce_command(results),
        details=_details(results),
    )


def _has_bands(summary: ModelSummary) -> bool:
    return all(trial.metrics.bands for trial in summary.trials)


def _measured(trials: Sequence[FinishedTrial]) -> str:
    costed = next((trial for trial in trials if trial.cost), None)
    if costed is None:
        return ""
    note = hardware_note(trials)
    return f"{conditions(costed, 'Latency', 'training', 'memory')}. {note and f'{note}.'}".strip()


def _classes(first: FinishedTrial) -> list[ClassRow]:
    pixels = first.true_pixels
    total = max(sum(pixels), 1)
    return [
        ClassRow(name, count / total)
        for name, count in zip(first.data.classes, pixels, strict=True)
    ]


def _groups(models: Sequence[ModelSummary], first: FinishedTrial) -> list[GroupRow]:
    rows = []
    for name, group in first.metrics.groups.items():
        seeds = [[trial.metrics.groups.get(name) for trial in m.trials] for m in models]
        miou = [mean_over_seeds(own.miou for own in groups if own) for groups in seeds]
        rows.append(GroupRow(name, group.num_images, miou))
    return rows


def _protocol(first: FinishedTrial) -> str:
    data, told = first.data, first.protocol.describe()
    parts = [f"{data.name.split(':')[0]} {data.split}, {data.num_images} images", told.pop("mode")]
    return "; ".join([*parts, *(f"{name}: {value}" for name, value in told.items())]) + "."


def _warnings(result: TrialResult) -> Sequence[str]:
    return result.data.warnings if isinstance(result, FinishedTrial) else ()


def _interval_note(evidence: Evidence) -> str:
    reasons = dict.fromkeys(m.miou.reason for m in evidence.models if m.miou.reason)
    if reasons or not evidence.models:
        return " ".join(f"No interval: {reason}." for reason in reasons)
    what = {
        "checkpoints": "these trained networks on other images",
        "seeds": "new training runs and other images",
    }[evidence.target]
    units = {None: "whole groups", 1: "images"}
    unit = units.get(evidence.block, f"blocks of {evidence.block}")
    return f"95 % intervals are for {what}, from resampling {evidence.num_blocks} {unit}."


def _details(results: Sequence[TrialResult]) -> Details:
    recipes = [result.recipe for result in results if result.recipe]
    environments = [result.environment.model_dump(exclude_none=True) for result in results]
    return Details(
        recipe=_values([(f.name, getattr(r, f.name)) for r in recipes for f in fields(r)]),
        hashes=_values((name, value or "unknown") for r in results for name, value in r.hashes),
        environment=_values(item for environment in environments for item in environment.items()),
    )


def _values(items: Iterable[tuple[str, object]]) -> dict[str, list[str]]:
    values: dict[str, dict[str, None]] = {}
    for name, value in items:
        shown = str(list(value)) if isinstance(value, tuple) else str(value)
        values.setdefault(name, {})[shown] = None
    return {name: list(texts) for name, texts in values.items()}
