"""What was measured without training, as it lies beside the trials."""

from collections.abc import Sequence
from pathlib import Path

from experiments.claims.study import AGAIN, Study
from experiments.costs.layer_order import LayerOrder
from experiments.trials.field_record import read_fields
from experiments.trials.result_types import FinishedTrial
from experiments.trials.results import finished, read_record

ORDER = "layer-order.json"  # of C5, in a folder of results


def read_order(folders: Sequence[Path]) -> LayerOrder | None:
    """What C5 measured, in the first folder that has it."""
    found = (read_record(folder / ORDER, LayerOrder, AGAIN) for folder in folders)
    return next((order for order in found if order is not None), None)


def radius(result: FinishedTrial) -> float | None:
    """Of the receptive field after training, in pixels; None where it was not measured."""
    fields = read_fields(result)
    return None if fields is None else fields.trained.radius_95


def without_fields(study: Study) -> list[FinishedTrial]:
    """Finished trials whose receptive fields were not measured; a repeat's are its first run's."""
    trials = finished(study.trials.values())
    return [trial for trial in trials if read_fields(trial) is None and not trial.repeat]
