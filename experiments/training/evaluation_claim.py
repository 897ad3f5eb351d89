"""What is said beside the predictions of an evaluation: how they are made."""

from pathlib import Path

from experiments.trials.protocols import EvaluationProtocol
from experiments.trials.result_types import Checkpoint, FinishedTrial, Record
from experiments.trials.results import read_record, write_record


class Claim(Record):
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


def claimed(result: FinishedTrial, weights: Path, sha256: str) -> FinishedTrial:
    """Say before the first prediction how those beside a result are made.

    Args:
        weights: their file, of which the result keeps name and hash.

    Raises:
        ValueError: there are some that were made otherwise.
    """
    path = result.path.parent / "evaluation.json"
    ours = Claim(
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


def _differences(ours: Claim, path: Path) -> list[str]:
    theirs = read_record(path, Claim)
    return [n for n in Claim.model_fields if getattr(theirs, n, None) != getattr(ours, n)]
