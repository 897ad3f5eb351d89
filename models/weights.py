"""Weights from files: checkpoints of this project and of others, into a network by their names."""

import hashlib
import warnings
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from models.weight_files import read_states

SHARE = 0.95  # of the trunk's tensors; a file with fewer is another network's
HEADS = (
    *("last_layer.", "classifier.", "final_layer.", "reduction_conv.", "fpn_convs.", "widen."),
    *("aux_head.", "cls_head.", "conv3x3_ocr.", "ocr_distri_head."),
)
_TRUNKS = {"trunk", "encoder", "backbone", "stem", "down"}  # modules, or of a network's `model`
_LOSSES = {"loss", "criterion"}  # modules whose tensors are no network's
_COUNTER = "num_batches_tracked"  # files of old versions lack it, and nothing here depends on it


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

    A network may have an attribute `also_named`: what names start with in files of a plainer one,
    and here.

    Warns if anything is left over on either side; the report stays as `model.load_report`. Heads
    that only training uses are no such thing where one side has none of them: a note says so.

    Raises:
        ValueError: no such file, one that holds no weights, values that are no numbers, or code,
            or one with less than 95 % of the trunk's tensors; the network is then as it was.
    """
    if not path.is_file():
        raise ValueError(f"no weights file at {path.absolute()}: give the path of a state dict")
    ours = model.state_dict()
    state = _renamed(_unwrap(read_states(path), ours), getattr(model, "also_named", {}))
    _check_finite(state, ours, path)
    heads = tuple(f"{name}." for name in getattr(model, "auxiliary", ()))
    theirs = [name for name in state if name.startswith(heads)]
    own = [name for name in ours if name.startswith(heads)]
    one_sided = {*theirs, *own} if not theirs or not own else set()
    report = fill(
        model,
        state,
        path,
        wanted=[name for name in ours if name not in one_sided],
        trunk=trunk(name for name in ours if name not in own),
        unexpected=[name for name in state if name not in ours and name not in one_sided],
        note=_about_heads(theirs, own),
    )
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
        strangers = [name for name in unexpected if name not in wanted]
        what += [f"the file has {', '.join(strangers[:3])}"] * bool(strangers)
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


def _about_heads(theirs: Sequence[str], own: Sequence[str]) -> str:
    """What the report says of heads that only training uses, where one side alone has them."""
    if bool(theirs) == bool(own):
        return ""
    names = [name for name in (*theirs, *own) if not name.endswith(_COUNTER)]
    what = f"{len(names)} tensors of heads that only training uses"
    return f"; {what} left out" if theirs else f"; {what} not in the file"


def _check_finite(state: Mapping[str, Tensor], ours: Collection[str], path: Path) -> None:
    for name, tensor in state.items():
        if name in ours and tensor.is_floating_point() and not tensor.isfinite().all():
            raise ValueError(
                f"{path} has values that are no numbers in {name}, as training leaves them that "
                "went astray: give weights of an earlier step"
            )


def _unwrap(states: Sequence[Mapping[str, Tensor]], ours: Collection[str]) -> dict[str, Tensor]:
    """The tensors that the network can take, by its own names, and those of no use to it.

    Of the file's dictionaries, and of what stood before its names there, as DDP's `module.`,
    Lightning's `model.` or a backbone's `backbone.`, those that give most of the names; the first
    and the shortest of equals. Of a loss nothing is told.
    """
    choices = [(state, prefix) for state in states for prefix in _prefixes(state, ours)]
    found = [sum(prefix + name in state for name in ours) for state, prefix in choices]
    state, prefix = choices[found.index(max(found))]
    inside = {n.removeprefix(prefix): t for n, t in state.items() if n.startswith(prefix)}
    outside = {n: t for n, t in state.items() if not n.startswith(prefix) and n not in inside}
    return {
        name: tensor
        for name, tensor in (outside | inside).items()
        if name in ours or _LOSSES.isdisjoint(name.split("."))
    }


def _renamed(state: dict[str, Tensor], also_named: Mapping[str, str]) -> dict[str, Tensor]:
    for theirs, ours in also_named.items():
        state = {
            ours + name.removeprefix(theirs) if name.startswith(theirs) else name: tensor
            for name, tensor in state.items()
        }
    return state


def _prefixes(state: Mapping[str, Tensor], ours: Collection[str]) -> list[str]:
    """What names of a file have before names of the network, the shortest first; nothing is one."""
    found = {""}
    for name in state:
        parts = name.split(".")
        for start in range(1, len(parts)):
            if ".".join(parts[start:]) in ours:
                found.add(".".join(parts[:start]) + ".")
    return sorted(found, key=len)
