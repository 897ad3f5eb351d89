"""A trial that gets a signal at one moment of its work.

Arguments: phase, signal and the rank that gets it, and then those of `experiments.run`.
"""

import importlib
import os
import sys
from collections.abc import Callable
from unittest.mock import patch

from experiments import run

PHASES = {  # where the signal comes from in the course of each
    "start": "experiments.training.training_run.prepare",
    "step": "lightning_modules.segmentation.Segmentation.training_step",
    "save": "experiments.training.checkpoints.torch.save",
    "validation": "lightning_modules.segmentation.Segmentation.validation_step",
    "prediction": "experiments.training.checkpoints.write_prediction",
    "scoring": "experiments.training.training_run.score_and_measure",
}


def main() -> int:
    phase, number, rank, *arguments = sys.argv[1:]
    target = PHASES[phase]
    owner, _, name = target.rpartition(".")
    original: Callable[..., object] = _found(owner, name)
    left = [int(number)] if os.environ.get("LOCAL_RANK", "0") == rank else []

    def signalled(*args: object, **kwargs: object) -> object:
        if left:
            os.kill(os.getpid(), left.pop())
        return original(*args, **kwargs)

    with patch(target, signalled):
        return run.main(arguments)


def _found(owner: str, name: str) -> Callable[..., object]:
    parts = owner.split(".")
    for count in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        for part in parts[count:]:
            found = getattr(found, part)
        return getattr(found, name)  # type: ignore[no-any-return]
    raise AssertionError(owner)


if __name__ == "__main__":
    sys.exit(main())
