"""What there is of a comparison on disk: its results, and the score of its position prior."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from datamodules import open_data
from experiments.scoring.position_prior import position_prior
from experiments.trials.result_types import PositionPrior, TrialResult
from experiments.trials.results import (
    PRIOR,
    finished,
    per_image,
    read_record,
    read_result,
    read_results,
    write_record,
)
from experiments.trials.trial import Trial, group_of
from experiments.trials.verification import read_verification


@dataclass(frozen=True, kw_only=True)
class EndedComparison:
    """A comparison of which everything has run that could.

    Attributes:
        trials: all of them, also those that had finished before.
        data: hash of their data.
        results: of the trials, as far as they have ended, and predictions from elsewhere.
        notes: of each trial that has no scores, why.
        ran: whether anything was run in this call.
    """

    trials: list[Trial]
    data: str
    results: list[TrialResult]
    notes: list[str]
    ran: bool

    @property
    def group(self) -> str:
        """Names it in W&B."""
        return group_of(self.trials)


def collected(trials: Sequence[Trial]) -> list[TrialResult]:
    """Results of trials, as far as they have ended, and then predictions from elsewhere."""
    read = (read_result(trial.result_path) for trial in trials)
    ours = [result for result in read if result is not None]
    return [*ours, *scored_elsewhere(trials[0].comparison_folder)]


def check_kept(trials: Sequence[Trial]) -> None:
    """Read once what tables and report will need of results that are there.

    Raises:
        ValueError: a damaged file, which would else be met after hours of training.
    """
    for result in finished(collected(trials)):
        per_image(result)
        read_verification(result)


def scored_elsewhere(folder: Path) -> list[TrialResult]:
    """Predictions from elsewhere that were scored into a comparison's folder."""
    scored = folder / "scored"
    return [*read_results(scored)] if scored.is_dir() else []


def kept_prior(
    trial: Trial,
    results: Sequence[TrialResult],
    root: Path | None,
    data: str,
    console: Console,
) -> PositionPrior | None:
    """Scores of the most frequent training class at each position.

    None before anything has finished, when they are not worth their time.

    Args:
        trial: one of the comparison.
        data: hash of its data.
        console: is told why they are made anew or cannot be kept.
    """
    if not finished(results):
        return None
    path, recipe = trial.comparison_folder / PRIOR, trial.recipe
    try:
        kept = read_record(path, PositionPrior)
    except ValueError:
        console.print(f"{path} was damaged: the position prior is made again", soft_wrap=True)
        kept = None
    if kept is not None and kept.data == data:
        return kept
    splits = (recipe.train_split, recipe.test_split)
    train, test = (open_data(recipe.data, split, root) for split in splits)
    prior = PositionPrior(data=data, metrics=position_prior(train, test))
    try:
        write_record(path, prior)
    except OSError as error:
        console.print(str(error), soft_wrap=True)
    return prior
