"""Which networks did not train, so that nothing is said of them beside that."""

from collections.abc import Sequence

from experiments.trials.result_types import FailedTrial, FinishedTrial, TrialResult

UNTRAINED = 0.01  # of mIoU above the position prior, which never looked at an image


def did_not_train(results: Sequence[TrialResult], prior: float | None) -> dict[str, str]:
    """Models of which a run did not train, with the reason; `prior` as in `evidence.evidence`.

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
