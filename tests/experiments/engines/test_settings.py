"""What `--engine`, `--engine-set` and `--detach` may say, without any cluster."""

import argparse
import subprocess
import sys
from pathlib import Path

import pytest

from experiments import compare
from experiments.engines.request import add_arguments, request_of
from experiments.engines.slurm_settings import slurm_settings
from tests.commands import ROOT, exit_status, run


def asked(*words: str) -> dict[str, str]:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return dict(request_of(parser.parse_args(words)).settings)


def test_settings_have_names_and_values_and_the_last_of_two_counts() -> None:
    slurm = ("--engine", "slurm", "--engine-set")
    assert asked(*slurm, "partition=gpu, time=02:00:00") == {
        "partition": "gpu", "time": "02:00:00"
    }  # fmt: skip
    assert asked(*slurm, "a=1,b=2", "--engine-set", "b=3") == {"a": "1", "b": "3"}
    assert asked(*slurm, "export=ALL,,X=1") == {"export": "ALL,X=1"}


@pytest.mark.parametrize("text", ["gpu", "=gpu", "a=", "a=1,", "a=1,b"])
def test_what_is_no_setting_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        compare.main(["--engine", "slurm", "--engine-set", text])
    said = capsys.readouterr().err.strip()
    assert "give NAME=VALUE with commas between" in said and "\n" not in said


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("90", 90), ("90:30", 90), ("02:00:00", 120), ("1-0", 1440), ("1-2", 1560),
        ("1-2:30", 1590), ("1-2:30:59", 1590),
    ],
)  # fmt: skip
def test_time_limits_as_slurm_writes_them(text: str, minutes: int) -> None:
    assert slurm_settings({"time": text}).minutes == minutes


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ({}, "needs the time that each job may take"),
        ({"time": "soon"}, "time=soon is no time limit of SLURM"),
        ({"time": "00:02:30"}, "told to save 120 s before its end.*ask for time=00:03:00 or more"),
        ({"time": "1:00:00", "signal": "3590"}, "ask for time=01:01:00 or more"),
        ({"time": "10", "array": "1-3"}, "array= is set by the comparison itself"),
        ({"time": "10", "--nodes": "3"}, "nodes= is set by the comparison itself"),
        ({"time": "10", "retries": "many"}, "retries=many: give a whole number from 0 to 100"),
        ({"time": "10", "cancel": "1"}, "cancel=1: give yes or no"),
    ],
)
def test_settings_that_do_not_fit(said: dict[str, str], says: str) -> None:
    with pytest.raises(ValueError, match=says) as raised:
        slurm_settings(said)
    assert "\n" not in str(raised.value)


def test_other_settings_are_options_of_sbatch() -> None:
    found = slurm_settings({"time": "10", "cpus_per_task": "4", "--gres": "gpu:1", "requeues": "3"})
    assert found.options == {"cpus-per-task": "4", "gres": "gpu:1"}
    assert (found.requeues, found.time) == (3, "10")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--detach",), "--detach is for jobs of a cluster"),
        (("--engine-set", "time=10"), "--engine-set is for jobs of a cluster"),
        (("--engine", "ray", "--jobs", "2"), "--jobs and --per-device are for this machine"),
        (("--measure-on", "constraint=a"), "--measure-on is for a job of SLURM"),
    ],
)
def test_what_needs_a_cluster_is_refused_without(
    words: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_status(compare.main, "--models", "unet", *words) == 2
    assert says in capsys.readouterr().err


def test_a_machine_of_no_cluster_says_so_and_leaves_nothing(tmp_path: Path) -> None:
    status, text = run(
        "experiments.compare", "--recipe", "smoke", "--models", "unet", "--engine", "slurm",
        "--engine-set", "time=10", "--out", tmp_path / "runs", PATH="/nowhere",
    )  # fmt: skip
    assert status == 2
    (said,) = text.strip().splitlines()
    assert said.startswith("--engine slurm needs sbatch and squeue, and this machine has neither")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_engines_are_imported_when_they_are_asked_for() -> None:
    script = (
        "import sys\n"
        "from experiments import compare\n"
        "import experiments.comparison.comparison_runner, experiments.comparison.on_cluster\n"
        "print(sorted({'ray', 'submitit'} & sys.modules.keys()))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr
