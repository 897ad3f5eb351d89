"""Says in a line of JSON which GPUs torch can use here, in the process that it is started as."""

import json
import platform
import subprocess
import sys
import warnings

import torch


def look() -> dict[str, object]:
    """The fields of `GpuMachine`, or `failed` with the reason."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        usable = torch.cuda.is_available() and torch.cuda.device_count() > 0
    if not usable:
        return {"failed": _reason([str(one.message) for one in said])}
    first = torch.cuda.get_device_properties(0)
    return {
        "card": first.name,
        "cards": torch.cuda.device_count(),
        "memory_gb": round(first.total_memory / 1e9, 1),
        "capability": f"{first.major}.{first.minor}",
        "driver": _driver(),
        "cuda": str(torch.version.cuda or torch.version.hip),
        "torch": str(torch.__version__),
        "python": platform.python_version(),
    }


def _reason(said: list[str]) -> str:
    """What torch warned of, as of a driver that is too old, or what it is."""
    if torch.version.cuda is None and torch.version.hip is None:
        return f"torch {torch.__version__} is built without CUDA"
    warned = [text.strip().split("\n")[0] for text in said if "CUDA" in text]
    return warned[0] if warned else f"torch {torch.__version__} sees none"


def _driver() -> str | None:
    try:
        done = subprocess.run(
            ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=20,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = done.stdout.split()
    return lines[0] if done.returncode == 0 and lines else None


if __name__ == "__main__":
    print(json.dumps(look()))
    sys.exit(0)
