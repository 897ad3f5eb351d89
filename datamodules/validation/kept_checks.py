"""What a check has found, kept in a file, so that only what has changed is read again."""

import gzip
import sys
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

from datamodules.image_files import cache_home
from datamodules.json_file import DamagedError
from datamodules.labels import DataError
from datamodules.sealed_json import seal, unseal
from datamodules.validation.check_report import CheckReport
from datamodules.validation.image_checks import ImageCheck
from datamodules.whole_file import write_whole

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
    """What is kept; empty where nothing is, and, with a word to the user, where it is damaged."""
    nothing = KeptChecks([], {})
    try:
        content = gzip.decompress(path.read_bytes())
        value = cast(dict[str, Any], unseal(content, str(path), "every file is read again"))
    except (FileNotFoundError, NotADirectoryError):
        return nothing
    except DamagedError as error:
        print(error, file=sys.stderr)
        return nothing
    except (OSError, EOFError, zlib.error) as error:
        print(f"{path} is damaged ({error}): every file is read again", file=sys.stderr)
        return nothing
    if value["version"] != _VERSION:
        return nothing
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
    try:
        how = "the check is not kept and has to be made again"
        write_whole(path, gzip.compress(seal(value), 1, mtime=0), how)
    except DataError as error:
        print(error, file=sys.stderr)
        return False
    return True
