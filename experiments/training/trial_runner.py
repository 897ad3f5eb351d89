"""One trial, by the process that holds its folder: it ends with one result, or goes on later."""

import logging
import sys
import traceback
import warnings

from experiments.training.failures import (
    clear_failures,
    failure_of,
    first_cause,
    leave_failure,
    lost_others,
)
from experiments.training.requested_trial import RequestedTrial, requested
from experiments.training.trial_request import TrialRequest
from experiments.trials.result_types import Failure, TrialIdentity
from experiments.trials.results import write_record, write_result
from experiments.trials.verification import FirstSteps


def run_trial(request: TrialRequest) -> Failure | None:
    """Train, predict, score, measure, and write the result; or why it failed, which is written too.

    Raises:
        BusyError: another process holds the trial.
        ValueError: a request that names nothing, data that cannot be used, or a folder that holds
            a trial of another recipe, data set or code.
    """
    ours = requested(request)
    trial = ours.trial
    with trial.lock():
        if not trial.prepare(ours.data_hash):
            print(f"done already: {trial.result_path}")
            return None
        clear_failures(trial.folder)
        identity = trial.start(ours.data_hash)
        try:
            _finish(ours, identity)
        except Exception as error:
            traceback.print_exc()
            failure = first_cause(trial.folder, error)
            try:
                write_record(trial.result_path, identity.fail(trial.result_path, failure))
            except OSError as full:  # the reason counts for more than that it cannot be kept
                print(f"the failure is not kept: {full}", file=sys.stderr)
            return failure
    return None


def _finish(ours: RequestedTrial, identity: TrialIdentity) -> None:
    # Torch and Lightning take seconds, which a trial that cannot run or has run need not wait for.
    from experiments.training.training_run import train_and_score

    _quieten()
    scored = train_and_score(ours, identity)
    assert scored is not None  # by the rank that keeps the folder
    ours.check_unchanged()
    write_result(scored.result, scored.counts)


def first_steps(request: TrialRequest, num_steps: int, perturbed: bool) -> FirstSteps:
    """The loss of every one of a trial's first steps, by the recipe's own schedule and stream.

    It trains in a folder of its own; nothing is validated, predicted, logged or kept.

    Raises:
        NonFiniteLossError: training left the numbers.
        ValueError: as `run_trial`.
    """
    from experiments.training.first_steps import train_first_steps

    _quieten()
    return train_first_steps(requested(request), num_steps, perturbed)


def run_other_rank(request: TrialRequest) -> Failure | None:
    """Take part in a trial of which another process keeps the folder.

    Raises:
        ValueError: as `run_trial`.
    """
    from experiments.training.training_run import train_and_score

    _quieten()
    ours = requested(request)
    try:
        train_and_score(ours, ours.trial.identity(ours.data_hash))
    except Exception as error:
        traceback.print_exc()
        failure = failure_of(error)
        if not lost_others(error):
            leave_failure(ours.trial.folder, failure)
        return failure
    return None


def _quieten() -> None:
    """Keep out of a trial's log what is no news."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)  # no tips
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    # Lightning 2.6 calls a name that torch 2.14 renames; nothing here can change it.
    warnings.filterwarnings("ignore", message=".*isinstance.treespec, LeafSpec.*")
    # The stream is resumable by itself: it starts at the step that training has reached.
    warnings.filterwarnings("ignore", message=".*ended before the epoch ended.*")
    # Who starts a trial's processes is settled here, and not by what else is installed.
    warnings.filterwarnings("ignore", message=".*`srun` command is available.*")
