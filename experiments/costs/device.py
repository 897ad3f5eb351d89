"""The processor or GPU that measures: which it is, its precision, and its memory."""

import platform
import re
import resource
import sys
from dataclasses import dataclass
from pathlib import Path

import torch

from lightning_modules.gpu_arithmetic import allow_tf32


def this_device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def hardware(device: torch.device) -> str:
    """The model of the GPU, or of the processor where the system tells."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    cpus = Path("/proc/cpuinfo")
    line = re.search(r"model name\s*:\s*(.+)", cpus.read_text()) if cpus.is_file() else None
    return line[1].strip() if line else platform.machine()


def has_bf16() -> bool:
    """Whether this machine computes in bf16 itself, rather than imitate it."""
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return any(has for name, has in torch.cpu.get_capabilities().items() if "bf16" in name)


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """The context in which a forward pass runs in a precision of `trials.recipe`.

    What it says of TF32 stays, so that the backward pass has it too.
    """
    allow_tf32(precision == "tf32")
    kind = torch.float16 if precision == "16-mixed" else torch.bfloat16
    return torch.autocast(device.type, kind, precision in ("bf16-mixed", "16-mixed"))


def synchronise(device: torch.device) -> None:
    """Wait for what a GPU has been given to do; a processor has done it."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@dataclass(frozen=True)
class PeakMemory:
    """The most that was held at once, and what was counted."""

    gigabytes: float
    kind: str


def peak_memory(device: torch.device) -> PeakMemory:
    """The highest point of this process so far."""
    if device.type == "cuda":
        return PeakMemory(torch.cuda.max_memory_allocated(device) / 1e9, "allocated on the GPU")
    kind = "resident set of the process, 0.5 GB of it libraries"
    return PeakMemory(_peak_resident() / 1e9, kind)


def _peak_resident() -> int:
    """Bytes. Linux hands a parent's `ru_maxrss` on to its children, but not this line of /proc."""
    status = Path("/proc/self/status")
    line = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.is_file() else None
    if line:
        return int(line[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024)
