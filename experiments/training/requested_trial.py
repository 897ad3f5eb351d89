"""The trial that a request names, with the check of its data."""

from dataclasses import dataclass, replace

from datamodules.validation.check_report import CheckReport
from experiments.training.trial_request import Resources, TrialRequest
from experiments.trials.data_check import check_data, check_unchanged, hash_of, scored_data
from experiments.trials.network_name import check_network
from experiments.trials.overrides import changed, load
from experiments.trials.result_types import Data
from experiments.trials.trial import Trial


@dataclass(frozen=True)
class RequestedTrial:
    """A trial about to run.

    Attributes:
        report: of its data, as they are before it begins.
    """

    trial: Trial
    resources: Resources
    report: CheckReport

    @property
    def data_hash(self) -> str:
        return hash_of(self.trial.recipe, self.report)

    def check_unchanged(self) -> None:
        """Look at all files of the data once more.

        Raises:
            DataError: they are not what they were.
        """
        check_unchanged(self.trial.recipe, self.resources.data_root, self.data_hash)

    @property
    def scored_data(self) -> Data:
        """What its result says of the split that is scored."""
        recipe, report = self.trial.recipe, self.report
        warnings = [str(finding) for finding in report.findings]
        return scored_data(recipe.data, recipe.test_split, report, [*report.splits], warnings)


def requested(request: TrialRequest) -> RequestedTrial:
    """The trial with its whole recipe, after a look at its data.

    Raises:
        ValueError: an unknown network, recipe or field, a value that does not fit, data that
            cannot be used, or code that has changed since it was submitted.
    """
    recipe = changed(load(request.recipe), request.own)
    recipe = replace(
        recipe, name=request.name or recipe.name, tuning=request.tuning or recipe.tuning
    )
    check_network(request.model)
    trial = Trial(
        recipe, request.model, request.seed, request.out, request.repeat, request=request.recipe
    )
    now = trial.identity().hashes.code
    if request.code not in (None, now):
        raise ValueError(
            f"the code of this trial has changed since it was submitted ({request.code}, now "
            f"{now}): give the same command again, which submits it with the code as it is"
        )
    report = check_data(recipe, request.resources.data_root)
    return RequestedTrial(trial, request.resources, report)
