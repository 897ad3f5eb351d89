"""A library that another one imports only because it is installed, hidden from it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without(library: str) -> Iterator[None]:
    """Imports go as where the library is not installed, unless it is already imported.

    timm imports W&B if it is there, an eighth of the time that counting every network takes;
    OpenVINO reports every import of itself over the network if its telemetry is there.
    """
    if library in sys.modules:
        yield
        return
    sys.modules[library] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[library]
