"""A model of a comparison over its seeds: costs, mIoU and the trials that they come from."""

import statistics
from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from experiments.trials.comparability import check_comparable
from experiments.trials.result_types import FinishedTrial, TrialResult
from experiments.trials.results import finished, first_runs

COLUMNS = ("params M", "GMACs", "lat ms", "train s", "mem GB", "mIoU %")
NO_PATHS: frozenset[Path] = frozenset()
UNKNOWN = "unknown hardware"
BEST_FIRST: tuple[str, ...] = ()  # an order that names no model

R = TypeVar("R", bound=TrialResult)


@dataclass(frozen=True)
class ModelSummary:
    """A model over its finished seeds; all figures are means over them.

    Attributes:
        model: the label of its results, with what tuning chose.
        initial_weights: what the weights were before training, with the file's name.
        params_m, gmacs, latency_ms, train_s, memory_gb: None for predictions from elsewhere, and
            where seeds were measured on different hardware.
        hardware: what measured its latency, and on what it was trained.
        miou, pixel_accuracy: fractions.
        spread: sample standard deviation of mIoU over seeds; None for one seed.
        iou: by class, None where no seed has the class.
        stale: whether other code made one of its results.
        trials: one a seed.
    """

    model: str
    initial_weights: str
    params_m: float | None
    gmacs: float | None
    latency_ms: float | None
    train_s: float | None
    memory_gb: float | None
    hardware: tuple[str, str]
    miou: float
    pixel_accuracy: float
    spread: float | None
    iou: dict[str, float | None]
    stale: bool
    trials: tuple[FinishedTrial, ...]

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(trial.seed for trial in self.trials)

    @property
    def num_seeds(self) -> int:
        return len(self.trials)

    def numbers(self) -> list[float | None]:
        """In the order and units of COLUMNS."""
        return [
            self.params_m,
            self.gmacs,
            self.latency_ms,
            self.train_s,
            self.memory_gb,
            100 * self.miou,
        ]

    def mean(self, value: Callable[[FinishedTrial], float | None]) -> float | None:
        """Over seeds, of a number of each; None where no seed has it."""
        return mean_over_seeds(map(value, self.trials))


def mean_over_seeds(values: Iterable[float | None]) -> float | None:
    """Of those that are known; None where none is."""
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None


def on_one_hardware(models: Sequence[ModelSummary], cost: str) -> bool:
    """Whether a cost of all models may be ranked: counts may, seconds and memory of one hardware.

    The name of a processor or GPU tells one hardware from another; where nobody kept it, nothing.

    Args:
        cost: one of `evidence_types.COSTS`.
    """
    if cost in ("gmacs", "params_m"):
        return True
    kept = (model.hardware[cost != "latency_ms"] for model in models if model.gmacs is not None)
    return len({*kept}) <= 1


def summarise(
    results: Sequence[TrialResult],
    stale: Set[Path] = NO_PATHS,
    order: Sequence[str] | None = None,
) -> list[ModelSummary]:
    """One summary a model that has finished, of each trial once.

    Args:
        stale: paths of results that other code made (`trials.verification.stale_results`).
        order: models that come first, in this order; all others follow, the best mIoU first, as
            all do with `BEST_FIRST`. None keeps the order of first appearance.

    Raises:
        ValueError: results that differ in recipe, data or protocol.
    """
    check_comparable(results)
    trials_of: dict[str, list[FinishedTrial]] = {}
    for result in finished(first_runs(results)):
        trials_of.setdefault(result.label, []).append(result)
    summaries = [_summary(model, trials, stale) for model, trials in trials_of.items()]
    if order is None:
        return summaries
    place = {name: position for position, name in enumerate(order)}
    return sorted(summaries, key=lambda s: (place.get(s.model, len(place)), -s.miou))


def _summary(model: str, trials: list[FinishedTrial], stale: Set[Path]) -> ModelSummary:
    costs = [trial.cost for trial in trials if trial.cost]
    trained_on = {trial.environment.hardware or UNKNOWN for trial in trials}
    timed_on = {
        trial.cost.hardware or trial.environment.hardware or UNKNOWN
        for trial in trials
        if trial.cost
    }
    timings = [trial.timing.train_seconds for trial in trials if trial.timing]
    params = mean_over_seeds(cost.params / 1e6 for cost in costs)
    mious = [trial.miou for trial in trials]
    return ModelSummary(
        model=model,
        initial_weights=", ".join(dict.fromkeys(trial.initial_weights for trial in trials)),
        params_m=params,
        gmacs=mean_over_seeds(cost.gmacs for cost in costs),
        latency_ms=mean_over_seeds(c.latency_ms for c in costs if len(timed_on) == 1),
        train_s=mean_over_seeds(timings) if len(trained_on) == 1 else None,
        memory_gb=mean_over_seeds(c.peak_memory_gb for c in costs if len(trained_on) == 1),
        hardware=(" and ".join(sorted(timed_on)), " and ".join(sorted(trained_on))),
        miou=statistics.fmean(mious),
        pixel_accuracy=mean_over_seeds(trial.metrics.pixel_accuracy for trial in trials) or 0.0,
        spread=statistics.stdev(mious) if len(mious) > 1 else None,
        iou={
            name: mean_over_seeds(trial.metrics.iou[name] for trial in trials)
            for name in trials[0].metrics.iou
        },
        stale=any(trial.path in stale for trial in trials),
        trials=tuple(trials),
    )
