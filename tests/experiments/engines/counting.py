"""A job in place of a trial: it counts, saves where it is at every step, and goes on from there."""

import argparse
import json
import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from experiments.engines.job import Job, ProcessState
from experiments.trials.atomic_io import write_json
from experiments.trials.environment import die_with_parent
from experiments.trials.signals import GOES_ON


@dataclass
class CountingJob(Job):
    """
    Attributes:
        arguments: of the command below.
    """

    module: ClassVar[str] = "tests.experiments.engines.counting"

    @classmethod
    def make(cls, out: Path, name: str, steps: int = 3, *more: str) -> "CountingJob":
        return cls(arguments=["--name", name, "--out", str(out), "--steps", str(steps), *more])

    @property
    def name(self) -> str:
        return self.arguments[1]

    @property
    def folder(self) -> Path:
        return Path(self.arguments[3]) / self.name / "run"

    @property
    def result(self) -> dict[str, object]:
        found: dict[str, object] = json.loads((self.folder / "result.json").read_text())
        return found

    def end(self, status: int) -> None:
        done = status == 0 and self.settle()
        self.state = ProcessState.DONE if done else ProcessState.FAILED
        self.note = f"exit status {status}"

    def settle(self) -> bool:
        if not (self.folder / "result.json").is_file():
            return False
        self.state = ProcessState.DONE
        return True

    def renew(self) -> None:
        (self.folder / "result.json").unlink(missing_ok=True)

    def lose(self, reason: str) -> None:
        self.state, self.note = ProcessState.FAILED, reason


def main() -> int:
    die_with_parent()
    p = argparse.ArgumentParser()
    p.add_argument("--name")
    p.add_argument("--out", type=Path)
    p.add_argument("--steps", type=int)
    p.add_argument("--asked", type=int, default=0, help="times to be told to end")
    p.add_argument("--status", type=int, default=0)
    args = p.parse_args()
    folder = args.out / args.name / "run"
    print(f"{args.name} is process {os.getpid()}", flush=True)
    state = folder / "states" / "state.json"
    seen: dict[str, Any] = (
        json.loads(state.read_text()) if state.is_file() else {"steps": [], "starts": 0}
    )
    seen["starts"] += 1
    while len(seen["steps"]) < args.steps:
        seen["steps"].append(len(seen["steps"]))
        write_json(state, seen)
        at = {"stage": "counting", "step": len(seen["steps"]), "steps": args.steps}
        write_json(folder / "progress.json", at)
        if seen["starts"] <= args.asked:
            return GOES_ON
        time.sleep(0.1)
    if args.status == 0:
        variables = {
            name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES")
        }
        write_json(folder / "result.json", {**seen, **variables})
    return int(args.status)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(GOES_ON))
    sys.exit(main())
