"""JSON files and lines: the one place where they are read."""

import json
from pathlib import Path


class DamagedError(ValueError):
    """A file that does not hold what it has to; the message names it and the remedy."""


def read_json(path: Path, remedy: str) -> object:
    """What a JSON file holds.

    Args:
        remedy: the end of the sentence, as "delete it to run the trial again".

    Raises:
        DamagedError: an empty file, or one that is cut, not UTF-8, no JSON or nested too deeply.
        OSError: a file that is not there or cannot be read.
    """
    return parse_json(path.read_bytes(), str(path), remedy)


def parse_json(content: bytes | str, what: str, remedy: str) -> object:
    """`read_json` of what is read already.

    NaN comes through, so that whoever knows the field can name it in refusing.

    Args:
        what: names it in the message.

    Raises:
        DamagedError: as `read_json`.
    """
    try:
        text = content if isinstance(content, str) else content.decode("utf-8-sig")
        if not text.strip():
            raise DamagedError(f"{what} is empty: {remedy}")
        value: object = json.loads(text)
    except UnicodeDecodeError:
        raise DamagedError(f"{what} is not UTF-8: {remedy}") from None
    except DamagedError:
        raise
    except ValueError as error:  # also a number of more digits than Python takes
        raise DamagedError(f"{what} is not JSON ({error}): {remedy}") from None
    except RecursionError:
        raise DamagedError(f"{what} is nested too deeply: {remedy}") from None
    return value


def as_object(value: object, what: str, remedy: str) -> dict[str, object]:
    """A JSON object, by its keys.

    Raises:
        DamagedError: any other value.
    """
    if not isinstance(value, dict):
        raise DamagedError(f"{what} holds no JSON object but {type(value).__name__}: {remedy}")
    return value
