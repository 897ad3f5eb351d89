"""Names of files: the same in either normal form of Unicode, and short enough to be written."""

import hashlib
import unicodedata
from collections.abc import Iterable

# Of an id, in UTF-8. File systems take names of 255, and the draft of a prediction has 14 more: a
# dot, `.png`, and a dot and eight signs that no other has.
MOST_BYTES = 255 - 14


def one_form(name: str) -> str:
    """The composed form (NFC), by which names are compared: macOS and some archives write Korean
    and accents decomposed (NFD), which looks the same and is another name to Linux."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def twins(names: Iterable[str]) -> tuple[str, str] | None:
    """Two names that differ by their normal form alone, the first that there are."""
    seen: dict[str, str] = {}
    for name in names:
        if not name.isascii() and seen.setdefault(one_form(name), name) != name:
            return seen[one_form(name)], name
    return None


def shortened(name: str, most: int) -> str:
    """The name, or of one of more bytes its beginning and a hash of all of it."""
    encoded = name.encode(errors="surrogateescape")
    if len(encoded) <= most:
        return name
    digest = hashlib.sha256(encoded).hexdigest()[:12]
    return f"{encoded[: most - 13].decode(errors='ignore')}-{digest}"


def file_id(path: str) -> str:
    """The id of an image from its path without suffix: folders joined, in one form, not too long.

    It names the file of its prediction, which a dot in front would hide.
    """
    id = one_form(path).replace("/", "-")
    return shortened(f"_{id}" if id.startswith(".") else id, MOST_BYTES)
