"""How the process of a trial ended, as far as the one that waits for it can tell."""

import contextlib
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from experiments.comparison.trial_process import TrialProcess
from experiments.engines.job import ProcessState
from experiments.recipes import smoke
from experiments.training.failures import leave_failure
from experiments.trials import launch
from experiments.trials.result_types import FailedTrial, Failure
from experiments.trials.results import read_result
from experiments.trials.trial import Trial
from tests.experiments.ended_trials import DATA, fail, finish


@pytest.fixture
def process(tmp_path: Path) -> TrialProcess:
    trial = Trial(smoke(), "unet", 0, tmp_path)
    trial.folder.mkdir(parents=True)
    return TrialProcess(trial, trial.identity(DATA), arguments=[], state=ProcessState.RUNNING)


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
    monkeypatch.setattr(launch, "_here", launch.Place(rank=1))
    leave_failure(process.trial.folder, reason)
    monkeypatch.undo()
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


def test_status_0_without_a_result_is_a_failure(process: TrialProcess) -> None:
    reason = "ended without a result (exit status 0); see log.txt in its folder"
    assert _end(process, "") == Failure(kind="other", reason=reason)
    assert process.state is ProcessState.FAILED
    process.trial.result_path.write_text("{}")  # nor is one that cannot be read
    assert _end(process, "") == Failure(kind="other", reason=reason)
    assert process.complaint == f"unet seed 0 failed: {reason}"


def test_on_another_machine_than_the_first_status_0_is_all_there_is(
    process: TrialProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "_here", launch.Place(rank=1, node=1, num_nodes=2))
    assert _end(process, "") is None
    assert process.state is ProcessState.DONE


@pytest.mark.parametrize(("status", "name"), [(143, "SIGTERM"), (130, "SIGINT"), (129, "SIGHUP")])
def test_a_status_tells_the_signal_that_stopped_it(
    process: TrialProcess, status: int, name: str
) -> None:
    failure = _end(process, f"raise SystemExit({status})")
    assert failure == Failure(kind="killed", reason=f"ended by {name}; see log.txt in its folder")


def test_all_that_a_process_has_started_ends_with_it(process: TrialProcess) -> None:
    """Whether it fails, is done or is stopped; also what ignores being asked."""
    child = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up'); time.sleep(600)"
    script = (
        "import subprocess, sys\n"
        f"child = subprocess.Popen([sys.executable, '-c', {child!r}], stdout=-1)\n"
        "child.stdout.readline(); print(child.pid, flush=True)\n"
    )
    for end in ("sys.exit(1)", "sys.exit(0)", "import time; time.sleep(600)"):
        process.process = subprocess.Popen(
            [sys.executable, "-c", script + end], stdout=-1, start_new_session=True
        )
        assert process.process.stdout is not None
        pid = int(process.process.stdout.readline())
        process.process.stdout.close()
        if "sleep" in end:
            process.stop()
        else:
            process.process.wait()
            process.log.write_text("")
            process.poll()
        with contextlib.suppress(psutil.NoSuchProcess):
            assert psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"\xff\xfe{}", b"[]", b"7", b"null", b"{}", b'{"stage": "train"}',
        b'{"stage": "train", "step": NaN, "steps": 9}',
        b'{"stage": "train", "step": 1, "steps": 0}',
        b'{"stage": "train", "step": "1", "steps": 9}', b'{"stage": 3, "step": 1, "steps": 9}',
        b'{"stage": "train", "step": 7, "steps": 3}', b"[" * 100_000,
        b'{"stage": "train", "step": true, "steps": true}',
    ],
)  # fmt: skip
def test_damaged_progress_is_passed_over(process: TrialProcess, content: bytes) -> None:
    waits = [sys.executable, "-c", "import time; time.sleep(600)"]
    process.process = subprocess.Popen(waits, start_new_session=True)
    process.progress.write_bytes(content)
    process.poll()
    assert (process.state, process.note) == (ProcessState.RUNNING, "")
    process.progress.write_text('{"stage": "train", "step": 3, "steps": 6, "time": 1.5}')
    process.poll()
    assert process.note == "train 3/6"
    process.stop()


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
