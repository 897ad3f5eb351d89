"""A trial, and a comparison, as runs on Weights & Biases that are made of results."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from experiments.analysis.evidence_types import Evidence
from experiments.comparison.wandb_comparison import comparison_run, log_comparison
from experiments.comparison.wandb_pictures import panel_pictures
from experiments.comparison.wandb_sync import Version
from experiments.reporting.image_panel import Panel
from experiments.training.wandb_content import content, init_of_trial, summary, trial_content_hash
from experiments.trials.history import FIRST_LOSS, HISTORY, points_of, read_points
from experiments.trials.result_types import FinishedTrial, TrialResult

if TYPE_CHECKING:  # it takes a second, and may be missing
    import wandb


def trial_version(result: TrialResult, group: str, panel: Panel) -> Version:
    """A trial with the predictions of the panel's images that it keeps."""
    init, shown = init_of_trial(result, group), summary(result)
    curve = result.curve if isinstance(result, FinishedTrial) else None
    points = read_points(result.path.parent / HISTORY)
    thinned = [{k: v for k, v in point.items() if k != FIRST_LOSS} for point in points]
    points = [point for point in thinned if len(point) > 1] or (points_of(curve) if curve else [])

    def fill(run: "wandb.Run") -> None:
        for point in points:
            run.log(point)

    if curve is not None:
        said = trial_content_hash(init.config, shown, curve)
    else:
        said = content(init.config, shown, points)
    pictures = [
        p for name in panel.ids for p in panel_pictures(panel, name, {"prediction": result})
    ]
    return Version(
        init=init,
        content=said,
        fill=fill,
        pictures=pictures,
        classes=list(panel.labels.names),
        summary=shown,
        failed=not result.done,
    )


def comparison_version(
    results: Sequence[TrialResult], evidence: Evidence, group: str, panel: Panel
) -> Version:
    """The comparison, with the truth of each image and one prediction a model over it."""
    init = comparison_run(results, group)
    firsts = {result.label: result for result in reversed(results) if result.done}
    pictures = [p for name in panel.ids for p in panel_pictures(panel, name, firsts, panel.masks)]
    return Version(
        init=init,
        content=content(init.config),
        fill=lambda run: log_comparison(run, results, evidence),
        pictures=pictures,
        classes=list(panel.labels.names),
        summary={},
        failed=False,
    )
