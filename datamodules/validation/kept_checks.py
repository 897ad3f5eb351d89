"""What a check has found, kept in a file, so that only what has changed is read again."""

import gzip
import sys
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

from datamodules.image_files import cache_home
from datamodules.json_file import DamagedError
from datamodules.labels import DataError
from datamodules.sealed_json import seal, unseal
from datamodules.validation.check_report import CheckReport
from datamodules.validation.image_checks import Finding, ImageCheck
from datamodules.whole_file import write_whole

_ROTTEN = "changed bytes"  # the kind of a finding that stays until the file is written again
_ROTTEN_TEXT = (
    "has other bytes than when it was read before, and neither its size nor its times have "
    "changed: fetch it again, as its disk may fail"
)

_VERSION = 4  # of the form; raise it, too, whenever the same files lead to other findings

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


def rotten(
    before: Mapping[Key, ImageCheck], now: Mapping[Key, ImageCheck]
) -> dict[Key, ImageCheck]:
    """The checks of files whose bytes differ from those read before, of the same stamps."""
    found = {}
    for key, old in before.items():
        check = now.get(key)
        findings = [finding for finding in old.findings if finding.kind == _ROTTEN]
        if check is not None and check.files and old.files and not findings:
            hashes = zip(key, old.files, check.files, strict=True)
            findings = [
                Finding("error", _ROTTEN, path, _ROTTEN_TEXT)
                for path, hash_before, hash_now in hashes
                if hash_before != hash_now
            ]
        if check is not None and findings:
            found[key] = replace(check, findings=[*check.findings, *findings])
    return found


def path_of(name: str) -> Path:
    """Where the checks of this name are kept."""
    return cache_home() / "checks" / f"{name}.json.gz"


def load(path: Path) -> KeptChecks:
    """What is kept; empty where nothing is, and, with a word to the user, where it is damaged."""
    nothing = KeptChecks([], {})
    try:
        return read(path, "every file is read again") or nothing
    except (FileNotFoundError, NotADirectoryError):
        return nothing
    except DamagedError as error:
        print(error, file=sys.stderr)
        return nothing


def read(path: Path, remedy: str) -> KeptChecks | None:
    """What a file holds; None for one of another version.

    Raises:
        FileNotFoundError, NotADirectoryError: there is none.
        DamagedError: a damaged one.
    """
    try:
        content = gzip.decompress(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise
    except (OSError, EOFError, zlib.error) as error:
        raise DamagedError(f"{path} is damaged ({error}): {remedy}") from None
    value = cast(dict[str, Any], unseal(content, str(path), remedy))
    if value.get("version") != _VERSION:
        return None
    return KeptChecks(
        value["tables"],
        {(i, m): (stamp, ImageCheck.from_json(check)) for i, m, stamp, check in value["checks"]},
        value["state"],
        value["report"] and CheckReport.from_json(value["report"]),
    )


def save(path: Path, kept: KeptChecks) -> bool:
    """Write it whole or not at all; False, and a word to the user, where that is not possible."""
    try:
        write(path, kept, "the check is not kept and has to be made again")
    except DataError as error:
        print(error, file=sys.stderr)
        return False
    return True


def write(path: Path, kept: KeptChecks, how: str) -> None:
    """Write it whole or not at all.

    Args:
        how: to go on where this is not possible.

    Raises:
        DataError: it is not possible.
    """
    value = {
        "version": _VERSION,
        "tables": kept.tables,
        "checks": [(*key, stamp, asdict(check)) for key, (stamp, check) in kept.checks.items()],
        "state": kept.state,
        "report": kept.report and kept.report.to_json(),
    }
    write_whole(path, gzip.compress(seal(value), 1, mtime=0), how)
