"""The GPUs of this machine, as values, and the process that looks for them; no torch.

The process that drives a run keeps no CUDA context: one takes half a gigabyte of the card that is
measured, and what is started from it must not be forked.
"""

import re
import subprocess
import sys
from dataclasses import asdict, dataclass

from datamodules.json_file import DamagedError, as_object, parse_json
from experiments.costs.measurement import Json

_PATIENCE = 120  # seconds: torch is read from a cold disk


class NoGpuError(ValueError):
    """No GPU that torch can use; the message is a sentence."""


@dataclass(frozen=True)
class GpuMachine:
    """What figures of a GPU depend on.

    Attributes:
        card: name of the first GPU.
        cards: how many there are.
        memory_gb: of the first one, in 1e9 bytes.
        capability: compute capability, as 9.0.
        driver: its version; None where nvidia-smi does not tell.
        cuda: version that torch was built for.
    """

    card: str
    cards: int
    memory_gb: float
    capability: str
    driver: str | None
    cuda: str
    torch: str
    python: str

    @classmethod
    def from_json(cls, record: Json) -> "GpuMachine":
        return cls(**{name: record[name] for name in cls.__dataclass_fields__})

    def to_json(self) -> dict[str, object]:
        return asdict(self)

    @property
    def slug(self) -> str:
        """The card's name as that of a folder: nvidia-h100-80gb-hbm3."""
        return re.sub(r"[^a-z0-9]+", "-", self.card.lower()).strip("-") or "gpu"


def find_gpus() -> GpuMachine:
    """The GPUs that torch can use here.

    Raises:
        NoGpuError: there is none, or why there is none that it can use.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-m", "experiments.speed.cards"],
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
        )
    except subprocess.TimeoutExpired:
        raise NoGpuError(_sentence(f"torch did not say so in {_PATIENCE} s")) from None
    lines = done.stdout.splitlines() or [""]
    try:
        what = "the answer on GPUs"
        record = as_object(parse_json(lines[-1], what, "look again"), what, "look again")
        if "failed" in record:
            raise NoGpuError(_sentence(str(record["failed"])))
        return GpuMachine.from_json(record)
    except (DamagedError, KeyError, TypeError):
        said = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        raise NoGpuError(_sentence(f"the process that looks for one failed: {said}")) from None


def _sentence(reason: str) -> str:
    return (
        f"no GPU can be used here ({reason}): run this on a machine with an NVIDIA GPU and its "
        "driver; nothing was written"
    )
