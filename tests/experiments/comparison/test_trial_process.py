"""How the process of a trial ended, as far as the one that waits for it can tell."""

import subprocess
import sys
from pathlib import Path

import pytest

from experiments.comparison.trial_process import ProcessState, TrialProcess
from experiments.recipes import smoke
from experiments.training.failures import leave_failure
from experiments.trials.result_types import FailedTrial, Failure
from experiments.trials.results import read_result
from experiments.trials.trial import Trial
from tests.experiments.ended_trials import DATA, fail, finish


@pytest.fixture
def process(tmp_path: Path) -> TrialProcess:
    trial = Trial(smoke(), "unet", 0, tmp_path)
    trial.folder.mkdir(parents=True)
    return TrialProcess(trial, trial.identity(DATA), [], ProcessState.RUNNING)


def _end(process: TrialProcess, script: str) -> Failure | None:
    """Have it end as a script does; why its result says it failed."""
    process.log.write_text("earlier words\n")
    process.log_start = process.log.stat().st_size
    with process.log.open("a") as log:
        process.process = subprocess.Popen([sys.executable, "-c", script], stdout=log)
        process.process.wait()
    process.poll()
    result = read_result(process.trial.result_path)
    return result.failure if isinstance(result, FailedTrial) else None


def test_a_process_that_is_killed_leaves_a_result_that_says_so(process: TrialProcess) -> None:
    failure = _end(process, "import os; os.kill(os.getpid(), 9)")
    assert failure is not None and failure.kind == "killed"
    assert failure.reason == "ended by SIGKILL (out of memory?); see log.txt in its folder"
    assert process.state is ProcessState.FAILED
    assert process.complaint == f"unet seed 0 failed: {failure.reason}"


def test_what_another_rank_has_left_is_the_reason(
    process: TrialProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ended the others, which can only say that they were ended."""
    reason = Failure(kind="data", reason="a.png is damaged")
    monkeypatch.setenv("LOCAL_RANK", "1")
    leave_failure(process.trial.folder, reason)
    monkeypatch.delenv("LOCAL_RANK")
    assert _end(process, "import os; os.kill(os.getpid(), 15)") == reason


def test_its_own_result_counts_before_all(process: TrialProcess) -> None:
    fail(process.trial, "the loss is nan", "diverged")
    own = Failure(kind="diverged", reason="the loss is nan")
    assert _end(process, "raise SystemExit(1)") == own


def test_last_words_are_all_that_is_left_of_others(process: TrialProcess) -> None:
    assert _end(process, "print('no such flag'); raise SystemExit(2)") == Failure(
        kind="other", reason="no such flag"
    )
    process.trial.result_path.unlink()
    failure = _end(process, "raise SystemExit(2)")
    assert failure is not None and failure.reason == "exit status 2"


def test_a_trial_that_is_held_elsewhere_gets_no_result(process: TrialProcess) -> None:
    assert _end(process, "print('unet is held by process 7'); raise SystemExit(3)") is None
    assert process.state is ProcessState.HELD
    assert process.complaint == "unet seed 0 held: unet is held by process 7"


def test_a_finished_one_has_nothing_to_complain_of(process: TrialProcess) -> None:
    finish(process.trial, 0.25)
    assert _end(process, "") is None
    assert process.state is ProcessState.DONE
    assert process.note.startswith("mIoU 25.0 % in ")
    assert process.complaint == ""
