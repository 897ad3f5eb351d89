"""Results on disk: one JSON a trial, with a compressed array of per-image counts beside it.

Nothing here imports torch, so that a report or a notebook starts anywhere in a second.
"""

import hashlib
import io
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from pydantic import BaseModel, ValidationError

from datamodules.json_file import DamagedError, as_object, read_json
from experiments.trials import image_counts, schema1
from experiments.trials.atomic_io import write_bytes, write_json
from experiments.trials.result_files import RESULT as RESULT
from experiments.trials.result_files import listed
from experiments.trials.result_types import (
    SCHEMA,
    FailedTrial,
    FinishedTrial,
    Metrics,
    PositionPrior,
    TrialIdentity,
    TrialResult,
)

COUNTS = "per_image.npz"
IDENTITY = "trial.json"  # of a trial that has started
PRIOR = "position-prior.json"
EVALUATED = "evaluated"  # folder of what `experiments.evaluate` makes of a trial
PRIOR_AGAIN = "delete it, and experiments.compare makes it again"
AGAIN = "delete it to run the trial again"  # the remedy for what only a trial can make
TUNED = "tuned.json"  # beside a tuned network's result: the trials it was chosen from
FIELD = "field.json"  # beside a result: its network's receptive fields

Arrays = image_counts.Arrays
Json = dict[str, Any]  # what a file holds, before it is checked
M = TypeVar("M", bound=BaseModel)
R = TypeVar("R", bound=TrialResult)


def read_result(path: Path) -> FinishedTrial | FailedTrial | None:
    """The result of a trial, or None where there is none.

    Raises:
        ValueError: a file that is damaged or of a schema that this code does not know, with the
            field and what it needs.
    """
    record = _read_json(path)
    if record is None:
        return None
    if record.get("schema") == 1:
        record = _upgraded(schema1.upgrade, record, path)
    elif record.get("schema") != SCHEMA:
        raise ValueError(
            f"{path} has schema {record.get('schema')!r}, this code reads 1 and {SCHEMA}: read it "
            "with the version that wrote it, or delete it to run the trial again"
        )
    record["path"] = path
    if "failure" in record:
        return _validated(FailedTrial, record, path)
    result = _validated(FinishedTrial, record, path)
    _check_classes(result.data.classes, result.metrics, path, AGAIN)
    return result


def write_result(result: TrialResult, counts: Mapping[str, Any] | None = None) -> TrialResult:
    """Write a result, after the per-image counts of its scoring where they are new.

    A kill between both leaves counts that do not belong to the result, which `per_image` refuses.

    Returns:
        The result as it is written, with the hash of its counts.
    """
    if counts is not None:
        file = io.BytesIO()
        np.savez_compressed(file, **counts)
        write_bytes(result.path.parent / COUNTS, file.getvalue())
        digest = hashlib.sha256(file.getvalue()).hexdigest()
        result = result.model_copy(update={"per_image_sha256": digest})
    write_record(result.path, result)
    return result


def write_record(path: Path, record: BaseModel) -> None:
    """Write a typed record as JSON, whole or not at all."""
    write_json(path, record.model_dump(mode="json", by_alias=True))


def per_image(result: FinishedTrial) -> Arrays | None:
    """Counts of every image of the scored split; None where none were kept.

    ids (n,), groups (n,), and tp, fp, fn (n, K); near boundaries widths (W,) and band
    (n, W, 3, K), and more (`scoring.metrics`).

    Raises:
        ValueError: a damaged file, or one of another scoring than the result.
    """
    path, kept = result.path.parent / COUNTS, result.per_image_sha256
    again = "score the trial's predictions with python -m experiments.score --again"
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        if kept is None:
            return None
        raise ValueError(f"{path} is gone, to which {result.path.name} belongs: {again}") from None
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror}): {again}") from None
    if kept is not None and hashlib.sha256(content).hexdigest() != kept:
        raise ValueError(f"{path} is not of the scoring that {result.path.name} holds: {again}")
    return image_counts.read_counts(content, path, result.with_void, again)


def read_results(folder: Path | str) -> list[FinishedTrial | FailedTrial]:
    """Every result below a folder, finished or failed, in the order of their paths.

    Raises:
        ValueError: no such folder, or a result that cannot be read.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"no results folder at {folder.absolute()}: run a comparison first")
    paths = sorted(listed(folder, RESULT, without=EVALUATED))
    found = map(read_result, paths)
    return [result for result in found if result is not None]


def finished(results: Iterable[TrialResult]) -> list[FinishedTrial]:
    return [result for result in results if isinstance(result, FinishedTrial)]


def failed(results: Iterable[TrialResult]) -> list[FailedTrial]:
    return [result for result in results if isinstance(result, FailedTrial)]


def first_runs(results: Sequence[R]) -> list[R]:
    """Of each trial the first run that finished, or the first where none did.

    Repeats are no seeds, but one of them stands for a run that failed. Trials are told apart by
    network, recipe and seed.
    """
    runs: dict[tuple[str, str | None, int], R] = {}
    for result in results:
        key = result.label, result.hashes.recipe, result.seed
        if key not in runs or _place(result) < _place(runs[key]):
            runs[key] = result
    return list(runs.values())


def _place(result: TrialResult) -> tuple[bool, int]:
    return not result.done, result.repeat


def read_identity(folder: Path) -> TrialIdentity | None:
    """What a started trial's folder says of it; None where nothing has started.

    Raises:
        ValueError: a damaged file.
    """
    path = folder / IDENTITY
    record = _read_json(path)
    if record is None:
        return None
    if record.get("schema") == 1:
        identity = _upgraded(schema1.upgrade_identity, record, path)
        return _validated(TrialIdentity, identity, path)
    return _validated(TrialIdentity, record, path)


def read_record(path: Path, kind: type[M], remedy: str = AGAIN) -> M | None:
    """A typed record that `write_record` wrote; None where there is no file.

    Args:
        remedy: the end of the sentence about a damaged one.

    Raises:
        ValueError: a damaged file, with the field and what it needs.
    """
    record = _read_json(path, remedy)
    return None if record is None else _validated(kind, record, path, remedy)


def read_prior(folder: Path, results: Sequence[TrialResult]) -> PositionPrior | None:
    """Scores of the position prior that `compare` left in a folder; None if of other data."""
    path = folder / PRIOR
    record = _read_json(path, PRIOR_AGAIN)
    if record is None:
        return None
    if "metrics" not in record:  # as versions before 0.2 wrote it
        scores = {key: value for key, value in record.items() if key != "data"}
        record = {"data": record.get("data"), "metrics": schema1.metrics(scores)}
    prior = _validated(PositionPrior, record, path, PRIOR_AGAIN)
    ours = [result for result in results if result.hashes.data == prior.data]
    for result in finished(ours) if prior.metrics.iou else ():
        _check_classes(result.data.classes, prior.metrics, path, PRIOR_AGAIN)
    return prior if ours else None


def _check_classes(classes: Iterable[str], metrics: Metrics, path: Path, remedy: str) -> None:
    lacking = next((name for name in classes if name not in metrics.iou), None)
    if lacking is not None:
        raise DamagedError(f"{path}: metrics.iou lacks the class {lacking}: {remedy}")


def publish(results: Sequence[TrialResult], folder: Path, panel: Sequence[str]) -> None:
    """Copy finished results, with the panel's predictions, into a folder that is kept.

    Raises:
        ValueError: two of them would be copied to one place, as of two recipes.
    """
    done = finished(results)
    targets = [folder / r.path.parent.parent.name / r.path.parent.name for r in done]
    twice = next((target for target in targets if targets.count(target) > 1), None)
    if twice is not None:
        raise ValueError(
            f"two results would be copied to {twice}: publish each comparison's folder apart"
        )
    for result, target in zip(done, targets, strict=True):
        source = result.path.parent
        names = [RESULT, COUNTS, *(f"predictions/{id}.png" for id in panel)]
        names += [name for name in (TUNED, FIELD) if (source / name).is_file()]
        for name in names:
            write_bytes(target / name, (source / name).read_bytes())
        prior = source.parent.parent / PRIOR
        if prior.is_file():
            write_bytes(folder / PRIOR, prior.read_bytes())


def _read_json(path: Path, remedy: str = AGAIN) -> Json | None:
    """The object that a file holds; None where there is none.

    Raises:
        ValueError: a file that holds none, or that cannot be read, as a folder of its name.
    """
    try:
        value = read_json(path, remedy)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise DamagedError(f"{path} cannot be read ({error.strerror}): {remedy}") from None
    return as_object(value, str(path), remedy)


def _upgraded(upgrade: Callable[[Json], Json], record: Json, path: Path) -> Json:
    try:
        return upgrade(record)
    except KeyError as error:
        raise ValueError(f"{path} lacks the field {error.args[0]}: {AGAIN}") from None
    except (AttributeError, IndexError, TypeError, ValueError) as error:
        raise ValueError(f"{path} has a damaged field ({error}): {AGAIN}") from None


def _validated(kind: type[M], record: Json, path: Path, remedy: str = AGAIN) -> M:
    infinite = _not_finite(record)
    if infinite:
        raise ValueError(f"{path}: {infinite}; mend it, or {remedy}")
    try:
        return kind.model_validate(record)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(map(str, first["loc"])) or "result"
        need = str(first["ctx"]["error"]) if first["type"] == "value_error" else first["msg"]
        got = "" if first["type"] in ("missing", "value_error") else f" is {_brief(first['input'])}"
        raise ValueError(
            f"{path}: {field}{got}: {need[:1].lower()}{need[1:]}; mend it, or {remedy}"
        ) from None


def _not_finite(record: Json) -> str:
    """Where a record has NaN or infinity, which no field takes; empty where it has none."""
    left: list[tuple[str, object]] = [("", record)]
    while left:
        field, value = left.pop()
        if isinstance(value, dict):
            left += [(f"{field}.{key}", inner) for key, inner in value.items()]
        elif isinstance(value, list):
            left += [(f"{field}.{place}", inner) for place, inner in enumerate(value)]
        elif isinstance(value, float) and not math.isfinite(value):
            return f"{field[1:]} is {value}: input should be a finite number"
    return ""


def _brief(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
