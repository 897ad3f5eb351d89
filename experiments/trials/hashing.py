"""The one short hash of settings, as JSON."""

import hashlib
import json


def short_hash(value: object) -> str:
    """12 hex digits of the SHA-256 of a value as JSON; the order of keys does not count."""
    text = json.dumps(value, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
