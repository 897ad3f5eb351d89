"""What an evaluation leaves: predictions with what made them, and a result in one place or two."""

from dataclasses import dataclass
from pathlib import Path

from experiments.trials.comparability import check_comparable
from experiments.trials.protocols import EvaluationProtocol
from experiments.trials.result_types import Checkpoint, FinishedTrial, Record, TrialResult
from experiments.trials.results import (
    RESULT,
    Arrays,
    read_record,
    read_results,
    write_record,
    write_result,
)
from experiments.trials.trial import seed_folder, slug


class PredictionOrigin(Record):
    """What all predictions of a folder share.

    Attributes:
        weights: hash of their file.
        data: hash of the data, or fingerprints where no training split is known.
    """

    weights: str
    data: str | dict[str, str]
    model: str
    protocol: EvaluationProtocol
    precision: str | None


def with_origin(result: FinishedTrial, weights: Path, sha256: str) -> FinishedTrial:
    """Say before the first prediction how those beside a result are made.

    Args:
        weights: their file, of which the result keeps name and hash.

    Raises:
        ValueError: there are some that were made otherwise.
    """
    path = result.path.parent / "evaluation.json"
    ours = PredictionOrigin(
        weights=sha256,
        data=result.hashes.data or result.data.fingerprints,
        model=result.model,
        protocol=result.protocol,
        precision=result.precision,
    )
    differ = _differences(ours, path)
    predictions = result.predictions
    if differ and predictions.is_dir() and any(predictions.iterdir()):
        raise ValueError(
            f"{predictions} has predictions of other {' and '.join(differ)}: delete them, or name "
            "another folder with --out"
        )
    predictions.mkdir(parents=True, exist_ok=True)
    write_record(path, ours)
    checkpoint = Checkpoint(file=weights.name, sha256=sha256)
    return result.model_copy(update={"checkpoint": checkpoint})


def _differences(ours: PredictionOrigin, path: Path) -> list[str]:
    remedy = "delete it with the predictions beside it, or name another folder with --out"
    theirs = read_record(path, PredictionOrigin, remedy)
    return [
        n for n in PredictionOrigin.model_fields if getattr(theirs, n, None) != getattr(ours, n)
    ]


@dataclass(frozen=True)
class Evaluated:
    """What an evaluation has come to.

    Attributes:
        results: to show, the evaluation's own last; none of a split without labels.
        predictions: the folder with them.
    """

    results: list[TrialResult]
    predictions: Path


@dataclass(frozen=True)
class JoinedComparison:
    """What a result stands beside.

    Attributes:
        others: the other results of the comparison; none where there is no comparison.
        target: where in it this result goes as well.
    """

    others: list[TrialResult]
    target: Path | None

    def keep(self, result: FinishedTrial, counts: Arrays) -> list[TrialResult]:
        """Write the result where it belongs; the comparison with it."""
        write_result(result, counts)
        if self.target is not None:
            result = result.model_copy(update={"path": self.target})
            write_result(result, counts)
        return [*self.others, result]


def join(folder: Path | None, result: FinishedTrial) -> JoinedComparison:
    """The comparison of a folder, with this result, which is not scored yet.

    Raises:
        ValueError: they cannot share a table, or it has this model, seed and repeat already.
    """
    if folder is None:
        return JoinedComparison([], None)
    tuned = bool(result.recipe and result.recipe.tuning)
    seed = seed_folder(result.seed, tuned, result.repeat)
    target = folder / "scored" / slug(result.model) / seed / RESULT
    found = read_results(folder)
    others = [r for r in found if (r.path, _row(r)) != (target, _row(result))]
    for other in others:
        if other.path == target or _row(other) == _row(result):
            raise ValueError(
                f"{folder} has {other.label} seed {other.seed} already: compare it elsewhere"
            )
    check_comparable([*others, result])
    return JoinedComparison([*others], target)


def _row(result: TrialResult) -> tuple[str, int, int]:
    return result.label, result.seed, result.repeat
