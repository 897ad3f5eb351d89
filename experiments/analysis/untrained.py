"""Which networks did not train, so that nothing is said of them beside that."""

from collections.abc import Sequence
from dataclasses import dataclass

from experiments.trials.result_types import FailedTrial, FinishedTrial, TrialResult

UNTRAINED = 0.01  # of mIoU above the position prior, which never looked at an image


@dataclass(frozen=True)
class UntrainedRun:
    """A run that diverged, or that ended at most a point above the position prior.

    Attributes:
        failure: why it diverged, in the words of whoever noticed; empty for one that finished.
        miou, prior: of one that finished, fractions.
    """

    seed: int
    repeat: int
    failure: str = ""
    miou: float = 0.0
    prior: float = 0.0

    def __str__(self) -> str:
        run = f"repeat {self.repeat} of " * bool(self.repeat) + f"seed {self.seed}"
        if self.failure:
            return f"{run}: {self.failure}"
        return (
            f"{run} reaches {100 * self.miou:.1f} % mIoU, and {100 * self.prior:.1f} % can be had "
            "without looking at an image"
        )


def did_not_train(results: Sequence[TrialResult], prior: float | None) -> dict[str, str]:
    """Models of which a run did not train, with the reason; `prior` as in `evidence.evidence`.

    Their other runs are not ranked either: a mean over those that came through is luck.
    """
    reasons: dict[str, str] = {}
    for result in results:
        run = _untrained(result, prior)
        if run is not None:
            reasons.setdefault(result.label, str(run))
    return reasons


def untrained_run(results: Sequence[TrialResult], prior: float | None) -> UntrainedRun | None:
    """The first of some runs that did not train; None where all did."""
    runs = (_untrained(result, prior) for result in results)
    return next((run for run in runs if run is not None), None)


def _untrained(result: TrialResult, prior: float | None) -> UntrainedRun | None:
    if isinstance(result, FailedTrial) and result.failure.kind == "diverged":
        return UntrainedRun(result.seed, result.repeat, result.failure.reason)
    if prior is not None and isinstance(result, FinishedTrial) and result.miou <= prior + UNTRAINED:
        return UntrainedRun(result.seed, result.repeat, miou=result.miou, prior=prior)
    return None
