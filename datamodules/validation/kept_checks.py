"""What a check has found, kept in a file, so that only what has changed is read again."""

import gzip
import json
import os
import sys
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from datamodules.image_files import cache_home
from datamodules.validation.check_report import CheckReport
from datamodules.validation.image_checks import ImageCheck

_VERSION = 3  # of the form; raise it, too, whenever the same files lead to other findings

Key = tuple[str, str]  # an image and its labels, whatever splits they are in
Stamp = list[list[int] | None]  # size and times of change of both; None for a file not there


@dataclass(frozen=True)
class KeptChecks:
    """The checks of some splits, of which the last may have been stopped before its report."""

    tables: list[str]
    """What every label of a split depends on."""
    checks: dict[Key, tuple[Stamp, ImageCheck]]
    state: str | None = None
    """A hash of all that the report depends on."""
    report: CheckReport | None = None

    def unchanged(self, tables: list[str], stamps: Mapping[Key, Stamp]) -> dict[Key, ImageCheck]:
        """The checks that hold for files with these tables and stamps."""
        if tables != self.tables:
            return {}
        return {
            key: check for key, (stamp, check) in self.checks.items() if stamps.get(key) == stamp
        }


def path_of(name: str) -> Path:
    """Where the checks of this name are kept."""
    return cache_home() / "checks" / f"{name}.json.gz"


def load(path: Path) -> KeptChecks:
    """What is kept; empty where nothing is, or nothing that this code can read."""
    try:
        value: dict[str, Any] = json.loads(gzip.decompress(path.read_bytes()))
    except (OSError, EOFError, ValueError, zlib.error):
        return KeptChecks([], {})
    if value.get("version") != _VERSION:
        return KeptChecks([], {})
    return KeptChecks(
        value["tables"],
        {(i, m): (stamp, ImageCheck.from_json(check)) for i, m, stamp, check in value["checks"]},
        value["state"],
        value["report"] and CheckReport.from_json(value["report"]),
    )


def save(path: Path, kept: KeptChecks) -> bool:
    """Write it whole or not at all; False, and a word to the user, where that is not possible."""
    value = {
        "version": _VERSION,
        "tables": kept.tables,
        "checks": [(*key, stamp, asdict(check)) for key, (stamp, check) in kept.checks.items()],
        "state": kept.state,
        "report": kept.report and kept.report.to_json(),
    }
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(gzip.compress(json.dumps(value).encode(), 1, mtime=0))
        draft.replace(path)
    except OSError as error:
        print(f"the check is not kept and has to be made again ({error})", file=sys.stderr)
        return False
    return True
