"""Jobs on a real SLURM of two nodes: what becomes of them, whatever befalls them."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from rich.console import Console

from experiments.engines.engine import run_jobs
from experiments.engines.job import ProcessState
from experiments.engines.request import Detached, EngineRequest, JobSize
from experiments.engines.slurm import SlurmEngine
from tests.experiments.engines.stub_job import StubJob
from tests.slurm import Slurm, cluster, lacking

pytestmark = pytest.mark.skipif(
    bool(lacking()), reason=f"SLURM is not installed here: {', '.join(lacking())} lacking"
)


@pytest.fixture(scope="module")
def slurm() -> Iterator[Slurm]:
    with cluster() as started:
        yield started


@pytest.fixture(autouse=True)
def found(slurm: Slurm, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, value in slurm.environment.items():
        monkeypatch.setenv(name, value)
    yield
    if left := slurm.states():  # of a test that has failed, or is about to leave the queue
        slurm.ask("scancel", "--quiet", *left)


def engine(folder: Path, **settings: object) -> SlurmEngine:
    said = {"time": "00:05:00", "patience": 1, "signal": 10} | settings
    pairs = tuple((name, str(value)) for name, value in said.items())
    request = EngineRequest(name="slurm", settings=pairs)
    opened = SlurmEngine.open(request, JobSize(), folder / "slurm")
    opened.interval = 0.2
    return opened


def until(
    slurm: Slurm, condition: Callable[[], object], poll: Callable[[], None] = lambda: None
) -> None:
    def looked() -> object:
        poll()
        slurm.hurry()
        return condition()

    slurm.wait(looked)


def has_begun(job: StubJob, times: int) -> bool:
    return len(job.starts) == times


def test_more_jobs_than_an_array_may_have(slurm: Slurm, tmp_path: Path) -> None:
    """The configuration lets an array have four."""
    jobs = [StubJob(tmp_path / str(number)) for number in range(6)]
    run_jobs(engine(tmp_path), jobs, Console(quiet=True))
    assert {job.state for job in jobs} == {ProcessState.DONE}
    assert all(job.starts == [0] for job in jobs)
    slurm.wait(lambda: not slurm.states())


def test_detached_and_collected_later(slurm: Slurm, tmp_path: Path) -> None:
    jobs = [StubJob(tmp_path / name, steps=20) for name in "ab"]
    console = Console(width=200)
    with console.capture() as shown, pytest.raises(Detached, match="the same command later"):
        run_jobs(engine(tmp_path), jobs, console, detach=True)
    assert "2 jobs go on; to end: scancel" in shown.get()
    again = [StubJob(tmp_path / name, steps=20) for name in "ab"]
    run_jobs(engine(tmp_path), again, console)
    assert {job.state for job in again} == {ProcessState.DONE}
    assert all(job.starts == [0] for job in again)  # nothing was sent twice


def test_jobs_end_with_the_command_only_where_that_is_asked(slurm: Slurm, tmp_path: Path) -> None:
    class Impatient(SlurmEngine):
        def poll(self) -> None:
            super().poll()
            if any(job.state is ProcessState.RUNNING for job in self._jobs):
                raise KeyboardInterrupt

    for cancel in ("no", "yes"):
        job = StubJob(tmp_path / cancel, steps=10_000)
        opened = engine(tmp_path / cancel, cancel=cancel)
        impatient = Impatient(opened.settings, opened.size, opened.folder)
        with pytest.raises(KeyboardInterrupt):
            run_jobs(impatient, [job], Console(quiet=True))
        time.sleep(0.5)
        running = [state for state in slurm.states().values() if state == "RUNNING"]
        assert len(running) == (cancel == "no")
        opened.submit([job]) if cancel == "no" else None
        opened.cancel()
        slurm.wait(lambda: not slurm.states())


@pytest.mark.parametrize("whom", ["told", "told hard", "cancelled"])
def test_interrupted_it_goes_on(slurm: Slurm, tmp_path: Path, whom: str) -> None:
    """Told by the signal ahead of a time limit it saves and is queued again; by SIGTERM alone, or
    cancelled by anybody, it saves and is sent again."""
    job, opened = StubJob(tmp_path / "a", steps=40), engine(tmp_path)
    opened.submit([job])
    until(slurm, lambda: job.progress.is_file(), opened.poll)
    (id,) = slurm.states()
    commands = {
        "told": ["scancel", "--signal=USR1", id],
        "told hard": ["scancel", "--signal=TERM", id],
        "cancelled": ["scancel", id],
    }
    slurm.ask(*commands[whom])
    until(slurm, lambda: job.state.ended, opened.poll)
    assert job.state is ProcessState.DONE
    first, second = job.starts
    assert first == 0 < second < 40


def test_preempted_it_saves_and_goes_on(slurm: Slurm, tmp_path: Path) -> None:
    job, opened = (
        StubJob(tmp_path / "a", steps=60),
        engine(tmp_path, nodelist="n1", exclusive="user"),
    )
    opened.submit([job])
    until(slurm, lambda: job.progress.is_file(), opened.poll)
    slurm.ask("srun", "--partition=urgent", "--nodelist=n1", "--exclusive", "sleep", "0.5")
    until(slurm, lambda: job.state.ended, opened.poll)
    assert job.state is ProcessState.DONE
    first, second = job.starts
    assert first == 0 < second < 60


def test_a_bounded_number_of_times(slurm: Slurm, tmp_path: Path) -> None:
    job, opened = StubJob(tmp_path / "a", steps=10_000), engine(tmp_path, requeues=1)
    opened.submit([job])
    for runs in (1, 2):
        until(slurm, partial(has_begun, job, runs), opened.poll)
        until(slurm, lambda: job.progress.is_file())
        slurm.ask("scancel", "--signal=USR1", *slurm.states())
        job.progress.unlink()
    until(slurm, lambda: job.state.ended, opened.poll)
    assert job.state is ProcessState.FAILED
    assert job.note == (
        "was interrupted 2 times: ask for more time=, or requeues=; the same command goes on from "
        "the last checkpoint"
    )
    assert job.starts[1] > 0


def test_who_gets_nowhere_is_told_to_ask_for_more_time(slurm: Slurm, tmp_path: Path) -> None:
    job, opened = StubJob(tmp_path / "a", what="idle"), engine(tmp_path)
    opened.submit([job])
    for runs in (1, 2, 3):
        until(slurm, partial(has_begun, job, runs), opened.poll)
        slurm.ask("scancel", "--signal=USR1", *slurm.states())
    until(slurm, lambda: job.state.ended, opened.poll)
    assert job.state is ProcessState.FAILED
    assert job.note.startswith("got nowhere in 3 runs: ask for more time=")


def test_the_lost_are_sent_again_and_at_last_given_up(slurm: Slurm, tmp_path: Path) -> None:
    job = StubJob(tmp_path / "a", what="vanish")
    run_jobs(engine(tmp_path, retries=1), [job], Console(quiet=True))
    assert job.state is ProcessState.FAILED
    assert "left the queue without a result, as 1 before it" in job.note
    assert len(job.starts) == 2
    again = StubJob(tmp_path / "a")  # the same command, once the cause is gone
    run_jobs(engine(tmp_path), [again], Console(quiet=True))
    assert again.state is ProcessState.DONE


def test_what_fails_fails_once(slurm: Slurm, tmp_path: Path) -> None:
    job = StubJob(tmp_path / "a", what="fail")
    run_jobs(engine(tmp_path), [job], Console(quiet=True))
    assert (job.state, job.note) == (ProcessState.FAILED, "the loss is not finite")
    assert job.starts == [0]


def test_a_result_that_appears_late(slurm: Slurm, tmp_path: Path) -> None:
    """As through the caches of a network file system."""

    class Late(StubJob):
        seen = 0.0

        def settle(self) -> bool:
            if self.result.is_file() and not self.seen:
                self.seen = time.monotonic()
            return bool(self.seen) and time.monotonic() - self.seen > 2 and super().settle()

    job = Late(tmp_path / "a")
    run_jobs(engine(tmp_path, patience=20), [job], Console(quiet=True))
    assert job.state is ProcessState.DONE and job.starts == [0]


def test_a_node_whose_daemon_dies(slurm: Slurm, tmp_path: Path) -> None:
    """SLURM takes the job for dead and starts it on the other; the first works on, and its lease
    keeps the second from working beside it."""
    job, opened = StubJob(tmp_path / "a", steps=300), engine(tmp_path)
    opened.submit([job])
    until(slurm, lambda: job.state is ProcessState.RUNNING and job.progress.is_file(), opened.poll)
    node = slurm.ask("squeue", "-h", "-o", "%N").strip()
    slurm.kill_node(node)
    try:
        until(slurm, lambda: job.state.ended, opened.poll)
    finally:
        slurm.start_node(node)
    assert job.state is ProcessState.DONE
    assert job.starts == [0] or job.starts[1:] == []


def test_a_queue_that_does_not_answer_says_nothing_of_jobs(
    slurm: Slurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, opened = StubJob(tmp_path / "a", steps=20), engine(tmp_path)
    opened.submit([job])
    silent = tmp_path / "bin" / "squeue"
    silent.parent.mkdir()
    silent.write_text("#!/bin/sh\necho 'squeue: error: no controller' >&2\nexit 1\n")
    silent.chmod(0o755)
    with monkeypatch.context() as patch:
        patch.setenv("PATH", f"{silent.parent}:{os.environ['PATH']}")
        opened.poll()
        assert not job.state.ended and job.note == "squeue: error: no controller"
    until(slurm, lambda: job.state.ended, opened.poll)
    assert job.state is ProcessState.DONE and job.starts == [0]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"partition": "nope"}, "SLURM refuses the jobs: .*nvalid partition"),
        ({"partition": "short"}, "SLURM refuses the jobs: .*time limit"),
        ({"gres": "gpu:8"}, "SLURM refuses the jobs: .*nvalid generic resource"),
        ({"no-such-flag": "1"}, "SLURM refuses the jobs: .*unrecognized option"),
    ],
)
def test_what_slurm_refuses_is_said_once_and_leaves_nothing(
    slurm: Slurm, tmp_path: Path, settings: dict[str, str], says: str,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    before = slurm.states().keys()
    with pytest.raises(ValueError, match=says) as raised:
        engine(tmp_path, **settings).submit([StubJob(tmp_path / "a")])
    assert "\n" not in str(raised.value)
    assert slurm.states().keys() <= before
    assert [*tmp_path.rglob("*")] == []
    assert capfd.readouterr() == ("", "")


def test_a_folder_that_nodes_do_not_see_is_refused(slurm: Slurm, tmp_path: Path) -> None:
    """This machine mounts another file system over it, in a name space of its own."""
    before = slurm.states().keys()
    if os.getuid():
        pytest.skip("only root may mount")
    script = (
        "from pathlib import Path; import sys\n"
        "from experiments.engines.request import EngineRequest, JobSize\n"
        "from experiments.engines.slurm import SlurmEngine\n"
        "from tests.experiments.engines.stub_job import StubJob\n"
        "at = Path(sys.argv[1])\n"
        "request = EngineRequest(name='slurm', settings=(('time', '10'),))\n"
        "engine = SlurmEngine.open(request, JobSize(), at / 'slurm')\n"
        "try: engine.submit([StubJob(at / 'a')])\n"
        "except ValueError as error: print(error)\n"
        "print([*at.rglob('*')])\n"
    )
    mounts = f'mount -t tmpfs none {tmp_path} && exec {sys.executable} -c "$1" {tmp_path}'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", mounts, "sh", script],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.stdout.splitlines() == [
        f"the nodes of the cluster do not see {tmp_path / 'slurm'}: name an --out on a file system "
        "that they share with this machine",
        "[]",
    ], done.stderr
    assert slurm.states().keys() <= before
