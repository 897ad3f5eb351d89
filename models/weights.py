"""Weights from files: checkpoints of this project and of others, into a network by their names."""

import hashlib
import pickletools
import re
import warnings
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

SHARE = 0.95  # of the trunk's tensors; a file with fewer is another network's
HEADS = ("last_layer.", "classifier.", "reduction_conv.", "fpn_convs.")
_TRUNKS = {"trunk", "encoder", "stem", "down"}  # modules, or modules of a network's `model`
_WRAPPERS = ("module.", "model.", "_orig_mod.")  # DDP's, Lightning's and HRNet's, torch.compile's
_LOSSES = ("loss.", "criterion.")
_COUNTER = "num_batches_tracked"  # files of old versions lack it, and nothing here depends on it
# Training checkpoints of HRNet's authors hold the best mIoU as a number of NumPy.
_SCALAR = np.float64(0).__reduce__()[0]
_NUMBERS: list[Any] = [
    *(np.dtype, type(np.dtype("float32")), type(np.dtype("float64"))),
    *(_SCALAR, (_SCALAR, "numpy.core.multiarray.scalar")),  # as it was called before NumPy 2
]


@dataclass(frozen=True, kw_only=True)
class Report:
    """What became of the tensors of a file and of a network, by their names."""

    source: str
    sha256: str
    licence: str | None
    loaded: tuple[str, ...]
    missing: tuple[str, ...]
    """Wanted by the network; with ImageNet weights, by the parts that they fill."""
    mismatched: tuple[str, ...]
    """In both, with another shape."""
    unexpected: tuple[str, ...]
    """In the file alone."""
    trunk: tuple[int, int]
    """How many tensors of the trunk were loaded, and how many it has."""
    note: str

    @property
    def complete(self) -> bool:
        """Nothing is left over on either side."""
        return not (self.missing or self.mismatched or self.unexpected)

    def __str__(self) -> str:
        origin = ", ".join(filter(None, (f"sha256 {self.sha256[:12]}", self.licence)))
        return (
            f"{self.source} ({origin}): {len(self.loaded)} tensors loaded, {self.trunk[0]} of "
            f"{self.trunk[1]} of the trunk; {len(self.missing)} missing, {len(self.mismatched)} "
            f"of another shape, {len(self.unexpected)} unexpected{self.note}"
        )


def load_weights(model: nn.Module, path: Path) -> Report:
    """Fill a network from a state dict or a checkpoint: safetensors, or what torch.save wrote.

    Warns if anything is left over on either side; the report stays as `model.load_report`.

    Raises:
        ValueError: no such file, one that holds no weights or would run code, or one with less
            than 95 % of the trunk's tensors; the network is then as it was.
    """
    if not path.is_file():
        raise ValueError(f"no weights file at {path.absolute()}: give the path of a state dict")
    ours = model.state_dict()
    state = _unwrap(_read(path), ours)
    unexpected = [name for name in state if name not in ours]
    report = fill(model, state, path, wanted=ours, trunk=trunk(ours), unexpected=unexpected)
    if not report.complete:
        warnings.warn(f"the weights fit in part: {report}", stacklevel=3)
    return report


def trunk(names: Iterable[str]) -> list[str]:
    """Those of a network's tensors that come before its head, by name; HRNet's head is its end."""
    names = list(names)
    named = [name for name in names if not _TRUNKS.isdisjoint(name.split(".")[:2])]
    return named or [name for name in names if not name.startswith(HEADS)]


def fill(
    model: nn.Module,
    state: Mapping[str, Tensor],
    path: Path,
    *,
    wanted: Collection[str],
    trunk: Collection[str],
    unexpected: Collection[str],
    source: str | None = None,
    licence: str | None = None,
    note: str = "",
) -> Report:
    """Copy the tensors of `state` whose name is wanted and whose shape is the network's.

    Args:
        path: the file that they came from.
        unexpected: names in the file that the network does not have.

    Raises:
        ValueError: less than 95 % of the trunk's tensors fit; the network is then as it was.
    """
    shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
    fits = {n: t for n, t in state.items() if n in wanted and t.shape == shapes[n]}
    wanted, trunk, unexpected = (
        [name for name in names if not name.endswith(_COUNTER)]
        for names in (wanted, trunk, unexpected)
    )
    missing = [name for name in wanted if name not in state]
    mismatched = [name for name in wanted if name in state and name not in fits]
    found = sum(name in fits for name in trunk)
    if found < SHARE * len(trunk):
        absent = [name for name in trunk if name not in state]
        unlike = [name for name in trunk if name in state and name not in fits]
        other = [f"{n} {(*state[n].shape,)} for {(*shapes[n],)}" for n in unlike[:2]]
        what = [f"missing {', '.join(absent[:3])}"] * bool(absent)
        what += [f"of another shape {', '.join(other)}"] * bool(other)
        raise ValueError(
            f"weights {path} have {found} of the {len(trunk)} tensors of the network's trunk, and "
            f"{SHARE:.0%} are needed; {'; '.join(what)}: name the network and options that they "
            "were made with"
        )
    model.load_state_dict(fits, strict=False)
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    report = Report(
        source=source or path.name,
        sha256=sha256,
        licence=licence,
        loaded=tuple(name for name in wanted if name in fits),
        missing=tuple(missing),
        mismatched=tuple(mismatched),
        unexpected=tuple(unexpected),
        trunk=(found, len(trunk)),
        note=note,
    )
    model.load_report = report  # type: ignore[assignment]
    return report


def _read(path: Path) -> dict[str, Tensor]:
    """The tensors of a file by name; never runs what a pickle asks for."""
    content: Any = None
    try:
        with path.open("rb") as file:  # safetensors start with the length of a JSON object
            start = file.read(9)
        if path.suffix.lower() == ".safetensors" or start[8:] == b"{":
            content = load_file(path)
        else:
            with warnings.catch_warnings(), torch.serialization.safe_globals(_NUMBERS):
                warnings.simplefilter("ignore")  # about formats: what fails is said below
                content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a file of another kind makes the reader raise
        code = _code(path, error)
        if code is not None:
            raise ValueError(
                f"{path} would run code when opened{code}, which is refused: save tensors only, "
                "as torch.save(model.state_dict(), path)"
            ) from None
    containers = ("state_dict", "model_state_dict", "model")  # beside an optimiser's state
    for key in containers:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if isinstance(content, dict):
        content = {k: v for k, v in content.items() if isinstance(k, str) and _is_weight(v)}
    if not isinstance(content, dict) or not content:
        raise ValueError(
            f"{path} is damaged or no state dict of tensors, which is needed: "
            "as torch.save(model.state_dict(), path) writes it"
        )
    return content


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


def _unwrap(state: dict[str, Tensor], ours: Collection[str]) -> dict[str, Tensor]:
    """Tensors without the prefixes of what the network was in, and without those of a loss."""
    versions = [state]
    for version in versions:  # grows by each version's own insides
        for prefix in _WRAPPERS:
            inner = {n[len(prefix) :]: t for n, t in version.items() if n.startswith(prefix)}
            versions += [inner] * bool(inner)
    best = max(versions, key=lambda version: sum(name in ours for name in version))
    return {n: t for n, t in best.items() if n in ours or not n.startswith(_LOSSES)}
