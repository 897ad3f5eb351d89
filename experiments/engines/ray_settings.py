"""What `--engine-set` says for Ray."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from experiments.engines.request import JobSize

_KNOWN = ("address", "num_cpus", "num_gpus", "memory", "accelerator_type", "resources",
          "autoscaling", "requeues", "retries", "patience", "sync")  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class RaySettings:
    """What a job takes of a node, and how jobs are looked after.

    Attributes:
        address: `auto` for the cluster that runs on this machine, else host:port.
        num_cpus: None for a share of the cores with each GPU, and for one a process without.
        num_gpus: None for one a process where the cluster has any.
        memory: in GiB, for which Ray keeps a place; None for no such care.
        accelerator_type: as Ray calls a kind of GPU, as A100.
        resources: of names that the nodes were given.
        autoscaling: whether larger nodes may come when they are asked for.
        requeues: times that a job goes on which was told to end.
        retries: times that a job whose node or worker was lost is sent again.
        patience: seconds to wait for a cluster that has gone.
        sync: seconds between two copies of what a job has so far where nodes share no folder.
        devices: processes of a job.
    """

    address: str = "auto"
    num_cpus: float | None = None
    num_gpus: float | None = None
    memory: float | None = None
    accelerator_type: str | None = None
    resources: Mapping[str, float] = field(default_factory=dict)
    autoscaling: bool = False
    requeues: int = 10
    retries: int = 3
    patience: float = 300.0
    sync: float = 60.0
    devices: int = 1


def ray_settings(said: Mapping[str, str], size: JobSize) -> RaySettings:
    """The settings of `--engine-set`.

    Raises:
        ValueError: no such setting, or a value that does not fit.
    """
    unknown = [name for name in said if name not in _KNOWN]
    if unknown:
        raise ValueError(
            f"--engine ray has no setting {unknown[0]!r}: it knows {', '.join(_KNOWN)}"
        )
    settings = RaySettings(
        address=said.get("address") or os.environ.get("RAY_ADDRESS") or "auto",
        num_cpus=_amount("num_cpus", said),
        num_gpus=_amount("num_gpus", said),
        memory=_amount("memory", said),
        accelerator_type=said.get("accelerator_type"),
        resources=_resources(said.get("resources", "")),
        autoscaling=_yes("autoscaling", said),
        requeues=_whole("requeues", said, 10),
        retries=_whole("retries", said, 3),
        patience=_whole("patience", said, 300),
        sync=_whole("sync", said, 60),
        devices=size.devices,
    )
    if not re.fullmatch(r"auto|[^\s/:]+:\d{1,5}|\[[^\s/]+\]:\d{1,5}", settings.address):
        raise ValueError(
            f"address={settings.address} is no address of a cluster: give host:port of its head, "
            "as 10.0.0.1:6379, on a machine of the cluster, or auto for the one that runs here"
        )
    gpus = settings.num_gpus
    if gpus and gpus != size.devices and (gpus < size.devices > 1 or gpus > 1):
        raise ValueError(
            f"num_gpus={gpus:g} does not fit --devices {size.devices}: a job takes a GPU for each "
            "of its processes, one process may share one, as num_gpus=0.5, and 0 takes none"
        )
    return settings


def _amount(name: str, said: Mapping[str, str]) -> float | None:
    return _number(f"{name}={said[name]}", said[name]) if name in said else None


def _number(what: str, text: str) -> float:
    if not re.fullmatch(r"\d{1,9}(\.\d{1,4})?", text):
        raise ValueError(f"--engine-set {what}: give a number from 0, as 2 or 0.5")
    number = float(text)
    if number > 1 and number % 1:
        raise ValueError(f"--engine-set {what}: Ray takes whole numbers above 1")
    return number


def _whole(name: str, said: Mapping[str, str], default: int) -> int:
    text = said.get(name, str(default))
    if not re.fullmatch(r"\d{1,6}", text):
        raise ValueError(f"--engine-set {name}={text}: give a whole number from 0")
    return int(text)


def _resources(text: str) -> dict[str, float]:
    """Of `NAME:AMOUNT` with `+` between."""
    found = {}
    for part in filter(None, text.split("+")):
        name, colon, amount = part.rpartition(":")
        if not (name and colon):
            raise ValueError(
                f"--engine-set resources={text}: give NAME:AMOUNT, as resources=big:1+disk:0.5"
            )
        found[name] = _number(f"resources={text}", amount)
    return found


def _yes(name: str, said: Mapping[str, str]) -> bool:
    text = said.get(name, "no")
    if text not in ("yes", "no"):
        raise ValueError(f"--engine-set {name}={text}: give yes or no")
    return text == "yes"
