"""Files of weights as they are read: safetensors, and what torch.save wrote.

Nothing that a pickle asks for is ever run, and what a checksum contradicts is not taken.
"""

import pickletools
import re
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

# Training checkpoints of HRNet's authors hold the best mIoU as a number of NumPy.
_SCALAR = np.float64(0).__reduce__()[0]
_NUMBERS: list[Any] = [
    *(np.dtype, type(np.dtype("float32")), type(np.dtype("float64"))),
    *(_SCALAR, (_SCALAR, "numpy.core.multiarray.scalar")),  # as it was called before NumPy 2
]
# Where a file has several whole networks, the first of these is meant: the trained one, and after
# it its moving average.
_CONTAINERS = ("state_dict", "model_state_dict", "model_state", "model", "net", "network")

State = dict[str, Tensor]


def read_states(path: Path) -> list[State]:
    """Every dictionary of tensors in a file, the likeliest network first.

    Raises:
        ValueError: a damaged file, one that would run code, or one without such a dictionary.
    """
    broken = damaged_record(path)
    if broken is not None:
        raise ValueError(
            f"{path} is damaged: the checksum of its part {broken} does not fit; copy or fetch it "
            "again"
        )
    found = list(_states(_content(path)))
    if not found:
        raise ValueError(
            f"{path} is damaged or no state dict of tensors, which is needed: "
            "as torch.save(model.state_dict(), path) writes it"
        )
    return found


def damaged_record(path: Path) -> str | None:
    """A part of a file of torch.save that its checksum contradicts; None where all of them fit.

    torch.save writes a CRC-32 for each part, which torch.load does not look at: of 60 files with
    one flipped bit it loaded 59, with other weights. Older formats, and files that were written
    with `torch.serialization.set_crc32_options(False)`, have none.
    """
    if not zipfile.is_zipfile(path):
        return None
    try:
        with zipfile.ZipFile(path) as file:
            if not any(part.CRC for part in file.infolist()):
                return None
            return file.testzip()
    except Exception as error:  # whatever a damaged directory or header makes the reader raise
        return f"directory ({' '.join(str(error).split()) or type(error).__name__})"


def _content(path: Path) -> Any:
    try:
        with path.open("rb") as file:  # safetensors start with the length of a JSON object
            start = file.read(9)
        if path.suffix.lower() == ".safetensors" or start[8:] == b"{":
            return load_file(path)
        with warnings.catch_warnings(), torch.serialization.safe_globals(_NUMBERS):
            warnings.simplefilter("ignore")  # about formats: what fails is said by `read_states`
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a file of another kind makes the reader raise
        code = _code(path, error)
        if code is not None:
            raise ValueError(
                f"{path} would run code when opened{code}, which is refused: save tensors only, "
                "as torch.save(model.state_dict(), path)"
            ) from None
    return None


def _states(content: object, depth: int = 0) -> Iterator[State]:
    """Dictionaries of tensors in a checkpoint, the usual places first, an optimiser's nowhere."""
    if not isinstance(content, dict) or depth > 3:
        return
    usual = [key for key in _CONTAINERS if key in content]
    for key in (*usual, *(key for key in content if key not in usual)):
        if isinstance(content[key], dict):
            yield from _states(content[key], depth + 1)
    state = {k: v for k, v in content.items() if isinstance(k, str) and _is_weight(v)}
    if state:
        yield state


def _is_weight(value: object) -> bool:
    """Whether it is a tensor of numbers that are there: not sparse, complex or on meta."""
    if not isinstance(value, Tensor) or value.layout != torch.strided:
        return False
    return not (value.is_meta or value.is_complex() or value.is_quantized)


def _code(path: Path, error: Exception) -> str | None:
    """What a pickle wanted to call, in brackets, as far as it is known; None if it is no such."""
    named = re.search(r"GLOBAL (\S+)", str(error))
    if named:
        return f" ({named[1]})"
    with suppress(Exception), path.open("rb") as file:  # of a protocol that torch does not read
        calls = {"GLOBAL", "STACK_GLOBAL", "INST"}
        if any(step.name in calls for step, _, _ in pickletools.genops(file)):
            return ""
    return None
