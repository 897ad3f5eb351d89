"""What a recipe is: everything that can change a number, except the network, its seed and the code.

A recipe is a frozen dataclass made by a function (`experiments.recipes`); a variant uses
`dataclasses.replace`.
"""

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from experiments.trials.hashing import short_hash
from experiments.trials.protocols import PROTOCOLS, EvaluationProtocol
from models.registry import MIN_SIDE

PRECISIONS = ("32-true", "tf32", "bf16-mixed")
_PHOTOMETRIC = ("none", "colour-jitter")
_LATER = (
    "crop_on",
    "tuning",
    "compile",
    "deterministic",
)  # fields that came after the first published results
_CROP_ON = ("workers", "device", "auto")
_INITS = ("random", "imagenet")
MAX_SEED = 2**64 - 1  # torch's generators take no more
SEEDS = "0 to 2**64 - 1, or None for the trial's"


@dataclass(frozen=True)
class RecipeRequest:
    """A recipe as the command line asks for it, which makes it again (`trials.overrides`).

    Attributes:
        recipe: its name, or `file.py:function`.
        overrides: values of `--set`, as `lr=0.02`, in the order given.
        data: value of `--data`.
    """

    recipe: str
    overrides: tuple[str, ...] = ()
    data: str | None = None


@dataclass(frozen=True, kw_only=True)
class TuningBudget:
    """A search for a network's own `lr` and `weight_decay`, the same for every network.

    Candidates are `num_trials` points of a low-discrepancy sequence, log-uniform from
    value / span to value * span around the recipe's own values, which are the first of them.

    Attributes:
        seed: of every candidate.
        steps: of every candidate.
        train_split, select_split: what candidates train on, and where their mIoU is compared.
    """

    num_trials: int
    seed: int
    lr: float
    weight_decay: float
    span: float
    steps: int
    train_split: str
    select_split: str

    def __post_init__(self) -> None:
        checks = {
            "num_trials": is_whole(self.num_trials, 1),
            "seed": is_whole(self.seed, 0, MAX_SEED),
            "lr": is_number(self.lr) and self.lr > 0,
            "weight_decay": is_number(self.weight_decay, 0),
            "span": is_number(self.span, 1),
            "steps": is_whole(self.steps, 1),
            "train_split": _is_text(self.train_split),
            "select_split": _is_text(self.select_split),
        }
        for field, fine in checks.items():
            if not fine:
                raise ValueError(
                    f"the search for lr and weight_decay has {field} {getattr(self, field)!r}, "
                    "with which nothing can be searched: ask for it with --tune N"
                )

    def __str__(self) -> str:
        ranges = [
            f"{name} {value / self.span:.3g} to {value * self.span:.3g}"
            for name, value in (("lr", self.lr), ("weight_decay", self.weight_decay))
        ]
        return (
            f"{self.num_trials} trials with seed {self.seed}; {' and '.join(ranges)}, log-uniform "
            f"by a Halton sequence, the recipe's own first; {self.steps} steps each on "
            f"{self.train_split}; highest mIoU on {self.select_split}"
        )

    def difference(self, other: "TuningBudget") -> str:
        """The fields in which two searches are not the same, with both values."""
        ours, theirs = dataclasses.asdict(self), dataclasses.asdict(other)
        return "; ".join(
            f"{name}: {value} against {theirs[name]}"
            for name, value in ours.items()
            if value != theirs[name]
        )


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What every network of a comparison shares. Sizes are (height, width) in pixels."""

    # A result that holds a field of another version is refused rather than read in part.
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    name: str
    data: str
    """Data set with its options, as `streets:height=96:width=128`."""
    crop: tuple[int, int]
    batch: int
    """Global batch, split over all processes."""
    steps: int
    lr: float
    precision: str
    """32-true; tf32, which is fp32 whose products a GPU rounds to 10 bits (elsewhere it is
    32-true); or bf16-mixed, whose weights are fp32."""
    micro_batch: int | None = None
    """Images a process passes at once; None passes its whole share of the batch."""
    momentum: float = 0.9
    weight_decay: float = 5e-4
    power: float = 0.9
    """Of the polynomial decay from `lr` to 0, step by step."""
    scale: tuple[float, float] = (0.5, 2.0)
    flip: bool = True
    photometric: str = "none"
    crop_on: str = "workers"
    """Where crops are made: by the reading processes, or on the device, which then holds the whole
    training set; colours change there by the same distribution from other draws. Or auto: on a
    GPU that has room for that set, else by the processes; the result says which."""
    class_weights: tuple[float, ...] | None = None
    """Of the cross-entropy, in the order of the classes."""
    bn_momentum: float = 0.1
    init: str = "random"
    """Or imagenet: each network's trunk starts from timm's ImageNet weights; it must have some."""
    init_seed: int | None = None
    """None takes the trial's seed, as does `data_seed`."""
    data_seed: int | None = None
    val_every: int = 500
    """Steps between points of the validation curve; nothing is selected on it."""
    train_split: str = "train"
    val_split: str = "val"
    test_split: str = "test"
    """The split that is predicted and scored after the last step."""
    compile: bool = False
    """Train by `torch.compile`; the compiler rounds and draws dropout in its own way."""
    deterministic: bool = False
    """On a GPU: equal bits in each run, or a refusal that names what cannot have them. On a CPU
    they are equal anyway."""
    tuning: TuningBudget | None = None
    """By what search a network's own `lr` and `weight_decay` were chosen."""

    def __post_init__(self) -> None:
        checks = (  # field, what it needs, and whether it has it
            ("name", "a text", _is_text(self.name)),
            ("data", "a data set", _is_text(self.data)),
            ("crop", f"two sides of at least {MIN_SIDE}", _is_pair(self.crop, is_whole, MIN_SIDE)),
            ("batch", "at least 1", is_whole(self.batch, 1)),
            ("steps", "at least 1", is_whole(self.steps, 1)),
            ("val_every", "at least 1", is_whole(self.val_every, 1)),
            ("lr", "above 0", is_number(self.lr) and self.lr > 0),
            ("momentum", "0 to 1", is_number(self.momentum) and 0 <= self.momentum < 1),
            ("bn_momentum", "0 to 1", is_number(self.bn_momentum) and 0 < self.bn_momentum <= 1),
            ("weight_decay", "at least 0", is_number(self.weight_decay, 0)),
            ("power", "at least 0", is_number(self.power, 0)),
            ("scale", "0 < low <= high", _is_range(self.scale)),
            ("flip", "true or false", isinstance(self.flip, bool)),
            ("micro_batch", "1 to batch", _is_none_or_whole(self.micro_batch, 1, self.batch)),
            ("class_weights", "numbers of at least 0, one above", _are_weights(self.class_weights)),
            ("init_seed", SEEDS, _is_none_or_whole(self.init_seed, 0, MAX_SEED)),
            ("data_seed", SEEDS, _is_none_or_whole(self.data_seed, 0, MAX_SEED)),
            ("precision", _one_of(PRECISIONS), self.precision in PRECISIONS),
            ("photometric", _one_of(_PHOTOMETRIC), self.photometric in _PHOTOMETRIC),
            ("crop_on", _one_of(_CROP_ON), self.crop_on in _CROP_ON),
            ("init", _one_of(_INITS), self.init in _INITS),
            ("compile", "true or false", isinstance(self.compile, bool)),
            ("deterministic", "true or false", isinstance(self.deterministic, bool)),
            ("train_split", "a split", _is_text(self.train_split)),
            ("val_split", "a split", _is_text(self.val_split)),
            ("test_split", "a split", _is_text(self.test_split)),
        )
        for field, need, fine in checks:
            if not fine:
                raise ValueError(
                    f"recipe {self.name}: {field} is {getattr(self, field)!r}, needed is {field} "
                    f"({need}): change it with --set {field}=..."
                )

    @property
    def protocol(self) -> EvaluationProtocol:
        """How predictions are made and scored; part of every result."""
        return EvaluationProtocol(split=self.test_split, passes=PROTOCOLS["single"])

    def untuned(self) -> "Recipe":
        """The recipe that networks share whose `lr` and `weight_decay` are their own."""
        if self.tuning is None:
            return self
        lr, weight_decay = self.tuning.lr, self.tuning.weight_decay
        return dataclasses.replace(self, lr=lr, weight_decay=weight_decay, tuning=None)

    def hash(self) -> str:
        """Of every field but the name; of a later one only where it is not the default, so that
        older results keep theirs."""
        fields = dataclasses.asdict(self)
        del fields["name"]
        for field in dataclasses.fields(self):
            if field.name in _LATER and fields[field.name] == field.default:
                del fields[field.name]
        return short_hash(fields)


def is_whole(value: object, low: int, high: float = math.inf) -> bool:
    """Whether it is a whole number of a range, both ends included; True is none."""
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def is_number(value: object, low: float = -math.inf) -> bool:
    """Whether it is a finite number of at least `low`."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value) and value >= low  # type: ignore[arg-type, operator]


def _is_none_or_whole(value: object, low: int, high: float) -> bool:
    return value is None or is_whole(value, low, high)


def _is_pair(value: object, fits: Callable[[object, int], bool], low: int) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and all(fits(v, low) for v in value)


def _is_range(value: object) -> bool:
    return _is_pair(value, is_number, 0) and 0 < value[0] <= value[1]  # type: ignore[index]


def _are_weights(value: object) -> bool:
    if value is None:
        return True
    return isinstance(value, tuple) and all(is_number(v, 0) for v in value) and any(value)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _one_of(names: tuple[str, ...]) -> str:
    return f"one of {', '.join(names)}"
