"""What the study measures without training: the order of layers, steps' seconds, and receptive
fields."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from experiments.claims.registration import C5, FIELD_IMAGES, RECIPE
from experiments.claims.study import AGAIN, STEP_TIMES, AnyClaim, Study, registered
from experiments.costs.layer_order import LayerOrder
from experiments.trials.environment import ALLOCATOR, threads_per_process
from experiments.trials.field_record import Fields, read_fields
from experiments.trials.result_types import FinishedTrial
from experiments.trials.results import finished, read_record, write_record

ORDER = "layer-order.json"  # of C5, in a folder of results
_NUM_CLASSES = 11  # of CamVid


def read_order(folders: Sequence[Path]) -> LayerOrder | None:
    """What C5 measured, in the first folder that has it."""
    found = (read_record(folder / ORDER, LayerOrder, AGAIN) for folder in folders)
    return next((order for order in found if order is not None), None)


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


def measure_fields(
    study: Study,
    root: Path | None,
    measure: Callable[[FinishedTrial, Path | None, int, int], Fields],
) -> Iterator[str]:
    """Measure the receptive fields of finished trials that have none, and say of each how it went.

    Those that lie without checkpoints, as kept results do, are counted in one line.

    Args:
        root: folder of the data set.
        measure: of a trial, the data's folder, threads and images (`training.trial_field`).
    """
    without = [
        result
        for result in finished(study.trials.values())
        if read_fields(result) is None and not result.repeat
    ]
    ran = [result for result in without if (result.path.parent / "checkpoints").is_dir()]
    if len(ran) < len(without):
        yield f"receptive fields: {len(without) - len(ran)} kept trials have none and no checkpoint"
    threads = threads_per_process(1)
    for result in ran:
        try:
            found = measure(result, root, threads, FIELD_IMAGES)
        except ValueError as error:
            yield str(error)
        else:
            radii = f"{found.trained.radius_50:.0f} and {found.trained.radius_95:.0f} pixels"
            yield f"receptive field of {result.label} seed {result.seed}: {radii}"


def radius(result: FinishedTrial) -> float | None:
    """Of the receptive field after training, in pixels; None where it was not measured."""
    fields = read_fields(result)
    return None if fields is None else fields.trained.radius_95
