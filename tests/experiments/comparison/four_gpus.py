"""A machine of four GPUs that is none: what nvidia-smi would say, and trials that only take notes.

A folder holds both: `bin/nvidia-smi`, and a package `experiments` whose `run` stands in for the
real one in processes that start there.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path

import pytest

GPUS = "\n".join(
    f"{index}, GPU-{index}aaa0000-1111-2222-3333-444455556666, {free}"  # in MiB
    for index, free in enumerate((24000, 24000, 24000, 20000))
)
# A trial ends in one of four ways by its seed, and after a while that differs.
STUB = """
import json, os, sys, time
begun = time.monotonic()
seed = int(sys.argv[sys.argv.index("--seed") + 1])
time.sleep(0.3 + 0.07 * (seed * 5 % 8))
names = ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "COMPARE_JOBS")
note = {name: os.environ.get(name) for name in names}
note |= {"begun": begun, "ended": time.monotonic()}
with open(os.path.join(os.environ["NOTES"], f"{seed}.json"), "w") as file:
    json.dump(note, file)
if seed % 4 == 3:
    os.kill(os.getpid(), 9)
sys.exit((0, 1, 3)[seed % 4])
"""


@dataclass(frozen=True)
class Note:
    """What a trial was given, and when it ran, by the monotonic clock."""

    gpus: tuple[str, ...]
    order: str | None
    jobs: str
    begun: float
    ended: float


def simulate(folder: Path, patch: pytest.MonkeyPatch, answer: str = GPUS, status: int = 0) -> None:
    """Have this process, and those that it starts, be on a machine whose nvidia-smi says this."""
    programs, package, notes = folder / "bin", folder / "experiments", folder / "notes"
    for path in (programs, package, notes):
        path.mkdir()
    (programs / "answer").write_text(answer + "\n")
    program = programs / "nvidia-smi"
    query = "--query-gpu=index,uuid,memory.free --format=csv,noheader,nounits"
    program.write_text(
        f'#!/bin/sh\n[ "$*" = "{query}" ] || exit 2\ncat {programs / "answer"}\nexit {status}\n'
    )
    program.chmod(0o755)
    (package / "__init__.py").write_text("")
    (package / "run.py").write_text(STUB)
    patch.chdir(folder)  # where `python -m` looks first
    patch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    patch.setenv("NOTES", str(notes))
    patch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    patch.delenv("CUDA_DEVICE_ORDER", raising=False)


def notes(folder: Path) -> dict[int, Note]:
    """By seed."""
    found = {}
    for path in (folder / "notes").glob("*.json"):
        said = json.loads(path.read_text())
        gpus, order, jobs, begun, ended = said.values()
        found[int(path.stem)] = Note(tuple(gpus.split(",")), order, jobs, begun, ended)
    return found
