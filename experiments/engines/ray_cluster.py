"""A cluster of Ray as its driver finds it: whether it answers, and what its nodes have."""

import logging
import os
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import ray
from ray.exceptions import RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from experiments.engines.ray_settings import RaySettings
from experiments.engines.ray_task import Share

_ANSWER = 60.0  # seconds in which a node has to start a worker and say what it sees
_WATCH = 5.0  # seconds between two looks at whether the cluster is still the same
_GIB = 2**30


def connect(address: str) -> None:
    """
    Raises:
        ValueError: no cluster answers there, or it takes no driver from this machine.
    """
    where = "on this machine" if address == "auto" else f"at {address}"
    remedy = "start one by `ray start --head`, or name another by --engine-set address=host:port"
    host, _, port = address.rpartition(":")
    try:
        if host:  # Ray tries an address where nobody listens for two minutes
            socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, OverflowError) as error:  # ConnectionError of Ray is one
        said = "" if address == "auto" else f" ({first_line(error)})"
        raise ValueError(f"no cluster of Ray runs {where}{said}: {remedy}") from None
    except (RuntimeError, ValueError, SystemExit) as error:
        raise ValueError(
            f"the cluster of Ray {where} does not take this process ({first_line(error)}): give "
            "the command on a machine of the cluster, with the same versions of Ray and Python"
        ) from None


def watch() -> None:
    """End where the head has been restarted and knows this driver's node no more: Ray would wait
    for its tasks for ever."""
    ours = ray.get_runtime_context().get_node_id()
    while True:
        time.sleep(_WATCH)
        try:
            alive = [node.id for node in _alive()]
        except Exception:  # no answer says nothing; Ray itself ends this process after a while
            continue
        if ours not in alive:
            print("the cluster has lost this node, or was restarted", file=sys.stderr, flush=True)
            os._exit(1)


class Cluster:
    """What its nodes have, and what a job takes of one."""

    def __init__(self, settings: RaySettings) -> None:
        self.settings = settings
        self._nodes = _alive()
        gpus, cpus = settings.num_gpus, settings.num_cpus
        with_gpus = [node.has for node in self._nodes if node.has.get("GPU")]
        if gpus is None:
            gpus = settings.devices if with_gpus else 0
        if cpus is None and gpus:
            cpus = int(
                min((has.get("CPU", 0) // has["GPU"] for has in with_gpus), default=1) * gpus
            )
        self.gpus, self.cpus = gpus, settings.devices if cpus is None else cpus
        self.share = Share(self.cpus, max(1, int(self.cpus // settings.devices)), gpus > 0)

    def check(self, probe: Path) -> str:
        """What a user should know of its nodes.

        Args:
            probe: a file in the folder that nodes may share.

        Raises:
            ValueError: none can ever give what a job takes, or the project is not there.
        """
        fit = [node for node in self._nodes if self._fits(node.has)]
        if not fit and not self.settings.autoscaling:
            raise ValueError(self._too_large())
        seen = _looked(fit, str(probe))
        for node, said in seen:
            if isinstance(said, str):
                raise ValueError(
                    f"the project is not installed on {node.host} ({said}): have the same "
                    "version of it, by `pip install -e .[ray]`, on every node"
                )
        blind = [node.host for node, sees in seen if not sees]
        if not blind:
            return ""
        return (
            f"{probe.parent} is not seen by {len(blind)} of {len(seen)} nodes ({blind[0]}): jobs "
            "work there in folders of their own, what they leave is copied back, and the data set "
            "has to lie on each of them where --data-root says"
        )

    def _takes(self) -> dict[str, float]:
        """Of a node, by the names of Ray; what is none of it is left out."""
        kind = self.settings.accelerator_type
        takes = {"CPU": self.cpus, "GPU": self.gpus, **self.settings.resources}
        takes["memory"] = (self.settings.memory or 0) * _GIB
        takes[f"accelerator_type:{kind}"] = 0.001 if kind else 0
        return {name: amount for name, amount in takes.items() if amount}

    def _fits(self, has: Mapping[str, float]) -> bool:
        return all(has.get(name, 0) >= amount for name, amount in self._takes().items())

    def _too_large(self) -> str:
        takes = self._takes()
        largest = max(
            (node.has for node in self._nodes), key=lambda has: [has.get(n, 0) for n in takes]
        )
        return (
            f"a job takes {_said(takes)}, which no node of the cluster has: the largest has "
            f"{_said({name: largest.get(name, 0) for name in takes})}; ask for less by "
            "--engine-set, or say autoscaling=yes if such a node comes when it is asked for"
        )

    def options(self) -> dict[str, object]:
        """Of a task; a worker of its own, whose modules are read anew, and no retry by Ray."""
        settings = self.settings
        memory = settings.memory and int(settings.memory * _GIB)
        found = {
            "num_cpus": self.cpus, "num_gpus": self.gpus, "resources": dict(settings.resources),
            "memory": memory, "accelerator_type": settings.accelerator_type,
            "max_retries": 0, "max_calls": 1, "num_returns": "streaming",
        }  # fmt: skip
        return {name: value for name, value in found.items() if value is not None}


class _Node(NamedTuple):
    """What it has, by the names of Ray."""

    id: str
    host: str
    has: dict[str, float]


def _alive() -> list[_Node]:
    return [
        _Node(node["NodeID"], node["NodeManagerHostname"], node["Resources"])
        for node in ray.nodes()  # type: ignore[no-untyped-call]
        if node["Alive"]
    ]


def _look(probe: str) -> bool:
    """Whether a node sees the file; that it finds this function shows that the project is there."""
    return os.path.isfile(probe)


def _looked(nodes: list[_Node], probe: str) -> list[tuple[_Node, bool | str]]:
    """What each node says, or what it lacks; one that does not answer in time is passed over."""
    look = ray.remote(num_cpus=0, max_retries=0)(_look)
    asked = {}
    for node in nodes:
        there = NodeAffinitySchedulingStrategy(node.id, soft=False)
        asked[look.options(scheduling_strategy=there).remote(probe)] = node
    found: list[tuple[_Node, bool | str]] = []
    answers = [*asked]
    for answer in ray.wait(answers, num_returns=len(asked), timeout=_ANSWER)[0] if asked else []:
        try:
            found.append((asked[answer], ray.get(answer)))
        except RayTaskError as error:
            found.append((asked[answer], last_line(error)))
        except RayError:  # it has gone meanwhile
            continue
    return found


def _said(amounts: dict[str, float]) -> str:
    words = []
    for name, amount in amounts.items():
        shown = f"{amount / _GIB:.3g} GiB of" if name == "memory" else f"{amount:g}"
        words.append(f"{shown} {name}")
    return ", ".join(words)


def first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def last_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[-1]
