"""What a results folder says on Weights & Biases: a run a trial, and one of all together."""

from collections.abc import Sequence
from pathlib import Path

from experiments.analysis.evidence import evidence
from experiments.comparison.wandb_sync import Version
from experiments.comparison.wandb_versions import comparison_version, trial_version
from experiments.reporting.image_panel import make_panel
from experiments.trials.comparability import check_comparable
from experiments.trials.result_types import TrialResult
from experiments.trials.results import finished, read_prior
from experiments.trials.trial import comparison_id


def versions(results: Sequence[TrialResult], data_root: Path | None) -> tuple[list[Version], str]:
    """The runs of a folder, trials first, and why they have no photos; empty where they have.

    Raises:
        ValueError: no results, or results that do not share a table.
    """
    check_comparable(results)
    trials = [result for result in results if result.hashes.recipe]  # others come from afar
    group = comparison_id(result.id for result in trials)
    panel = make_panel(results, data_root)
    made = [trial_version(result, group, panel) for result in trials]
    if finished(results):
        prior = read_prior(results[0].path.parents[2], results)
        known = evidence(results, prior=prior.metrics.miou if prior else None)
        made.append(comparison_version(results, known, group, panel))
    return made, panel.reason
