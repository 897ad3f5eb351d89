"""One file over HTTP, over as many connections as it takes."""

import http.client
import os
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from datamodules.dataset import Progress
from datamodules.labels import DataError

RETRY_WAITS = (1.0, 2.0, 4.0, 8.0, 16.0)  # seconds, after failures in a row that brought no byte
_TIMEOUT = 30.0  # seconds without a byte
CHUNK_BYTES = 1 << 18
_PASSING = {408, 429, 500, 502, 503, 504}  # answers of servers that may have another one later


class _DroppedError(Exception):
    """A connection that failed, as connections do; the next one may not."""


class StoppedError(Exception):
    """Ends a thread whose work is no longer wanted."""


class Meter:
    """Adds up the bytes of all threads, which it can stop."""

    def __init__(self, done: int, total: int, progress: Progress) -> None:
        self.stop, self._lock = threading.Event(), threading.Lock()
        self._done, self._total, self._progress = done, total, progress

    def add(self, count: int) -> None:
        with self._lock:
            self._done += count
            self._progress(self._done, self._total)
        self.wait(0)

    def wait(self, seconds: float) -> None:
        if self.stop.wait(seconds):
            raise StoppedError


def grow(part: Path, url: str, size: int, meter: Meter) -> None:
    """Bring what a file of that size lacks at its end.

    Raises:
        DataError: an answer that means it, or no byte for half a minute of trying.
        StoppedError: the meter stops.
    """
    part.touch()
    have = part.stat().st_size
    if have > size:  # of an older publication
        os.truncate(part, 0)
        have = 0
    meter.add(have)
    failures = 0
    while have < size:
        try:
            _receive(part, url, size, meter)
        except _DroppedError as error:
            failures = failures + 1 if part.stat().st_size <= have else 1
            if failures > len(RETRY_WAITS):
                raise DataError(
                    f"{url} cannot be fetched ({error}): what came of it is kept, so give the same "
                    "command later, or name a copy with --mirror"
                ) from None
            meter.wait(RETRY_WAITS[failures - 1])
        have = part.stat().st_size


def _receive(part: Path, url: str, size: int, meter: Meter) -> None:
    """Append what one connection brings; a _DroppedError says that it ended early."""
    have = part.stat().st_size
    with _connect(url, have) as response, part.open("ab") as file:
        if have and response.status != 206:  # a server that cannot go on starts again
            file.truncate(0)
            meter.add(-have)
            have = 0
        offered = have + int(response.headers.get("Content-Length", size - have))
        if offered != size:
            raise DataError(
                f"{url} has {offered} bytes and {size} are published: it is another file, so name "
                "a copy with --mirror"
            )
        for chunk in _chunks(response):
            file.write(chunk)
            have += len(chunk)
            meter.add(len(chunk))
            if have >= size:  # a server may hold the connection open
                break
    if have < size:
        raise _DroppedError(f"it broke off at {have} of {size} bytes")


def _connect(url: str, have: int) -> Any:
    """A response with the bytes from `have` on, or with all."""
    headers = {"User-Agent": "segmentation-lab"} | ({"Range": f"bytes={have}-"} if have else {})
    request = urllib.request.Request(url, headers=headers)
    try:
        return urllib.request.urlopen(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code in _PASSING:
            raise _DroppedError(f"{error.code} {error.reason}") from None
        raise DataError(
            f"{url} cannot be fetched ({error.code} {error.reason}): name a copy with --mirror"
        ) from None
    except (OSError, http.client.HTTPException) as error:
        raise _DroppedError(getattr(error, "reason", None) or error) from None


def _chunks(response: Any) -> Iterator[bytes]:
    try:
        while chunk := response.read1(CHUNK_BYTES):  # what is there, so that little is lost
            yield chunk
    except (OSError, http.client.HTTPException) as error:
        raise _DroppedError(error) from None
