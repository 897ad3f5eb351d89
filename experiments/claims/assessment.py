"""The verdicts of claims, from whatever results lie in the study's folders, and what of it is
measured rather than trained."""

from collections.abc import Sequence
from pathlib import Path

from experiments.claims.registration import C5, CLAIMS
from experiments.claims.study import AnyClaim, Study
from experiments.claims.verdicts import Verdict, verdict
from experiments.costs.layer_order import LayerOrder
from experiments.trials.result_types import FinishedTrial
from experiments.trials.results import read_record, write_record
from models.registry import nearest

ORDER = "layer-order.json"  # of C5, in a folder of results
_AGAIN = "delete it, and python -m experiments.lecture --run measures it again"


def chosen(keys: Sequence[str] | None) -> tuple[AnyClaim, ...]:
    """The claims of these keys, in their own order; all for None.

    Raises:
        ValueError: a key that is no claim.
    """
    known = {claim.key: claim for claim in CLAIMS}
    for key in keys or ():
        if key not in known:
            raise ValueError(f"--claims names {key!r}; {nearest(key, known)}")
    return tuple(claim for key, claim in known.items() if keys is None or key in keys)


def assess(claims: Sequence[AnyClaim], study: Study, folders: Sequence[Path]) -> list[Verdict]:
    """A verdict for each claim, of the trials and measurements that there are.

    Raises:
        ValueError: a file that is damaged.
    """
    order = read_order(folders)
    return [verdict(claim, study, study.prior, radius, order) for claim in claims]


def read_order(folders: Sequence[Path]) -> LayerOrder | None:
    """What C5 measured, in the first folder that has it."""
    found = (read_record(folder / ORDER, LayerOrder, _AGAIN) for folder in folders)
    return next((order for order in found if order is not None), None)


def measure_order(folder: Path) -> None:
    """Measure C5 into a folder; nothing else may run beside it."""
    from experiments.costs import order_benchmark  # it brings torch

    write_record(folder / ORDER, order_benchmark.measure_order(C5.first, C5.second))


def radius(result: FinishedTrial) -> float | None:
    """Of the receptive field after training, in pixels; None where it was not measured."""
    return None
