"""The trials of a comparison beside the same ones under values of their own."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.console import Console

from experiments.comparison.request import ComparisonRequest
from experiments.comparison.tuning import tune
from experiments.trials.data_check import data_hash
from experiments.trials.trial import Trial


@dataclass(frozen=True)
class WithTuned:
    """Trials, tuned and not.

    Attributes:
        trials: each, and then the same with what its network's search has chosen.
        todo: those of them that can be trained.
        notes: why the others cannot; a result of each says so too.
    """

    trials: list[Trial]
    todo: list[Trial]
    notes: list[str]


def with_tuned(
    trials: Sequence[Trial],
    data: str,
    run: Callable[[Sequence[Trial], str], object],
    request: ComparisonRequest,
    console: Console,
) -> WithTuned:
    """Run the search of every network, where one is asked for.

    Args:
        data: hash of the data of the trials.
        run: runs trials of the data of a hash.

    Raises:
        BusyError, ValueError: as `tuning.tune` and `run`.
    """
    if not request.tune:
        return WithTuned([*trials], [*trials], [])

    def search(candidates: list[Trial]) -> None:
        run(candidates, data_hash(candidates[0].recipe, request.resources.data_root))

    tuned = tune(trials, request.tune, search, console, request.rerun)
    every = [one for pair in zip(trials, tuned, strict=True) for one in pair]
    notes = []
    for trial, failure in tuned.items():
        if failure is not None:
            trial.fail(data, failure, request.rerun)
            notes.append(f"{trial.name} failed: {failure.reason}")
    return WithTuned(every, [trial for trial in every if tuned.get(trial) is None], notes)
