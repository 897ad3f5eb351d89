"""Which files below a folder are results: not what systems leave, and no copies of others."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from datamodules.clutter import is_clutter

RESULT = "result.json"  # of a trial that has ended
# `seed0 (1)`, `seed0 copy 2`, `seed0 - Copy`, `seed0 (another copy)`; no name of ours has a blank.
_COPY = re.compile(r"( \(\d+\)| copy( \d+)?| - Copy( \(\d+\))?| \((\w+ )?copy\))$")


def listed(folder: Path, name: str, without: str) -> Iterator[Path]:
    """Everything of a name below a folder, also what is no file and has to be said so.

    Passed over are clutter, and folders that a file manager copied beside their original.

    Args:
        without: folders of this name are not looked into.

    Raises:
        OSError: a folder that cannot be read.
    """

    def refuse(error: OSError) -> None:
        raise error

    for at, folders, files in os.walk(folder, onerror=refuse):
        if name in (*folders, *files):
            yield Path(at, name)
        here = {*folders}
        folders[:] = [
            one
            for one in folders
            if not is_clutter(one)
            and one != without
            and not (_COPY.search(one) and _COPY.sub("", one) in here)
        ]
