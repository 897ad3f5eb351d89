"""Whose rank a process is, over all that launchers, shells and job scripts leave in variables."""

import itertools
import os
import subprocess
import sys

import pytest

from experiments.trials import launch
from experiments.trials.launch import PARENT, Place, find_place, take_place, without_places
from tests.commands import ROOT

ME = 4711  # the process that started the one in question
TORCHRUN = {
    "TORCHELASTIC_RUN_ID": "none",
    "RANK": "1",
    "LOCAL_RANK": "1",
    "GROUP_RANK": "0",
    "WORLD_SIZE": "2",
    "MASTER_ADDR": "127.0.0.1",
    "MASTER_PORT": "29500",
}
BATCH = {  # a script of `sbatch --ntasks=4`, and the shell of `salloc -n 4`
    "SLURM_JOB_ID": "7",
    "SLURM_NTASKS": "4",
    "SLURM_PROCID": "0",
    "SLURM_LOCALID": "0",
    "SLURM_NODEID": "0",
}
STEP = BATCH | {"SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "3"}
NODES = {"NODE_RANK": "1", "MASTER_ADDR": "10.0.0.1", "MASTER_PORT": "29500"}
STRAY = {
    "RANK": "1",
    "LOCAL_RANK": "1",
    "WORLD_SIZE": "8",
    "NODE_RANK": "1",
    "GROUP_RANK": "3",
    "MASTER_ADDR": "10.0.0.1",
    "SLURM_PROCID": "2",
    "SLURM_NTASKS": "4",
    "PMI_RANK": "1",
    "OMPI_COMM_WORLD_RANK": "1",
    "OMPI_COMM_WORLD_SIZE": "2",
    "JSM_NAMESPACE_RANK": "1",
}


def place(environment: dict[str, str], devices: int | None = 1, num_nodes: int = 1) -> Place:
    return find_place(environment, ME, devices=devices, num_nodes=num_nodes)


@pytest.mark.parametrize("devices", [None, 1, 2, 4])
def test_variables_that_no_launcher_backs_say_nothing(devices: int | None) -> None:
    """All of them and any pair of them, with any value."""
    names = [*itertools.combinations(STRAY, 1), *itertools.combinations(STRAY, 2), tuple(STRAY)]
    for some in names:
        left = {name: STRAY[name] for name in some}
        assert place(left, devices) == Place()
        assert place(dict.fromkeys(some, "x"), devices) == Place()
        assert place(dict.fromkeys(some, ""), devices) == Place()
        assert place(left | {PARENT: str(ME + 1)}, devices) == Place()


def test_a_rank_that_lightning_started_in_one_of_ours() -> None:
    ours = {PARENT: str(ME), "LOCAL_RANK": "1", "NODE_RANK": "0", "WORLD_SIZE": "2"}
    assert place(ours, 2) == Place("ours", 1, 0, starts=False)
    both = ours | NODES
    assert place(both, 2, 2) == Place("ours", 3, 1, 2, starts=False)
    assert place({PARENT: str(ME)}, 2) == Place()  # the trial itself, of `compare`


def test_torchrun_counts_where_it_started_as_many_as_are_asked_for() -> None:
    assert place(TORCHRUN, 2) == Place("torchrun", 1)
    assert place(TORCHRUN | STEP, 2) == Place("torchrun", 1)  # torchrun under srun
    assert place(TORCHRUN | {"GROUP_RANK": "1"}, 1, 2) == Place("torchrun", 1, 1, 2)
    assert place(TORCHRUN | {"RANK": "0", "WORLD_SIZE": "1"}) == Place()
    with pytest.raises(ValueError, match="torchrun started 2 processes, and --devices times"):
        place(TORCHRUN, 1)
    with pytest.raises(ValueError, match="this command starts those of its trials itself"):
        place(TORCHRUN, None)


def test_srun_counts_where_its_tasks_are_the_ranks() -> None:
    assert place(STEP, 4) == Place("srun", 3)
    assert place(STEP | {"SLURM_NODEID": "1"}, 2, 2) == Place("srun", 3, 1, 2)
    assert place(STEP) == Place()  # tasks that each run a trial of their own
    shell = STEP | {"SLURM_STEP_NUM_TASKS": "1", "SLURM_PROCID": "0"}  # srun --pty bash
    assert place(shell, 4) == Place()
    with pytest.raises(ValueError, match="srun started 4 processes, and --devices times --num-"):
        place(STEP, 2)


def test_a_job_script_and_an_allocated_shell_are_no_launchers() -> None:
    for devices in (None, 1, 4):
        assert place(BATCH, devices) == Place()


def test_nodes_are_told_by_hand_also_as_tasks_of_one_step() -> None:
    for environment in (NODES, NODES | BATCH, NODES | STEP | {"SLURM_STEP_NUM_TASKS": "2"}):
        for devices in (None, 1):
            assert place(environment, devices, 2) == Place("ours", 1, 1, 2)
        assert place(environment, 4, 2) == Place("ours", 4, 1, 2)
    assert place(NODES) == Place()  # of one node


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"NODE_RANK": ""}, "needs NODE_RANK in the environment"),
        ({"MASTER_ADDR": "", "MASTER_PORT": ""}, "needs MASTER_ADDR and MASTER_PORT in"),
        ({"NODE_RANK": "2"}, "NODE_RANK=2 names no machine of --num-nodes 2"),
        ({"NODE_RANK": "first"}, "NODE_RANK is 'first' in the environment"),
        ({"NODE_RANK": "-1"}, "NODE_RANK is '-1' in the environment"),
    ],
)
def test_a_node_among_several_has_to_be_told(change: dict[str, str], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        place(NODES | change, 1, 2)


def test_what_is_handed_on_tells_no_place() -> None:
    kept = {"PATH": "/bin", "SLURM_JOB_ID": "7", "RANKING": "1", "CUDA_VISIBLE_DEVICES": "0"}
    kept |= {"SLURM_CONF": "/a", "SLURM_ARRAY_TASK_ID": "3"}  # who asks the queue, and is named
    assert without_places(kept | STRAY | TORCHRUN | STEP, 1) == kept
    assert without_places(kept | STRAY | NODES, 2) == kept | NODES


def test_a_process_forgets_what_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also Lightning, which looks at the same variables when it is imported."""
    monkeypatch.setattr(launch, "_here", Place())
    for name, value in STRAY.items():
        monkeypatch.setenv(name, value)
    assert take_place(1, 1) == Place()
    assert not STRAY.keys() & os.environ.keys()


def test_lightning_takes_no_stray_rank() -> None:
    script = (
        "from experiments.trials.launch import take_place; take_place(2, 1)\n"
        "from lightning.fabric.utilities.rank_zero import rank_zero_only\n"
        "from experiments.training.hardware import cluster_environment\n"
        "found = cluster_environment()\n"
        "print(type(found).__name__, rank_zero_only.rank, found.creates_processes_externally)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        cwd=ROOT,
        env={**os.environ, **BATCH, **STRAY},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["LightningEnvironment", "0", "False"]
