"""What the study measures without training: the order of layers, steps' seconds, and receptive
fields."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from experiments.claims.measured import ORDER, read_order, without_fields
from experiments.claims.registration import C5, FIELD_IMAGES, RECIPE
from experiments.claims.study import STEP_TIMES, AnyClaim, Study, registered
from experiments.training.trial_field import measure_field_isolated
from experiments.trials.environment import ALLOCATOR, threads_per_process
from experiments.trials.result_types import FinishedTrial
from experiments.trials.results import write_record

_NUM_CLASSES = 11  # of CamVid


def lacks_order(claims: Sequence[AnyClaim], folders: Sequence[Path]) -> bool:
    """Whether these claims ask for C5's measurement, and no folder has it."""
    return C5 in claims and read_order(folders) is None


def measure_order(folder: Path) -> None:
    """Measure C5 into a folder; nothing else may run beside it."""
    from experiments.costs import order_benchmark  # it brings torch

    write_record(folder / ORDER, order_benchmark.measure_order(C5.first, C5.second))


def measure_steps(folder: Path) -> None:
    """Measure into a folder what a step takes each registered network, two or three minutes long;
    nothing else of ours may run beside it.

    It is a process of its own, which holds all networks at once.

    Raises:
        ValueError: it could not be measured, in the process's own words.
    """
    models = dict.fromkeys(trial.model for trial in registered())
    module, arguments = "experiments.costs.step_benchmark", [RECIPE, str(_NUM_CLASSES)]
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments, str(folder / STEP_TIMES), *models],
        env={**ALLOCATOR, **os.environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise ValueError(f"seconds of training steps were not measured: {said[-1]}")


def measure_fields(study: Study, root: Path | None, jobs: int = 1) -> Iterator[str]:
    """Measure the receptive fields of finished trials that have none, and say of each how it went.

    Those that lie without checkpoints, as kept results do, are counted in one line.

    Args:
        root: folder of the data set.
        jobs: how many are measured at a time.
    """
    without = without_fields(study)
    ran = [result for result in without if (result.path.parent / "checkpoints").is_dir()]
    if len(ran) < len(without):
        yield f"receptive fields: {len(without) - len(ran)} kept trials have none and no checkpoint"
    threads = threads_per_process(jobs)

    def measured(result: FinishedTrial) -> str:
        try:
            found = measure_field_isolated(result, root, threads, FIELD_IMAGES)
        except ValueError as error:
            return str(error)
        radii = f"{found.trained.radius_50:.0f} and {found.trained.radius_95:.0f} pixels"
        return f"receptive field of {result.label} seed {result.seed}: {radii}"

    with ThreadPoolExecutor(jobs) as pool:
        yield from pool.map(measured, ran)
