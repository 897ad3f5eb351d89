"""Who started this process, and its place among those that train together.

Launchers tell a process its place by variables, which shells, job scripts and containers hand on to
processes that no launcher started. They count only where a launcher really started this one.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

PARENT = "COMPARE_PID"  # set for every process that one of ours starts: its parent
_NODE = ("NODE_RANK", "MASTER_ADDR", "MASTER_PORT")  # what a user says with --num-nodes
_PLACE = re.compile(
    r"(LOCAL_|GROUP_|ROLE_|NODE_)?RANK|(LOCAL_|GROUP_|ROLE_)?WORLD_SIZE|ROLE_NAME|MASTER_(ADDR|PORT)"
    r"|(TORCHELASTIC|OMPI|PMI|PMIX|JSM_NAMESPACE)_.*|SLURM_(?!JOB|ARRAY|CONF|CLUSTERS|RESTART).*"
)

Launcher = Literal["ours", "torchrun", "srun"]


@dataclass(frozen=True)
class Place:
    """Where a process stands.

    Attributes:
        launcher: who starts the processes of a trial; `ours` starts them itself.
        rank: among all processes of the trial.
        node: which machine.
        num_nodes: how many machines there are.
        starts: whether it is no rank that another process of ours started.
    """

    launcher: Launcher = "ours"
    rank: int = 0
    node: int = 0
    num_nodes: int = 1
    starts: bool = True


def find_place(
    environment: Mapping[str, str], parent: int, *, devices: int | None, num_nodes: int
) -> Place:
    """The place of a process, whatever else its variables say.

    Args:
        environment: its variables.
        parent: id of the process that started it.
        devices: processes of each machine that train together; None for a command that starts
            trials, as one process of each machine.
        num_nodes: machines.

    Raises:
        ValueError: a launcher has started another number of processes, or a machine among several
            is not told which it is.
    """
    if _by_torchrun(environment, devices, num_nodes):
        node = _number(environment, "GROUP_RANK") if "GROUP_RANK" in environment else 0
        return Place("torchrun", _number(environment, "RANK"), node, num_nodes)
    if _by_srun(environment, devices, num_nodes):
        node = _number(environment, "SLURM_NODEID") if "SLURM_NODEID" in environment else 0
        return Place("srun", _number(environment, "SLURM_PROCID"), node, num_nodes)
    started = environment.get(PARENT) == str(parent)
    local = _number(environment, "LOCAL_RANK") if started and "LOCAL_RANK" in environment else 0
    node = _node(environment, num_nodes) if num_nodes > 1 else 0
    return Place("ours", node * (devices or 1) + local, node, num_nodes, starts=local == 0)


def _by_torchrun(environment: Mapping[str, str], devices: int | None, num_nodes: int) -> bool:
    if not {"TORCHELASTIC_RUN_ID", "RANK", "WORLD_SIZE"} <= environment.keys():
        return False
    size = _number(environment, "WORLD_SIZE")
    _check_size("torchrun", size, devices, num_nodes)
    return size > 1


def _by_srun(environment: Mapping[str, str], devices: int | None, num_nodes: int) -> bool:
    """Whether its tasks are the ranks of one trial.

    A job script is no task at all, an interactive shell one of one; tasks of single processes are
    trials of their own; and of one task a machine, each may be told its node as by hand.
    """
    if not {"SLURM_STEP_ID", "SLURM_STEP_NUM_TASKS", "SLURM_PROCID"} <= environment.keys():
        return False
    tasks = _number(environment, "SLURM_STEP_NUM_TASKS")
    told = tasks == num_nodes and "NODE_RANK" in environment
    if devices is None or devices * num_nodes == 1 or tasks == 1 or told:
        return False
    _check_size("srun", tasks, devices, num_nodes)
    return True


def _check_size(launcher: str, size: int, devices: int | None, num_nodes: int) -> None:
    if devices is None and size > 1:
        raise ValueError(
            f"{launcher} started {size} processes, and this command starts those of its trials "
            f"itself: give it --devices, and start it once on each machine without {launcher}"
        )
    if devices is not None and size != devices * num_nodes:
        raise ValueError(
            f"{launcher} started {size} processes, and --devices times --num-nodes is "
            f"{devices * num_nodes}: give both the same number, or start it without {launcher}"
        )


def _node(environment: Mapping[str, str], num_nodes: int) -> int:
    lacking = [name for name in _NODE if not environment.get(name)]
    if lacking:
        raise ValueError(
            f"--num-nodes {num_nodes} needs {' and '.join(lacking)} in the environment: NODE_RANK "
            "is 0, 1, ... on each machine, MASTER_ADDR and MASTER_PORT an address and a free port "
            "of the first"
        )
    node = _number(environment, "NODE_RANK")
    if node >= num_nodes:
        raise ValueError(
            f"NODE_RANK={node} names no machine of --num-nodes {num_nodes}: they count from 0"
        )
    return node


def _number(environment: Mapping[str, str], name: str) -> int:
    text = environment.get(name, "")
    if not re.fullmatch(r"\d{1,9}", text):
        raise ValueError(f"{name} is {text!r} in the environment and has to be a number from 0")
    return int(text)


def without_places(environment: Mapping[str, str], num_nodes: int) -> dict[str, str]:
    """The variables without those by which launchers tell a process its place.

    Args:
        num_nodes: with several, what a user says of this machine stays.
    """
    kept = _NODE if num_nodes > 1 else ()
    return {
        name: value
        for name, value in environment.items()
        if name in kept or not _PLACE.fullmatch(name)
    }


_here = Place()  # of a process that nobody has told otherwise


def take_place(devices: int | None, num_nodes: int) -> Place:
    """Find this process's place and forget what else its variables say; before torch is imported.

    Raises:
        ValueError: as `find_place`.
    """
    global _here
    _here = find_place(os.environ, os.getppid(), devices=devices, num_nodes=num_nodes)
    if _here.launcher == "ours" and _here.starts:
        kept = without_places(os.environ, num_nodes)
        for name in os.environ.keys() - kept.keys():
            del os.environ[name]
    elif _here.launcher == "srun":  # torch and Lightning look at these first
        for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "NODE_RANK", "GROUP_RANK"):
            os.environ.pop(name, None)
    return _here


def here() -> Place:
    """The place that this process has taken."""
    return _here
