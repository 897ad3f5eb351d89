"""Trials on GPUs: never more on one than may share it, and none idle while a trial fits."""

import re
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from experiments import compare
from experiments.comparison import gpus as listing
from experiments.comparison.dry_run import print_plan
from experiments.comparison.gpus import Gpu, parse_gpus
from experiments.comparison.launcher import run
from experiments.comparison.placement import Places, least_loaded
from experiments.comparison.plan import plan
from experiments.comparison.request import ComparisonRequest
from experiments.comparison.trial_process import TrialProcess
from experiments.costs.network_cost import OperationCount
from experiments.costs.training_estimate import TrainingEstimate
from experiments.engines.job import ProcessState
from experiments.engines.live_view import watch
from experiments.recipes import smoke
from experiments.training import hardware
from experiments.trials.environment import trial_environment
from experiments.trials.trial import Trial
from tests.commands import exit_status
from tests.experiments.comparison.four_gpus import GPUS, notes, simulate

SMOKE = ("--recipe", "smoke", "--wandb", "off", "--models", "unet:width=4")


def _request(*args: object) -> ComparisonRequest:
    return compare.request_of(compare.parser().parse_args([*SMOKE, *map(str, args)]))


@given(
    load=st.lists(st.integers(0, 4), max_size=6), count=st.integers(0, 4), most=st.integers(1, 4)
)
def test_the_least_loaded_are_chosen(load: list[int], count: int, most: int) -> None:
    """Of all choices that fit, found by trying every one, one with the fewest trials."""
    fits = [
        (sum(load[i] for i in some), some)
        for some in combinations(range(len(load)), count)
        if all(load[i] < most for i in some)
    ]
    chosen = least_loaded(load, count, most)
    if not fits:
        assert chosen is None
    else:
        assert chosen is not None and sum(load[i] for i in chosen) == min(fits)[0]
        assert chosen in [some for _, some in fits]


@given(data=st.data())
def test_trials_of_any_length_on_any_machine(data: st.DataObject) -> None:
    """In simulated time: GPUs 0 to 6, trials that end in any order, with every number of them."""
    num_gpus = data.draw(st.integers(0, 6))
    devices = data.draw(st.integers(1, max(1, num_gpus)))
    share = data.draw(st.integers(1, 4 if num_gpus else 1))
    jobs = data.draw(st.integers(1, 12))
    waiting = data.draw(st.lists(st.integers(1, 20), max_size=20))  # seconds that each takes
    gpus = [Gpu(str(index)) for index in range(num_gpus)]
    places = Places(gpus, jobs=jobs, devices=devices, per_device=share)
    now, running, done, total = 0, list[tuple[int, tuple[Gpu, ...]]](), 0, len(waiting)
    while waiting or running:
        while waiting and (taken := places.take()) is not None:
            running.append((now + waiting.pop(0), taken))
            assert len(set(taken)) == (devices if gpus else 0)
        load = [sum(gpu in taken for _, taken in running) for gpu in gpus]
        assert max(load, default=0) <= share
        assert len(running) <= jobs
        if waiting:
            assert running  # else it would wait for ever
            room = sum(trials < share for trials in load) >= devices if gpus else True
            assert not room or len(running) == places.at_a_time
        now, first = min((end, index) for index, (end, _) in enumerate(running))
        places.give_back(running.pop(first)[1])
        done += 1
    assert done == total


@given(num_gpus=st.integers(1, 8), share=st.integers(1, 4), data=st.data())
def test_as_many_side_by_side_as_it_says(num_gpus: int, share: int, data: st.DataObject) -> None:
    devices = data.draw(st.integers(1, num_gpus))
    gpus = [Gpu(str(index)) for index in range(num_gpus)]
    places = Places(gpus, jobs=1000, devices=devices, per_device=share)
    taken = 0
    while places.take() is not None:
        taken += 1
    assert taken == places.at_a_time == num_gpus * share // devices


def test_eight_trials_on_four_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Real processes, which take notes instead of training, and end in all ways there are."""
    simulate(tmp_path, monkeypatch)
    monkeypatch.setattr("experiments.comparison.gpu_sharing.need_gb", lambda *_: 1.0)
    args = ("--jobs", 4, "--devices", 2, "--per-device", 2, "--seeds", "0,1,2,3,4,5,6,7")
    request = _request(*args, "--out", tmp_path / "runs")
    console = Console(width=100, record=True)
    with console.capture() as shown:
        processes = run(plan(request), "data", request, console)
    found = notes(tmp_path)
    assert len(found) == 8
    for note in found.values():
        assert len(set(note.gpus)) == len(note.gpus) == 2
        assert (note.order, note.jobs) == ("PCI_BUS_ID", "4")
    assert {gpu for note in found.values() for gpu in note.gpus} == {"0", "1", "2", "3"}
    side_by_side = [
        [other for other in found.values() if other.begun <= note.begun < other.ended]
        for note in found.values()
    ]
    assert max(map(len, side_by_side)) <= 4
    for running in side_by_side:
        given = [gpu for note in running for gpu in note.gpus]
        assert max(given.count(gpu) for gpu in "0123") <= 2
    states = [process.state for process in processes]
    assert states.count(ProcessState.HELD) == 2 and states.count(ProcessState.FAILED) == 6
    said = shown.get()
    assert "unet:width=4 seed 0: running on gpus 0,1 (0 of 8 done, 4 running)" in said
    assert "unet:width=4 seed 1: running on gpus 2,3 (" in said
    assert not re.search("(failed|held) on gpu", said)


def test_a_trial_waits_for_a_place_and_the_users_gpus_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More `--jobs` than GPUs, of which the user wants two: the third waits, whatever ends."""
    simulate(tmp_path, monkeypatch)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-3aaa,1")
    request = _request("--jobs", 8, "--seeds", "3,1,2", "--out", tmp_path / "runs")
    run(plan(request), "data", request, Console(quiet=True))
    found = notes(tmp_path)
    assert [found[seed].gpus for seed in (3, 1)] == [("GPU-3aaa",), ("1",)]
    assert {note.jobs for note in found.values()} == {"2"}
    assert {note.order for note in found.values()} == {None}
    assert found[2].begun > min(found[3].ended, found[1].ended)
    assert found[2].gpus in (found[3].gpus, found[1].gpus)


@pytest.mark.parametrize(
    ("args", "visible", "says"),
    [
        (
            ("--devices", 5),
            None,
            "--devices is 5 and 4 GPUs are visible here: ask for at most 4, or train on the "
            "processor with CUDA_VISIBLE_DEVICES=\n",
        ),
        (("--devices", 2), "3", "--devices is 2 and 1 GPU is visible here: ask for at most 1, or"),
        (("--jobs", 2), "0,9", "this machine has no GPU '9' (nvidia-smi lists 0, 1, 2, 3)"),
        (("--per-device", 2), "", "--per-device is 2 and no GPU is visible here that trials"),
    ],
)
def test_what_this_machine_does_not_have_is_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    args: tuple[object, ...],
    visible: str | None,
    says: str,
) -> None:
    simulate(tmp_path, monkeypatch)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert exit_status(compare.main, *SMOKE, *args, "--out", tmp_path / "runs") == 2
    shown = capsys.readouterr()
    assert says in shown.err and shown.err.count("\n") == 1
    assert not (tmp_path / "runs").exists()


def test_gpus_that_cannot_be_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One trial after the other takes the first, as ever; side by side all would."""
    simulate(tmp_path, monkeypatch, "Driver/library version mismatch", status=18)
    monkeypatch.setattr(listing, "_DEVICES", tmp_path)
    (tmp_path / "nvidia0").write_text("")
    assert _request("--devices", 3).places().take() == ()
    with pytest.raises(ValueError, match="mismatch\\): cure that, leave out --jobs and --per-dev"):
        _request("--jobs", 2).places()


def test_without_a_gpu_jobs_are_what_they_were() -> None:
    places = Places([], jobs=3, devices=2)
    assert [places.take() for _ in range(4)] == [(), (), (), None]
    places.give_back(())
    assert places.take() == ()
    assert str(places) == "3 at a time"


def test_the_plan_says_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    simulate(tmp_path, monkeypatch)
    hours = TrainingEstimate(OperationCount(1, 1), 8.0)
    monkeypatch.setattr("experiments.costs.training_estimate.estimate_training", lambda *_: hours)
    args = ("--devices", 2, "--per-device", 2, "--seeds", "0,1", "--out", tmp_path)
    print_plan(_request(*args, "--jobs", 9), Console(width=120))
    line = (
        "about 4 h of training left, 4 at a time on gpus 0,1,2,3, 2 for each trial, up to 2 trials "
        "on one"
    )
    assert line in capsys.readouterr().out


def test_a_running_trial_shows_its_gpus(tmp_path: Path) -> None:
    """In the live table and in lines, and no longer when it has ended."""
    trial = Trial(smoke(), "unet", 0, tmp_path)
    two = tuple(parse_gpus(GPUS)[2:])
    process = TrialProcess(
        trial,
        trial.identity(),
        gpus=two,
        arguments=[],
        state=ProcessState.RUNNING,
        note="train 3/6",
    )
    assert process.where == ""
    process.process = object()  # type: ignore[assignment]  # that runs
    for terminal, shows in (
        (True, "unet seed 0 running on gpus 2,3 train 3/6"),
        (False, "unet seed 0: running on gpus 2,3 train 3/6 (0 of 1 done, 1 running)"),
    ):
        console = Console(width=100, force_terminal=terminal, color_system=None)
        with console.capture() as shown, watch([process], console) as show:
            show()
        assert shows in re.sub(" +", " ", shown.get())


@given(
    cores=st.integers(1, 256),
    num_gpus=st.integers(1, 8),
    jobs=st.integers(1, 16),
    share=st.integers(1, 4),
    data=st.data(),
)
def test_readers_share_the_cores_with_all_that_run(
    cores: int, num_gpus: int, jobs: int, share: int, data: st.DataObject
) -> None:
    """Training processes and readers of all trials side by side take a core each, if there are."""
    devices = data.draw(st.integers(1, num_gpus))
    gpus = [Gpu(str(index)) for index in range(num_gpus)]
    places = Places(gpus, jobs=jobs, devices=devices, per_device=share)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in trial_environment(places.at_a_time, 1).items():
            if name.startswith("COMPARE_"):
                patch.setenv(name, value)
        patch.setattr("os.cpu_count", lambda: cores)
        patch.setattr("torch.cuda.is_available", lambda: True)
        readers = hardware.reading_processes(devices)
    training = places.at_a_time * devices
    assert 1 <= readers <= 8
    assert readers == 1 or training * (1 + readers) <= cores
    assert readers == 8 or training * (2 + readers) > cores
