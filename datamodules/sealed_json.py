"""JSON objects of our own that carry a hash of themselves: what is read is what was written.

A seal costs a hash where a check of every value's type costs a second look at all of them, and it
finds what types do not: two names that were swapped, or one flipped bit of a number.
"""

import hashlib
import json
from collections.abc import Mapping

from datamodules.json_file import DamagedError, as_object, parse_json

_SEAL = '{{"seal": "{}", '


def seal(value: Mapping[str, object]) -> bytes:
    """An object that is not empty, as JSON, with its hash as the first entry."""
    body = json.dumps(value, allow_nan=False)[1:]
    return (_SEAL.format(_hash(body.encode())) + body).encode()


def unseal(content: bytes, what: str, remedy: str) -> dict[str, object]:
    """The object that was sealed.

    Args:
        what: names it in the message.

    Raises:
        DamagedError: anything but what `seal` gave, whole.
    """
    value = as_object(parse_json(content, what, remedy), what, remedy)
    head = len(_SEAL.format(_hash(b"")))
    if value.pop("seal", None) != _hash(content[head:]):
        raise DamagedError(f"{what} was changed, or is of another version: {remedy}")
    return value


def _hash(body: bytes) -> str:
    return hashlib.blake2b(body, digest_size=16).hexdigest()
