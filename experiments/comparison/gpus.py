"""The GPUs of this machine that trials can see; without torch, which takes seconds to start.

nvidia-smi lists them. Numbers are its own, or the user's entries of CUDA_VISIBLE_DEVICES.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

VISIBLE = "CUDA_VISIBLE_DEVICES"
_LIST = ("--query-gpu=index,uuid,memory.free", "--format=csv,noheader,nounits")
_DEVICES = Path("/dev")  # the driver's files nvidia0, nvidia1, ... lie here
_SECONDS = 60  # for nvidia-smi, which wakes each GPU that sleeps
_HIDES_THE_REST = re.compile(r"|-\d+|NoDevFiles")  # as CUDA reads it; the last is SLURM's


@dataclass(frozen=True)
class Gpu:
    """A GPU, or a part of one (MIG), of which nvidia-smi tells no more than the name.

    Attributes:
        name: what CUDA_VISIBLE_DEVICES calls it.
        free_gb: gigabytes (1e9 bytes) that nobody used when it was listed; None where that is not
            told.
    """

    name: str
    uuid: str = ""
    free_gb: float | None = None

    def __str__(self) -> str:
        """Its number, or the beginning of its UUID."""
        return self.name if self.name.isdecimal() else self.name[:12]


class UnlistedError(ValueError):
    """GPUs are there, and nvidia-smi does not say which."""


def gpus_here() -> list[Gpu]:
    """Those that a trial of this command would see, in CUDA's order.

    Raises:
        UnlistedError: they are there, and nvidia-smi does not list them.
        ValueError: as `visible_gpus`.
    """
    variable = os.environ.get(VISIBLE)
    if variable is not None and _HIDES_THE_REST.fullmatch(variable.split(",")[0].strip()):
        return []
    return visible_gpus(_listed(), variable)


def _listed() -> list[Gpu]:
    program, reason = shutil.which("nvidia-smi"), "nvidia-smi is not on the PATH"
    try:
        if program is not None:
            done = subprocess.run(
                [program, *_LIST], capture_output=True, text=True, timeout=_SECONDS
            )
            if done.returncode == 0:
                return parse_gpus(done.stdout)
            said = (done.stdout + done.stderr).strip().splitlines()
            reason = f"nvidia-smi says: {said[-1] if said else f'status {done.returncode}'}"
    except (OSError, subprocess.TimeoutExpired, UnlistedError) as error:
        reason = f"nvidia-smi fails: {error}"
    if not any(_DEVICES.glob("nvidia[0-9]*")):  # the driver's tools without a GPU
        return []
    raise UnlistedError(f"the GPUs of this machine cannot be told apart ({reason})")


def parse_gpus(text: str) -> list[Gpu]:
    """What nvidia-smi answers to `_LIST`: a line a GPU, memory in MiB.

    Raises:
        UnlistedError: another answer.
    """
    gpus = []
    for line in filter(None, map(str.strip, text.splitlines())):
        if line == "No devices were found":
            continue
        found = re.fullmatch(r"(\d+), *(GPU-[\w-]+), *(?:(\d+)|\[[^,]+\])", line, re.ASCII)
        if found is None:
            raise UnlistedError(f"it answered {line!r} where a line a GPU was asked for")
        index, uuid, free = found.groups()  # [N/A], as where it is the processor's memory, is None
        gpus.append(Gpu(index, uuid, None if free is None else int(free) * 2**20 / 1e9))
    return gpus


def visible_gpus(listed: Sequence[Gpu], variable: str | None) -> list[Gpu]:
    """Those that CUDA shows to a process with this CUDA_VISIBLE_DEVICES, in its order.

    Args:
        variable: None where it is not set; empty means none.

    Raises:
        ValueError: it names what is not there, which CUDA would hide with all that follows, or one
            GPU twice, for which CUDA would hide all.
    """
    if variable is None or not listed:
        return [*listed]
    gpus: list[Gpu] = []
    for entry in map(str.strip, variable.split(",")):
        if _HIDES_THE_REST.fullmatch(entry):
            break
        gpu = _named(entry, listed)
        if gpu is None:
            known = ", ".join(gpu.name for gpu in listed)
            raise ValueError(
                f"{VISIBLE} is {variable!r} and this machine has no GPU {entry!r} (nvidia-smi "
                f"lists {known}): name those that are there, each once, or none with {VISIBLE}="
            )
        if any((gpu.uuid or gpu.name) == (other.uuid or other.name) for other in gpus):
            raise ValueError(f"{VISIBLE} is {variable!r} and names GPU {entry} twice: name it once")
        gpus.append(gpu)
    return gpus


def _named(entry: str, listed: Sequence[Gpu]) -> Gpu | None:
    """The GPU of a number, a UUID or the beginning of one; parts of GPUs are listed nowhere."""
    if re.fullmatch("MIG-[0-9A-Za-z/-]+", entry):
        return Gpu(entry)
    if re.fullmatch("[0-9]+", entry):
        found = [gpu for gpu in listed if int(gpu.name) == int(entry)]
    else:
        found = [gpu for gpu in listed if entry.startswith("GPU-") and gpu.uuid.startswith(entry)]
    return replace(found[0], name=entry) if len(found) == 1 else None


def label(gpus: Sequence[Gpu]) -> str:
    """`gpu 2` or `gpus 2,3`; empty without any."""
    return f"gpu{'s' * (len(gpus) > 1)} {','.join(map(str, gpus))}" if gpus else ""


def variables(gpus: Sequence[Gpu]) -> dict[str, str]:
    """By which a trial's process sees these alone; of this machine's own where there are none.

    CUDA counts by speed where nobody says otherwise, and nvidia-smi by bus. The user's entries are
    handed on in the order in which they were meant.
    """
    if not gpus:
        return {}
    order = {} if VISIBLE in os.environ else {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    return {VISIBLE: ",".join(gpu.name for gpu in gpus), **order}
