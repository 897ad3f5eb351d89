"""Files that are written whole or not at all, beside data sets and in the cache."""

import secrets
from pathlib import Path

from datamodules.labels import DataError


def write_whole(path: Path, content: bytes, how: str) -> None:
    """Write a file by way of a draft beside it, of which nothing is left if that fails.

    Args:
        how: to go on where this is not possible, as "make room, or name another with --output".

    Raises:
        DataError: a folder that cannot be written to or is full, with the bytes that are needed.
    """
    # Short, as the name itself may be 255 bytes; no other process, on any machine, has the same.
    draft = path.with_name(f".{secrets.token_hex(8)}.draft")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(content)
        draft.replace(path)
    except OSError as error:
        raise DataError(
            f"{path} cannot be written ({error.strerror}): it takes {len(content)} bytes; {how}"
        ) from None
    finally:
        _remove(draft)


def _remove(draft: Path) -> None:
    try:
        draft.unlink(missing_ok=True)
    except OSError:  # of a folder that is none or may not be written to, which has been said
        return
