"""Results on disk: one JSON a trial, with a compressed array of per-image counts beside it.

Nothing here imports torch, so that a report or a notebook starts anywhere in a second.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

SCHEMA = 1
PRIOR = "position-prior.json"


@dataclass(frozen=True)
class Result:
    """A finished or failed trial as `result.json` holds it.

    Keys of `record`: schema, status ("done" or "failed"), reason, recipe, model, seed, hashes
    (recipe, data, protocol, code), init (kind, and of a file source, sha256, licence and load
    report; not in older files), data, protocol, confusion (rows truth, columns prediction),
    metrics, cost, timing, environment, curve.
    """

    path: Path
    record: dict[str, Any]

    def __getitem__(self, key: str) -> Any:
        return self.record[key]

    @property
    def done(self) -> bool:
        return bool(self.record["status"] == "done")

    @property
    def init(self) -> str:
        """The initial weights, as `random` or `imagenet (resnet101.a1h_in1k)`.

        `unknown` for predictions that came from elsewhere.
        """
        kind = self.record["recipe"].get("init", "unknown")
        source = self.record.get("init", {}).get("source")
        return f"{kind} ({source})" if source else str(kind)

    @property
    def predictions(self) -> Path:
        return self.path.parent / "predictions"

    def per_image(self) -> dict[str, Any]:
        """ids (n,), groups (n,) and tp, fp, fn (n, K) of the scored split."""
        with np.load(self.path.parent / "per_image.npz") as arrays:
            return dict(arrays)


def write_json(path: Path, value: object) -> None:
    """Write a whole JSON file or nothing."""
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a whole file or nothing."""
    with _replacing(path) as file:
        file.write(text.encode())


def write_arrays(path: Path, arrays: dict[str, Any]) -> None:
    """Write a whole compressed `.npz` or nothing."""
    with _replacing(path) as file:
        np.savez_compressed(file, **arrays)


@contextmanager
def _replacing(path: Path) -> Iterator[IO[bytes]]:
    """A neighbour of `path` to write to, renamed to it at the end, gone if anything fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def read_result(path: Path) -> Result | None:
    """The result of a trial, or None where there is none.

    Raises:
        ValueError: a file of another schema, or one that is not JSON.
    """
    if not path.is_file():
        return None
    try:
        record = json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise ValueError(
            f"{path} is not JSON ({error}): delete it to run the trial again"
        ) from None
    if record.get("schema") != SCHEMA:
        raise ValueError(
            f"{path} has schema {record.get('schema')}, this code reads {SCHEMA}: "
            "read it with the version that wrote it, or delete it to run the trial again"
        )
    return Result(path, record)


def read_results(folder: Path | str) -> list[Result]:
    """Every result below a folder, finished or failed, in the order of their paths.

    Raises:
        ValueError: no such folder, or a result that cannot be read.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"no results folder at {folder.absolute()}: run a comparison first")
    found = (read_result(path) for path in sorted(folder.rglob("result.json")))
    return [result for result in found if result is not None]


def read_prior(folder: Path) -> dict[str, Any] | None:
    """Scores of the position prior that `compare` left beside the results."""
    path = folder / PRIOR
    prior: dict[str, Any] | None = json.loads(path.read_text()) if path.is_file() else None
    return prior


def check_comparable(results: list[Result]) -> None:
    """Refuse to put rows into one table whose recipe, data or protocol differ.

    Raises:
        ValueError: naming the first two rows that differ, and in which fields.
    """
    done = [r for r in results if r.done]
    for other in done[1:]:
        for part in ("recipe", "data", "protocol"):
            ours, theirs = done[0]["hashes"][part], other["hashes"][part]
            unknown = part != "data" and None in (ours, theirs)  # predictions from elsewhere
            if ours != theirs and not unknown:
                a, b = done[0][part], other[part]
                keys = [k for k in sorted({*a, *b}) if k != "name" and a.get(k) != b.get(k)]
                differ = "; ".join(f"{k}: {a.get(k)!r} against {b.get(k)!r}" for k in keys)
                raise ValueError(
                    f"{done[0]['model']} and {other['model']} differ in {part} "
                    f"({differ or 'content of the files'}): they cannot share a table"
                )


def publish(results: list[Result], folder: Path, panel: list[str]) -> None:
    """Copy finished results, with the panel's predictions, into a folder that is kept."""
    for result in results:
        if not result.done:
            continue
        source = result.path.parent
        target = folder / source.parent.name / source.name
        (target / "predictions").mkdir(parents=True, exist_ok=True)
        for name in ("result.json", "per_image.npz", *(f"predictions/{id}.png" for id in panel)):
            shutil.copyfile(source / name, target / name)
        prior = source.parent.parent / PRIOR
        if prior.is_file():
            shutil.copyfile(prior, folder / PRIOR)
