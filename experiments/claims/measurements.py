"""What the study measures without training: the order of layers, and receptive fields."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from experiments.claims.registration import C5, FIELD_IMAGES
from experiments.claims.study import AnyClaim, Study
from experiments.costs.layer_order import LayerOrder
from experiments.trials.environment import threads_per_process
from experiments.trials.field_record import Fields, read_fields
from experiments.trials.result_types import FinishedTrial
from experiments.trials.results import finished, read_record, write_record

ORDER = "layer-order.json"  # of C5, in a folder of results
_AGAIN = "delete it, and python -m experiments.lecture --run measures it again"


def read_order(folders: Sequence[Path]) -> LayerOrder | None:
    """What C5 measured, in the first folder that has it."""
    found = (read_record(folder / ORDER, LayerOrder, _AGAIN) for folder in folders)
    return next((order for order in found if order is not None), None)


def lacks_order(claims: Sequence[AnyClaim], folders: Sequence[Path]) -> bool:
    """Whether these claims ask for C5's measurement, and no folder has it."""
    return C5 in claims and read_order(folders) is None


def measure_order(folder: Path) -> None:
    """Measure C5 into a folder; nothing else may run beside it."""
    from experiments.costs import order_benchmark  # it brings torch

    write_record(folder / ORDER, order_benchmark.measure_order(C5.first, C5.second))


def measure_fields(
    study: Study,
    root: Path | None,
    measure: Callable[[FinishedTrial, Path | None, int, int], Fields],
) -> Iterator[str]:
    """Measure the receptive fields of finished trials that have none, and say of each how it went.

    Args:
        root: folder of the data set.
        measure: of a trial, the data's folder, threads and images (`training.trial_field`).
    """
    threads = threads_per_process(1)
    for result in finished(study.trials.values()):
        if read_fields(result) is not None or result.repeat:
            continue
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
